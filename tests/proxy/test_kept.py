"""Connections for load reports: kept for the next one, and no longer than they are of use."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lb.config import Scenario
from tests.proxy import papers
from tests.proxy.conftest import Run
from tests.proxy.doubles import NO_HEALTH, Origin, Proxy, ok, origin, proxy, scenario
from tests.proxy.test_load_reports import telling
from tests.proxy.test_probes import probing
from tests.proxy.wires import Wire

LONG = '[timeouts]\nconnect = "8s"\nidle = "1h"\n'
SHORT = LONG.replace("1h", "10ms")
NAMED = 'server_name = "a.test"'


def changed(*backends: Origin, **rows: str) -> Scenario:
    return scenario(*backends, toml=LONG + NO_HEALTH, **rows)


async def asked(lb: Proxy) -> None:
    for backend in lb.backends:
        assert await probing(lb).load(backend) is not None


@pytest.mark.parametrize("private", [False, True])
def test_another_file_leaves_them_and_opens_no_more(
    run: Run, tmp_path: Path, private: bool
) -> None:
    row = f'[backend.tls]\nca = "{papers.root(tmp_path)}"\n{NAMED}' if private else ""
    context = papers.serving("a.test") if private else None

    async def test() -> None:
        async with (
            origin(telling(1, 2), tls=context) as a,
            origin(telling(1, 2), tls=context) as b,
            proxy(a, b, toml=LONG, a=row, b=row) as lb,
        ):
            for _ in range(4):
                await asked(lb)
                lb.driver.adopt(changed(a, b, a=row, b=row))
            assert (a.connections, b.connections) == (1, 1)
            lb.driver.adopt(changed(a, a=row))
            await b.left.get()
            await asked(lb)
            assert a.connections == 1
            assert len(probing(lb)._kept) == 1

    run(test())


def test_who_is_reached_in_another_way_is_asked_on_another_one(run: Run, tmp_path: Path) -> None:
    row = f'[backend.tls]\nca = "{papers.root(tmp_path)}"\n'

    async def test() -> None:
        context = papers.serving("a.test", "b.test")
        async with (
            origin(telling(1, 2), tls=context) as a,
            proxy(a, toml=LONG, a=row + NAMED) as lb,
        ):
            await asked(lb)
            lb.driver.adopt(changed(a, a=row + 'server_name = "b.test"'))
            await a.left.get()
            await asked(lb)
            assert a.connections == 2

    run(test())


def test_those_that_nobody_uses_close_after_a_while(run: Run) -> None:
    async def test() -> None:
        async with origin(telling(1, 2)) as a, proxy(a, toml=SHORT) as lb:
            for connections in (1, 2):
                await asked(lb)
                assert a.connections >= connections
                await a.left.get()
            kept = probing(lb)._kept
            while kept._kept or kept._sweep is not None:
                await asyncio.sleep(0)

    run(test())


def test_so_many_are_kept_and_none_by_one_who_has_ended(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def script(wire: Wire, it: Origin) -> None:
            while await it.take(wire) is not None:
                await go_on.wait()
                wire.send(ok(b"", b"X-LB-Load: in_flight=1, latency_ms=2"))

        async with origin(script) as a, proxy(a, toml=LONG) as lb:
            prober, (backend,) = probing(lb), lb.backends
            for ended in (False, True):
                go_on.clear()
                loads = [asyncio.create_task(prober.load(backend)) for _ in range(10)]
                for _ in loads:
                    await a.arrived.get()
                if ended:
                    await prober.close()
                go_on.set()
                assert None not in await asyncio.gather(*loads)
                assert len(prober._kept) == (0 if ended else 8)

    run(test())
