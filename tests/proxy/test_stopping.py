"""A stop loses nobody who has come before it: not in the accept queue, not in half a head."""

from __future__ import annotations

import asyncio
import socket
from unittest import mock

import pytest

from lb.proxy import lifecycle
from lb.proxy.exchange import client as exchange_client
from lb.proxy.exchange.taking import LAST
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Proxy,
    Wire,
    echo,
    get,
    origin,
    post,
    proxy,
    scenario,
    silent,
)


async def wired(connection: socket.socket) -> Wire:
    return Wire(*await asyncio.open_connection(sock=connection))


def test_a_stop_answers_whoever_waits_in_the_accept_queue(run: Run) -> None:
    """The event loop has not heard of any of them when the stop begins."""

    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            waiting = [socket.create_connection(lb.address) for _ in range(50)]
            for number, connection in enumerate(waiting):
                connection.sendall(get(f"/{number}"))
            stopping = asyncio.ensure_future(lb.driver.stop())
            for number, connection in enumerate(waiting):
                client = await wired(connection)
                answer = await client.response()
                assert answer.body.startswith(b"GET /%d " % number)
                assert answer["Connection"] == "close"
                assert await client.closed()
                client.close()
            assert await stopping is True

    run(test())


def test_a_request_that_follows_its_connection_closely_is_answered(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            client = await wired(socket.create_connection(lb.address))
            stopping = asyncio.ensure_future(lb.driver.stop())
            while not lb.driver.clients:
                await asyncio.sleep(0)
            client.send(get("/late"))
            assert (await client.response()).body.startswith(b"GET /late ")
            assert await stopping is True
            client.close()

    run(test())


def test_what_an_idle_connection_has_just_sent_is_answered(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            with socket.create_connection(lb.address) as connection:
                connection.sendall(get("/first"))
                while not lb.outcomes:
                    await asyncio.sleep(0)
                connection.sendall(get("/second"))  # in the kernel, and not read yet
                assert await lb.driver.stop() is True
                connection.setblocking(False)
                assert connection.recv(2**16).count(b"HTTP/1.1 200 OK") == 2

    run(test())


async def half_a_head(lb: Proxy, client: Wire) -> None:
    client.send(get("/half")[:-2])
    while not any(it._reader.begun for it in lb.driver.clients):
        await asyncio.sleep(0)


def test_a_half_received_head_may_still_become_whole(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            await half_a_head(lb, client)
            stopping = asyncio.ensure_future(lb.driver.stop())
            while not any(it.phase == LAST for it in lb.driver.clients):
                await asyncio.sleep(0)
            client.send(b"\r\n", get("/next"))
            answer = await client.response()
            assert answer.body.startswith(b"GET /half ")
            assert answer["Connection"] == "close"
            assert await client.closed()  # one more was its last
            assert await stopping is True
            assert [request.target for request in a.requests] == ["/half"]

    run(test())


def test_a_half_received_head_gets_its_time_and_no_more(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\nheader = "100ms"\n'
        async with origin(echo) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            await half_a_head(lb, client)
            stopping = asyncio.ensure_future(lb.driver.stop())
            assert (await client.response()).status == 408
            assert await client.closed()
            client.close()
            assert await stopping is True

    run(test())


@pytest.mark.parametrize("before", [True, False])
def test_a_client_that_reads_its_refusal_and_stays_holds_up_no_stop(
    run: Run, *, before: bool
) -> None:
    """It lingers for as long as a head may take, once it has been refused, but not in a stop."""

    async def test() -> None:
        toml = '[timeouts]\ndrain = "5s"\nheader = "60s"\n'
        with mock.patch.object(exchange_client, "LINGER", 0.01):
            async with origin(echo) as a, proxy(a, toml=toml) as lb, lb.client() as client:
                await half_a_head(lb, client)
                stopping = None if before else asyncio.ensure_future(lb.driver.stop())
                while stopping and not any(it.phase == LAST for it in lb.driver.clients):
                    await asyncio.sleep(0)
                client.send(b"no field\r\n\r\n")
                assert (await client.response()).status == 400
                assert await (stopping or lb.driver.stop()) is True

    run(test())


def test_half_received_heads_do_not_outlast_the_drain(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\ndrain = "50ms"\n'
        async with origin(echo) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            await half_a_head(lb, client)
            assert await lb.driver.stop() is False
            assert await client.is_reset()

    run(test())


@pytest.mark.parametrize("body", [b"", b"body"])
def test_being_asked_twice_holds_whenever_it_comes(run: Run, body: bytes) -> None:
    """Even before the first wait has begun."""

    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            client.send(post(body) if body else get())
            await a.arrived.get()
            lb.driver.hurry()
            assert await lb.driver.stop() is False
            assert await client.is_reset()

    run(test())


def test_a_stop_before_the_first_answers_waits_for_nobody(run: Run) -> None:
    async def test() -> None:
        health = '[health]\ntimeout = "1h"\n'
        async with origin(silent) as a:
            driver = lifecycle.Proxy(scenario(a, toml=health), lambda *_, **__: None)
            starting = asyncio.ensure_future(driver.start())
            await a.arrived.get()
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            assert await driver.stop() is True
            await a.left.get()  # the check has ended too

    run(test())


# --- somebody else listens already


def test_an_idle_client_is_told_with_its_next_answer(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as idle, lb.client() as silent:
            for client in (idle, silent):
                client.send(get())
                assert (await client.response())["Connection"] is None
            stopping = asyncio.ensure_future(lb.driver.stop(patience=30.0))
            while not lb.driver.clients.draining:
                await asyncio.sleep(0)
            await asyncio.sleep(2 * exchange_client.GRACE)
            assert len(lb.driver.clients) == 2
            idle.send(get("/next"))
            answer = await idle.response()
            assert answer.body.startswith(b"GET /next ")
            assert answer["Connection"] == "close"
            assert await idle.closed()
            assert not stopping.done()
            lb.driver.hurry()  # as if the time were up
            assert await silent.closed()
            assert await stopping is True

    run(test())


def test_who_hears_an_answer_that_has_begun_may_ask_once_more(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def script(wire: Wire, it: Origin) -> None:
            while await it.take(wire) is not None:
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
                await go_on.wait()
                wire.send(b"held")

        async with origin(script) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            head = await client.head()
            assert head is not None
            assert head["Connection"] is None
            stopping = asyncio.ensure_future(lb.driver.stop(patience=30.0))
            while not lb.driver.clients.draining:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            go_on.set()
            assert (await client.body(head)).body == b"held"
            client.send(get())
            assert (await client.response())["Connection"] == "close"
            assert await stopping is True

    run(test())


def test_idle_clients_are_waited_for_as_long_as_patience_lasts(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as idle, lb.client() as busy:
            busy.send(get())
            await a.arrived.get()
            idle.send(get("/lb-health"))
            await idle.response()
            stopping = asyncio.ensure_future(lb.driver.stop(patience=0.01))
            assert await idle.closed()
            assert not stopping.done(), "what is in flight has its own time"
            lb.driver.hurry()
            assert await stopping is False

    run(test())


def test_an_answer_under_way_is_completed_when_patience_is_over(run: Run) -> None:
    go_on = asyncio.Event()

    async def script(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await go_on.wait()
        wire.send(b"held")

    async def test() -> None:
        async with origin(script) as a, proxy(a) as lb, lb.client() as client, lb.client() as idle:
            client.send(get())
            head = await client.head()
            assert head is not None
            idle.send(get("/lb-health"))
            await idle.response()
            stopping = asyncio.ensure_future(lb.driver.stop(patience=0.01))
            assert await idle.closed()
            go_on.set()
            assert (await client.body(head)).body == b"held"
            assert await client.closed(), "it was its last"
            assert await stopping is True

    run(test())
