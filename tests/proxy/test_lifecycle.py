"""Starting and stopping: what is finished, what is closed, what is reported."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing

import pytest

from lb.errors import CannotListen
from lb.proxy import lifecycle
from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Script,
    Wire,
    echo,
    get,
    ok,
    origin,
    post,
    proxy,
    refusing,
    scenario,
    silent,
)


def held(go_on: asyncio.Event, answer: bytes = ok(b"held"), head: bytes = b"") -> Script:
    async def script(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            wire.send(head)
            await go_on.wait()
            wire.send(answer)

    return script


def test_a_stop_finishes_what_is_in_flight_and_closes_the_rest(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()
        async with (
            origin(held(go_on)) as a,
            proxy(a) as lb,
            lb.client() as idle,
            lb.client() as used,
            lb.client() as client,
        ):
            go_on.set()
            used.send(get())
            await used.response()
            go_on.clear()
            address = lb.address
            client.send(get())
            await a.arrived.get()
            await a.arrived.get()
            stopping = asyncio.ensure_future(lb.driver.stop())
            assert await idle.closed()
            assert await used.closed()
            assert not stopping.done()
            with pytest.raises(ConnectionError):
                await asyncio.open_connection(*address)
            go_on.set()
            answer = await client.response()
            assert answer.body == b"held"
            assert answer["Connection"] == "close"
            assert await client.closed()
            assert await stopping is True
            await a.left.get()

    run(test())


def test_a_stop_in_the_middle_of_an_answer(run: Run) -> None:
    """Its head promised to keep the connection; the stop does not wait for another request."""

    async def test() -> None:
        go_on = asyncio.Event()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"
        async with origin(held(go_on, b"b", head)) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            assert await client.head() is not None
            stopping = asyncio.ensure_future(lb.driver.stop())
            await asyncio.sleep(0)
            go_on.set()
            assert await client.reader.read() == b"ab"
            assert await stopping is True

    run(test())


def test_a_stop_answers_a_whole_pipeline(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()
        async with origin(held(go_on)) as a, proxy(a) as lb, lb.client() as client:
            client.send(get(), get(), get())
            await a.arrived.get()
            stopping = asyncio.ensure_future(lb.driver.stop())
            await asyncio.sleep(0)
            go_on.set()
            assert [(await client.response())["Connection"] for _ in range(3)] == [
                None,
                None,
                "close",
            ]
            assert await client.closed()
            assert await stopping is True

    run(test())


def test_a_stop_waits_for_a_body(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(post(b"body")[:-2])
            while not lb.backends[0].active:
                await asyncio.sleep(0)
            stopping = asyncio.ensure_future(lb.driver.stop())
            await asyncio.sleep(0)
            client.send(b"dy")
            assert (await client.response()).body.endswith(b"body")
            assert await stopping is True

    run(test())


def test_a_stop_does_not_wait_for_ever(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\ndrain = "50ms"\n'
        async with origin(silent) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            client.send(get())
            await a.arrived.get()
            assert await lb.driver.stop() is False
            assert await client.is_reset()
            assert lb.outcomes == [("a", Outcome.CLIENT_GONE)]
            assert not lb.driver.clients

    run(test())


def test_a_stop_can_be_hurried(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            await a.arrived.get()
            stopping = asyncio.ensure_future(lb.driver.stop())
            await asyncio.sleep(0)
            lb.driver.hurry()
            assert await stopping is False
            assert lb.outcomes == [("a", Outcome.CLIENT_GONE)]

    run(test())


def test_a_stop_while_a_backend_is_being_connected_or_waited_for(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\ndrain = "20ms"\n[queue]\nlimit = 5\ntimeout = "5s"\n'
        async with (
            origin(silent) as a,
            proxy(a, toml=toml, a="max_in_flight = 1") as lb,
            lb.client() as first,
            lb.client() as second,
        ):
            first.send(get())
            await a.arrived.get()
            second.send(get())
            while not lb.driver.balancer._line:
                await asyncio.sleep(0)
            assert await lb.driver.stop() is False

    run(test())


@pytest.mark.parametrize("listening", [True, False])
def test_a_port_in_use(run: Run, listening: bool) -> None:
    async def test() -> None:
        with closing(refusing()) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            if listening:
                taken.listen()
            place = f"127.0.0.1:{taken.getsockname()[1]}"
            driver = lifecycle.Proxy(
                scenario("127.0.0.1:1", toml=f'[server]\nlisten = "{place}"\n'),
                lambda *_, **__: None,
            )
            with pytest.raises(CannotListen) as refusal:
                await driver.start()
            assert str(refusal.value) == f"cannot listen on {place}: address already in use"
            assert await driver.stop() is True

    run(test())


def test_two_that_start_at_the_same_time(run: Run) -> None:
    """Both may bind before either listens; the second to listen says so in plain words."""

    async def test() -> None:
        go_on = asyncio.Event()

        async def late(wire: Wire, it: Origin) -> None:
            await it.take(wire)
            await go_on.wait()
            wire.send(ok())

        with closing(refusing()) as free:
            place = f"127.0.0.1:{free.getsockname()[1]}"
        async with origin(late) as a:
            toml = f'[server]\nlisten = "{place}"\n[health]\ntimeout = "5s"\n'
            drivers = [
                lifecycle.Proxy(scenario(a, toml=toml), lambda *_, **__: None) for _ in range(2)
            ]
            starting = [asyncio.ensure_future(driver.start()) for driver in drivers]
            await asyncio.wait(starting, timeout=0.1)
            go_on.set()
            results = await asyncio.gather(*starting, return_exceptions=True)
            assert sorted(str(result) for result in results) == [
                "None",
                f"cannot listen on {place}: address already in use",
            ]
            for driver in drivers:
                await driver.stop()

    run(test())


def test_a_connection_that_comes_during_the_stop_is_closed(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client, lb.client() as late:
            client.send(get())
            await a.arrived.get()
            stopping = asyncio.ensure_future(lb.driver.stop())
            await asyncio.sleep(0)
            assert await late.closed()
            (kept,) = lb.driver.clients
            client.reset()
            assert await stopping is True
            assert kept.closing

    run(test())


def test_ipv6(run: Run) -> None:
    async def test() -> None:
        toml = '[server]\nlisten = "[::1]:0"\n'
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            assert lb.driver.addresses[0].startswith("[::1]:")
            reader, writer = await asyncio.open_connection(
                "::1", int(lb.driver.addresses[0].rpartition(":")[2])
            )
            client = Wire(reader, writer)
            client.send(get())
            assert b"X-Forwarded-For: ::1\r\n" in (await client.response()).body
            client.close()

    run(test())


def test_small_packets_are_sent_at_once_on_both_sides(run: Run) -> None:
    """Nobody waits for a delayed acknowledgement."""

    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            await client.response()
            (inside,), (outside,) = lb.driver.clients, lb.backends[0].site.idle
            for connection in (inside, outside):
                opened = connection.transport.get_extra_info("socket")
                assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(test())
