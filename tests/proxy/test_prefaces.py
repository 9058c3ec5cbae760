"""PROXY headers on connections: of clients to a listener that asks for them, and to backends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lb.proxy.listening import bind, place_of
from lb.proxy.proxy_protocol import Ends, read, written
from lb.proxy.upstream import share
from tests.proxy import papers
from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, Proxy, echo, get, ok, origin, proxy
from tests.proxy.wires import Wire

ASKING = '[[listener]]\naddress = "127.0.0.1:0"\nproxy_protocol = true\n'
PLAIN = '[[listener]]\naddress = "127.0.0.1:0"\n'
PATIENT = '[timeouts]\nconnect = "8s"\n'
SOMEBODY = Ends("203.0.113.7", 4711, "203.0.113.1", 80)
SOMEBODY_ELSE = Ends("2001:db8::7", 4711, "2001:db8::1", 80)


@asynccontextmanager
async def told(lb: Proxy, *first: bytes) -> AsyncIterator[Wire]:
    """A client whose first bytes are these."""
    async with lb.client() as client:
        client.send(*first)
        yield client


# --- in


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_client_is_who_the_header_says(run: Run, version: Any) -> None:
    async def test() -> None:
        toml = 'algorithm = "ip_hash"\n' + ASKING
        seen: list[bytes] = []
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            key_of = lb.driver.context.key_of
            assert key_of is not None

            def noting(*arguments: bytes) -> bytes:
                seen.append(key_of(*arguments))
                return seen[-1]

            lb.driver.context.key_of = noting
            for ends in (SOMEBODY, SOMEBODY_ELSE):
                async with told(lb, written(version, ends), get()) as client:
                    assert (await client.response()).status == 200
                    client.send(get())
                    assert (await client.response()).status == 200
            addresses = [SOMEBODY.source] * 2 + [SOMEBODY_ELSE.source] * 2
            assert [one["X-Forwarded-For"] for one in a.requests] == addresses
            assert seen == [address.encode() for address in addresses]

    run(test())


def test_a_header_may_come_byte_by_byte(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=ASKING) as lb, lb.client() as client:
            for byte in written("v2", SOMEBODY) + get():
                client.send(bytes((byte,)))
                await client.sent()
                await asyncio.sleep(0)
            assert (await client.response()).status == 200
            assert a.requests[0]["X-Forwarded-For"] == SOMEBODY.source

    run(test())


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_header_about_nobody_leaves_the_client_who_it_is(run: Run, version: Any) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            proxy(a, toml=ASKING) as lb,
            told(lb, written(version, None), get()) as client,
        ):
            assert (await client.response()).status == 200
            assert a.requests[0]["X-Forwarded-For"] == "127.0.0.1"

    run(test())


@pytest.mark.parametrize("said", [get(), b"PROXY TCP4 nonsense\r\n" + get(), b"\x16\x03\x01\0\0"])
def test_who_does_not_begin_with_a_header_is_closed(run: Run, said: bytes) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=ASKING) as lb, told(lb, said) as client:
            await client.is_reset()
            assert not a.requests
            assert not lb.driver.clients.present
            assert lb.driver.report().connections_refused["proxy_header"] == 1

    run(test())


def test_where_none_is_asked_for_a_header_is_no_request(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            proxy(a, toml=PLAIN) as lb,
            told(lb, written("v1", SOMEBODY), get()) as client,
        ):
            assert (await client.response()).status == 400
            assert not a.requests

    run(test())


def test_a_header_has_to_come_within_the_time_of_a_head(run: Run) -> None:
    async def test() -> None:
        toml = ASKING + '[timeouts]\nheader = "100ms"\n'
        async with proxy("127.0.0.1:1", toml=toml) as lb, told(lb, b"PROXY TCP4 ") as client:
            await client.is_reset()
            assert not lb.driver.clients.present
            (said,) = [fields for _, event, fields in lb.log if event == "connections refused"]
            assert said["kind"] == "proxy_header"
            assert said["client"] == "127.0.0.1"
            assert said["reason"] == "no PROXY header came in time"

    run(test())


def test_a_trusted_client_is_the_one_that_the_header_names(run: Run) -> None:
    async def test() -> None:
        toml = '[server]\ntrusted_proxies = ["203.0.113.0/24"]\n' + ASKING
        forwarded = get("/", "X-Forwarded-For: 198.51.100.1")
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            for ends in (SOMEBODY, SOMEBODY_ELSE):
                async with told(lb, written("v1", ends), forwarded) as client:
                    assert (await client.response()).status == 200
            chains = [one["X-Forwarded-For"] for one in a.requests]
            assert chains == [f"198.51.100.1, {SOMEBODY.source}", SOMEBODY_ELSE.source]

    run(test())


def test_who_has_said_nothing_yet_gives_its_place_to_others(run: Run) -> None:
    async def test() -> None:
        toml = ASKING + "[limits]\nclient_connections = 1\n"
        async with origin(echo) as a, proxy(a, toml=toml) as lb, lb.client() as silent:
            while not lb.driver.clients.present:
                await asyncio.sleep(0)
            lb.driver.timers.spare_one(float("inf"))
            assert await silent.closed()
            async with told(lb, written("v1", SOMEBODY), get()) as client:
                assert (await client.response()).status == 200
                assert len(a.requests) == 1

    run(test())


@pytest.mark.parametrize("patience", [0.0, 30.0])
def test_a_proxy_that_stops_waits_for_who_is_being_introduced(run: Run, patience: float) -> None:
    async def test() -> None:
        header = written("v2", SOMEBODY)
        async with origin(echo) as a, proxy(a, toml=ASKING) as lb, told(lb, header[:9]) as client:
            while not lb.driver.clients.present:
                await asyncio.sleep(0)
            stopping = asyncio.create_task(lb.driver.stop(patience))
            while not lb.driver.clients.draining:
                await asyncio.sleep(0)
            client.send(header[9:], get())
            answer = await client.response()
            assert (answer.status, answer["Connection"]) == (200, "close")
            assert len(a.requests) == 1
            assert await client.closed()
            assert await stopping

    run(test())


def test_tls_begins_behind_the_header(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        certificate, key = papers.written(tmp_path, "lb.test")
        toml = f'{ASKING}[listener.tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            async with told(lb, written("v2", SOMEBODY)) as client:
                await client.writer.start_tls(papers.trusting(), server_hostname="lb.test")
                client.send(get())
                assert (await client.response()).status == 200
            (request,) = a.requests
            assert request["X-Forwarded-For"] == SOMEBODY.source
            assert request["X-Forwarded-Proto"] == "https"

    run(test())


# --- out


class Introduced:
    """A backend that reads a header first."""

    def __init__(self) -> None:
        self.ends: list[Ends | None] = []
        self.served: dict[Ends | None, int] = {}

    async def __call__(self, wire: Wire, it: Origin) -> None:
        data = b""
        while (found := read(data)) is None:
            byte = await wire.reader.read(1)
            if not byte:
                return
            data += byte
        self.ends.append(found[0])
        while (request := await it.take(wire)) is not None:
            self.served[found[0]] = self.served.get(found[0], 0) + 1
            wire.send(ok(request.raw_head))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_backend_hears_who_the_client_is(run: Run, version: str) -> None:
    async def test() -> None:
        script = Introduced()
        row = f'proxy_protocol = "{version}"'
        async with origin(script) as a, proxy(a, a=row) as lb, lb.client() as client:
            for _ in range(3):
                client.send(get())
                assert (await client.response()).status == 200
            ours, theirs = client.writer.get_extra_info("sockname"), lb.address
            assert script.ends == [Ends(*ours, *theirs)]
            assert len(a.requests) == 3, "on one connection"

    run(test())


def test_a_connection_is_for_the_same_two_ends_alone(run: Run) -> None:
    async def test() -> None:
        script = Introduced()
        row = 'proxy_protocol = "v2"'
        port = replace(SOMEBODY, source_port=4712)
        place = replace(SOMEBODY, target_port=443)
        each = (SOMEBODY, port, place, SOMEBODY_ELSE, None, SOMEBODY)
        async with (
            origin(script) as a,
            proxy(a, toml=ASKING, a=row) as lb,
            AsyncExitStack() as stack,
        ):
            clients = []
            for ends in each:
                client = await stack.enter_async_context(told(lb, written("v1", ends)))
                clients.append(client)
            for client in clients * 2:
                client.send(get())
                assert (await client.response()).status == 200
            nobody = Ends(*clients[4].writer.get_extra_info("sockname"), *lb.address)
            assert script.served == {
                SOMEBODY: 4,
                port: 2,
                place: 2,
                SOMEBODY_ELSE: 2,
                nobody: 2,
            }
            assert script.ends == [*each[:4], nobody], "each on one connection"
            site = lb.backends[0].site
            assert site.idle == [], "nobody else is handed one"
            assert site.unused == 5
            site.close_idle(float("inf"))
            for _ in range(5):
                await a.left.get()
            clients[0].send(get())
            assert (await clients[0].response()).status == 200
            assert len(script.ends) == 6

    run(test())


def test_a_connection_for_a_client_closes_when_that_has_gone(run: Run) -> None:
    async def test() -> None:
        script = Introduced()
        row = 'proxy_protocol = "v1"'
        async with origin(script) as a, proxy(a, toml=ASKING, a=row) as lb:
            site = lb.backends[0].site
            async with told(lb, written("v1", SOMEBODY), get()) as first:
                assert (await first.response()).status == 200
                async with told(lb, written("v1", SOMEBODY), get()) as second:
                    assert (await second.response()).status == 200
                while len(lb.driver.clients) > 1:
                    await asyncio.sleep(0)
                assert site.unused == 1, "the first is still there"
            await a.left.get()
            assert site.unused == 0
            async with told(lb, written("v1", SOMEBODY), get()) as third:
                assert (await third.response()).status == 200
            assert script.ends == [SOMEBODY, SOMEBODY]

    run(test())


def test_of_connections_for_clients_so_many_are_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share, "KEPT", 2)

    async def test() -> None:
        script = Introduced()
        toml = ASKING + '[timeouts]\nidle = "100s"\n'
        async with (
            origin(script) as a,
            proxy(a, toml=toml, a='proxy_protocol = "v1"') as lb,
            AsyncExitStack() as stack,
        ):
            clients = []
            for number in range(4):
                ends = replace(SOMEBODY, source_port=4711 + number)
                client = await stack.enter_async_context(told(lb, written("v1", ends), get()))
                assert (await client.response()).status == 200
                clients.append(client)
            for _ in range(2):
                await a.left.get()
            assert lb.backends[0].site.unused == 2
            clients[3].send(get())
            assert (await clients[3].response()).status == 200
            assert len(script.ends) == 4, "the latest were kept"

    run(test())


def test_a_stale_connection_of_a_client_is_replaced_without_a_word(run: Run) -> None:
    async def once(wire: Wire, it: Origin) -> None:
        await wire.reader.readuntil(b"\r\n")
        await it.take(wire)
        wire.send(ok(b"and that is all"))

    async def test() -> None:
        async with (
            origin(once) as a,
            proxy(a, a='proxy_protocol = "v1"') as lb,
            lb.client() as client,
        ):
            for _ in range(3):
                client.send(get())
                assert (await client.response()).status == 200
                await a.left.get()
            assert a.connections == 3

    run(test())


def test_checks_are_on_behalf_of_the_proxy_itself(run: Run) -> None:
    async def test() -> None:
        script = Introduced()
        async with origin(script) as a, proxy(a, health="", a='proxy_protocol = "v2"') as lb:
            assert script.ends == [None]
            assert (await lb.get()).status == 200
            assert len(script.ends) == 2

    run(test())


def test_a_backend_hears_the_header_before_any_tls(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        (bound,) = bind(["127.0.0.1"], 0)
        tls = f'[backend.tls]\nca = "{papers.root(tmp_path)}"\nserver_name = "a.test"'
        row = f'proxy_protocol = "v2"\n{tls}'
        async with (
            proxy(place_of(bound), toml=ASKING + PATIENT, a=row) as lb,
            told(lb, written("v1", SOMEBODY), get()) as client,
        ):
            connection, _ = await loop.sock_accept(bound)
            header = b""  # nothing of what is behind it may be read here
            while (found := read(header)) is None:
                header += await loop.sock_recv(connection, 1)
            assert found == (SOMEBODY, b"")
            reader = asyncio.StreamReader()
            end = asyncio.StreamReaderProtocol(reader)
            transport, _ = await loop.connect_accepted_socket(
                lambda: end, connection, ssl=papers.serving("a.test")
            )
            await reader.readuntil(b"\r\n\r\n")
            transport.write(ok(b"in private"))  # type: ignore[attr-defined]
            assert (await client.response()).body == b"in private"
            transport.abort()  # type: ignore[attr-defined]
        bound.close()

    run(test())
