"""An application's own calls: who gets them, and when balancing begins and ends."""

from __future__ import annotations

import asyncio
import doctest
import gc
import subprocess
import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from lb.aio import Refused, balance, client
from lb.errors import ConfigError, UsageError
from tests.aio.drivers import calling
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    answering,
    echo,
    ok,
    origin,
)

ORDERS = "http://orders/"


@pytest.mark.parametrize(
    ("algorithm", "shares"),
    [
        ("round_robin", {"a": 10, "b": 10, "c": 10}),
        ("weighted_round_robin", {"a": 5, "b": 10, "c": 15}),
    ],
)
def test_shares_are_those_of_the_algorithm(
    run: Run, algorithm: str, shares: dict[str, int]
) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            three = [
                await stack.enter_async_context(origin(answering(ok(name))))
                for name in (b"a", b"b", b"c")
            ]
            weights = {"a": "weight = 1", "b": "weight = 2", "c": "weight = 3"}
            toml = f'algorithm = "{algorithm}"'
            it = await stack.enter_async_context(calling(*three, toml=toml, **weights))
            assert Counter([await it.text() for _ in range(30)]) == shares

    run(test())


def test_a_request_arrives_as_it_was_made_but_for_its_backend(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            calling(a) as it,
            it.session.get(f"{ORDERS}path?q=1", headers={"X-Own": "1"}) as answer,
        ):
            said = await answer.text()
            assert str(answer.url) == f"{ORDERS}path?q=1"
            assert answer.request_info.headers["X-Backend-Server"] == a.address
            assert said.startswith("GET /path?q=1 HTTP/1.1\r\nHost: orders\r\n")
            assert "X-Own: 1\r\n" in said
            assert f"X-Backend-Server: {a.address}\r\n" in said

    run(test())


def test_other_hosts_pass_untouched(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            origin(echo) as other,
            calling(a) as it,
            it.session.get(f"http://{other.address}/") as answer,
        ):
            assert "X-Backend-Server" not in await answer.text()
            with pytest.raises(aiohttp.ClientConnectorError):  # another port is another service
                await it.session.get("http://orders:1/")
            assert not it.leases

    run(test())


def test_a_key_is_taken_from_a_field(run: Run) -> None:
    async def test() -> None:
        toml = 'algorithm = "consistent_hash"\nkey = "header:X-User"'
        async with (
            origin(answering(ok(b"a"))) as a,
            origin(answering(ok(b"b"))) as b,
            calling(a, b, toml=toml) as it,
        ):
            seen = {
                user: {await it.text(headers={"X-User": str(user)}) for _ in range(3)}
                for user in range(20)
            }
        assert all(len(places) == 1 for places in seen.values())
        assert set.union(*seen.values()) == {"a", "b"}

    run(test())


def test_a_backend_that_goes_down_is_left_out_until_it_is_back(run: Run) -> None:
    async def test() -> None:
        checks = '[health]\ninterval = "20ms"\nfast_interval = "5ms"\njitter = 0.0\n'
        async with (
            origin(answering(ok(b"a"))) as a,
            origin(answering(ok(b"b"))) as b,
            calling(a, b, health=checks) as it,
        ):
            assert {await it.text() for _ in range(4)} == {"a", "b"}
            a.script = answering(ok(status=b"500 Broken"))
            await it.hears("backend down")
            for wire in a.wires:
                wire.writer.close()
            assert {await it.text() for _ in range(4)} == {"b"}
            a.script = answering(ok(b"a"))
            await it.hears("backend up")
            assert {await it.text() for _ in range(4)} == {"a", "b"}
            assert ("info", "backend up") in [line[:2] for line in it.log]

    run(test())


def test_errors_eject_a_backend(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(answering(ok(status=b"500 Broken"))) as a,
            origin(answering(ok(b"b"))) as b,
            calling(a, b) as it,
        ):
            for _ in range(20):
                await it.text()
            assert len(a.requests) == 5
            assert "backend ejected" in [line[1] for line in it.log]

    run(test())


def test_a_load_report_is_heard(run: Run) -> None:
    async def test() -> None:
        loaded = answering(ok(b"a", b"X-LB-Load: in_flight=900, latency_ms=1000"))
        idle = answering(ok(b"b", b"X-LB-Load: in_flight=1, latency_ms=1"))
        async with (
            origin(loaded) as a,
            origin(idle) as b,
            calling(a, b, toml='algorithm = "least_reported"') as it,
        ):
            said = [await it.text() for _ in range(20)]
        assert said.count("b") > 12

    run(test())


def test_it_begins_with_the_first_request(run: Run) -> None:
    async def test() -> None:
        async with origin(answering(ok(b"a"))) as a:
            orders = balance("orders", backends=[a.address])
            assert orders.snapshot() is None
            async with aiohttp.ClientSession(middlewares=[orders]) as session:
                answers = await asyncio.gather(*(session.get(ORDERS) for _ in range(3)))
                assert [await answer.text() for answer in answers] == ["a"] * 3
            known = orders.snapshot()
            assert known is not None
            assert known.backends[0].checks == 1
            assert known.backends[0].succeeded == 3
            await orders.close()

    run(test())


def test_a_file_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "lb.toml"
    path.write_text('algorithm = "p2c"\n[[backend]]\naddress = "127.0.0.1:1"\n')
    assert repr(balance("Orders", path)) == "<Balance orders p2c 1 backends>"
    path.write_text('algorithm = "p2d"\n')
    with pytest.raises(ConfigError, match=r"lb\.toml:1 algorithm\.name: unknown"):
        balance("orders", str(path))


def test_it_leaves_nothing_to_the_garbage_collector(run: Run) -> None:
    async def test() -> None:
        async with origin(answering(ok(b"a"))) as a, calling(a) as it:
            for _ in range(5):
                await it.text()
            it.leases.clear()
            it.outcomes.clear()
            gc.collect()
            gc.disable()
            try:
                for _ in range(20):
                    await it.text()
                it.leases.clear()
                it.outcomes.clear()
                assert gc.collect() < 20
            finally:
                gc.enable()

    run(test())


def test_it_may_serve_one_loop_after_the_other(run: Run) -> None:
    orders = balance("orders", backends=["127.0.0.1:1"], health={"enabled": False})

    async def test() -> None:
        async with orders, aiohttp.ClientSession(middlewares=[orders]) as session:
            with pytest.raises(Refused) as refused:
                await session.get(ORDERS)
            assert refused.value.code == "connect"

    run(test())
    run(test())


@pytest.mark.parametrize("name", ["", "http://orders/", "a b"])
def test_a_name_is_a_host(name: str) -> None:
    with pytest.raises(UsageError, match="is no host"):
        balance(name, backends=["127.0.0.1:1"])


def test_a_scenario_is_judged_as_a_file_is() -> None:
    with pytest.raises(ConfigError, match="did you mean 'round_robin'"):
        balance("orders", backends=["127.0.0.1:1"], algorithm="round_robbin")


def test_lb_alone_knows_no_aiohttp() -> None:
    code = "import lb, sys; assert 'aiohttp' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_example_beside_it_is_right() -> None:
    assert doctest.testmod(client) == (0, 2)
