"""Server-sent events."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientError, ClientResponse

from lb.admin import serving, streams
from lb.admin.app import application
from lb.admin.serving import Admin
from lb.admin.streams import Readers
from lb.config import Scenario
from tests.admin.house import ClientSession, Held, Plane, plane, run


async def heard(response: ClientResponse) -> tuple[int, str, Any]:
    """The next event: its id, name and data."""
    while True:
        block = await response.content.readuntil(b"\n\n")
        fields = dict(line.split(": ", 1) for line in block.decode().strip().split("\n"))
        if "data" in fields:
            return int(fields["id"]), fields["event"], json.loads(fields["data"])


def tell(held: Held, number: int) -> None:
    held.events.happened(1.5, "warning", "backend down", {"backend": "a", "reason": f"{number}\n"})


def test_events_come_as_they_happen_after_what_is_remembered() -> None:
    async def test() -> None:
        async with plane() as lb:
            tell(lb.held, 1)
            async with lb.client.get("/events") as response:
                assert response.headers["Content-Type"].startswith("text/event-stream")
                number, name, data = await heard(response)
                assert (number, name) == (1, "backend down")
                assert data == {
                    "number": 1,
                    "time": 1.5,
                    "level": "warning",
                    "event": "backend down",
                    "fields": {"backend": "a", "reason": "1\n"},
                }
                for later in (2, 3):
                    tell(lb.held, later)
                    assert (await heard(response))[0] == later

    run(test())


@pytest.mark.parametrize(("last", "next_"), [("2", 3), ("3", 4), ("99", 1), ("x", 1), ("", 1)])
def test_a_reader_goes_on_where_it_was(last: str, next_: int) -> None:
    async def test() -> None:
        async with plane() as lb:
            for number in (1, 2, 3):
                tell(lb.held, number)
            async with lb.client.get("/events", headers={"Last-Event-ID": last}) as response:
                if next_ == 4:
                    await response.content.readuntil(b"\n\n")  # it listens
                    tell(lb.held, 4)
                assert (await heard(response))[0] == next_

    run(test())


def test_a_silent_stream_shows_that_somebody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOK", 0.01)
    monkeypatch.setattr(streams, "HEARTBEAT", 0.01)

    async def test() -> None:
        async with plane() as lb, lb.client.get("/events") as response:
            seen = [await response.content.readuntil(b"\n\n") for _ in range(3)]
            assert seen[1:] == [b": nothing new\n\n"] * 2

    run(test())


async def until_gone(lb: Plane) -> None:
    app = lb.client.app
    assert app is not None
    while len(app[streams.READERS]):
        await asyncio.sleep(0.001)


def test_who_leaves_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOK", 0.01)

    async def test() -> None:
        async with plane() as lb:
            listeners = set(lb.held.events._listeners)
            async with lb.client.get("/events") as response:
                await response.content.readuntil(b"\n\n")
                assert lb.held.events._listeners != listeners
            await until_gone(lb)
            assert lb.held.events._listeners == listeners

    run(test())


@asynccontextmanager
async def unread(lb: Plane) -> AsyncIterator[Readers]:
    """A stream that nobody reads."""
    app = lb.client.app
    assert app is not None
    readers = app[streams.READERS]
    loop = asyncio.get_running_loop()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        await loop.sock_connect(slow, ("127.0.0.1", lb.client.port))
        await loop.sock_sendall(slow, b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        while not len(readers):
            await asyncio.sleep(0.001)
        yield readers


def tell_much(held: Held) -> None:
    held.events.happened(1.0, "info", "x", {"much": "y" * 100_000})


def test_who_does_not_read_is_dropped_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "ROOM", 10)

    async def test() -> None:
        async with plane() as lb, unread(lb) as readers:
            told = 0
            while len(readers):
                told += 1
                tell_much(lb.held)
                await asyncio.sleep(0)
            assert told > 10
            assert (await lb.ask("GET", "/lb-health")).status == 200

    run(test())


def test_who_does_not_read_is_cut_off_in_the_end() -> None:
    async def test() -> None:
        async with plane() as lb, unread(lb) as readers:
            (request,) = readers._wakes.values()
            transport = request.transport
            assert transport is not None
            while not transport.get_write_buffer_size():
                tell_much(lb.held)
                await asyncio.sleep(0)
            readers.close()
            assert transport.is_closing()
            while len(readers):
                await asyncio.sleep(0.001)

    run(test())


def test_there_is_an_end_to_how_many_may_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST", 1)

    async def test() -> None:
        async with plane() as lb, lb.client.get("/events") as response:
            await response.content.readuntil(b"\n\n")
            assert (await lb.ask("GET", "/events")).status == 503

    run(test())


def test_streams_do_not_hold_up_the_end() -> None:
    async def test() -> None:
        held = Held()
        admin = Admin(held, Scenario())
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        await admin.start([listening])
        async with ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/lb-health") as answer:
                assert answer.status == 200  # and its connection stays open
            async with session.get(f"http://127.0.0.1:{port}/events") as response:
                await response.content.readuntil(b"\n\n")
                await admin.stop()
                assert await response.content.read() == b""
        assert listening.fileno() == -1

    run(test())


def test_an_application_may_be_made_without_running() -> None:
    async def test() -> None:
        app = application(Held())
        assert not len(app[streams.READERS])

    run(test())


def test_what_is_no_http_is_400_and_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        admin = Admin(Held(), Scenario())
        listening = socket.create_server(("127.0.0.1", 0))
        place = listening.getsockname()
        await admin.start([listening])
        for garbage in (
            b"\x16\x03\x01\x02\x00\r\n\r\n",
            b"GET / HTTP/9\r\n\r\n",
            b"\r\n" * 9 + b"x\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection(*place)
            writer.write(garbage)
            assert b" 400 " in await reader.readline()
            writer.close()
            await writer.wait_closed()
        await admin.stop()

    run(test())
    assert not caplog.records


def test_there_is_an_end_to_how_many_may_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST", 1)
    monkeypatch.setattr(streams, "LOOK", 0.01)

    async def test() -> None:
        admin = Admin(Held(), Scenario())
        listening = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        await admin.start([listening])
        async with ClientSession() as session, session.get(f"{url}/events") as first:
            await first.content.readuntil(b"\n\n")
            with pytest.raises(ClientError):
                await session.get(f"{url}/lb-health")
        async with ClientSession() as session:
            while True:  # until it has been noticed that the first has left
                try:
                    async with session.get(f"{url}/lb-health") as answer:
                        assert answer.status == 200
                        break
                except ClientError:
                    await asyncio.sleep(0.001)
        await admin.stop()

    run(test())
