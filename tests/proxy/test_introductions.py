"""PROXY headers on connections to backends: who is introduced, and whose a connection is."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from lb.proxy.listening import bind, place_of
from lb.proxy.proxy_protocol import Ends, read, written
from lb.proxy.upstream import share
from tests.proxy import papers
from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, get, ok, origin, proxy
from tests.proxy.introduced import ASKING, SOMEBODY, SOMEBODY_ELSE, told
from tests.proxy.wires import Wire

PATIENT = '[timeouts]\nconnect = "8s"\n'


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
