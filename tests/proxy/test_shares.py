"""The algorithms over real connections: who gets which request."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, Script, Wire, get, ok, origin, proxy, silent


def named(name: bytes) -> Script:
    async def script(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            wire.send(ok(name))

    return script


@pytest.mark.parametrize(
    ("algorithm", "weights", "order"),
    [
        ("round_robin", (1, 1, 1), "abcabcabc"),
        ("weighted_round_robin", (5, 1, 1), "aabacaa" * 2),
        ("weighted_round_robin", (1, 2, 3), "cbacbc" * 2),
    ],
)
@pytest.mark.parametrize("keep_alive", [True, False], ids=["one connection", "many"])
def test_order(
    run: Run, algorithm: str, weights: tuple[int, ...], order: str, keep_alive: bool
) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            backends = [
                await stack.enter_async_context(origin(named(n))) for n in (b"a", b"b", b"c")
            ]
            rows = {name: f"weight = {weight}" for name, weight in zip("abc", weights, strict=True)}
            lb = await stack.enter_async_context(
                proxy(*backends, toml=f'algorithm = "{algorithm}"', **rows)
            )
            client = await stack.enter_async_context(lb.client())
            seen = ""
            for _ in order:
                if keep_alive:
                    client.send(get())
                    seen += (await client.response()).body.decode()
                else:
                    seen += (await lb.get()).body.decode()
            assert seen == order

    run(test())


def test_least_connections_avoids_the_busy_one(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(silent) as a,
            origin(named(b"b")) as b,
            proxy(a, b, toml='algorithm = "least_connections"') as lb,
            lb.client() as stuck,
        ):
            stuck.send(get())
            await a.arrived.get()
            for _ in range(5):
                assert (await lb.get()).body == b"b"
            stuck.reset()
            assert (await lb.ended.get())[0] == "b"
            while lb.backends[0].active:
                await asyncio.sleep(0)

    run(test())
