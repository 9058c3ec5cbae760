"""A proxy without sockets and clock: what clients and backends say is handed to it, one by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from lb.balancing import Swap
from lb.config import Scenario, Tracing
from lb.proxy.exchange.client import ClientConnection
from lb.proxy.http.tracing import Marks
from lb.proxy.lifecycle import Proxy
from lb.proxy.logs.lines import Heads, as_json, facts
from lb.proxy.logs.objects import Objects
from lb.proxy.logs.recorder import Recorder
from lb.proxy.logs.teller import Teller
from lb.proxy.upstream.connection import UpstreamConnection
from lb.recording.wanted import Recording

FILE = """
algorithm = "{algorithm}"
key = "{key}"
[server]
listen = "127.0.0.1:0"

[health]
enabled = false
{more}
[[backend]]
address = "127.0.0.1:3001"
name = "a"
[[backend]]
address = "127.0.0.1:3002"
name = "b"
max_in_flight = 1
"""


class Transport:
    """Notes what is asked of it."""

    def __init__(self, peer: bool = True) -> None:
        self.said: list[tuple[str, bytes]] = []
        self.peer = peer
        self.closing = self.lost = False
        self.reading = True

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 5) if name == "peername" and self.peer else default

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        self.said.append(("write", data))

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def write_eof(self) -> None:
        self.said.append(("eof", b""))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.said.append(("close", b""))
        self.closing = True

    def abort(self) -> None:
        self.said.append(("abort", b""))
        self.closing = True

    def set_protocol(self, protocol: object) -> None:
        self.said.append(("tunnel", b""))


class Place:
    """A backend's connections, each there at once."""

    def __init__(self, house: House, pool: Any) -> None:
        self._house = house
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def carry(self, attempt: Any, now: float) -> None:
        connection = None if attempt.fresh else self._pool.take_idle()
        if connection is None:
            self.connect(attempt)
        else:
            connection.attempt = attempt
            attempt.exchange.sent_on(attempt, connection, self._pool.request_end, now)

    def connect(self, attempt: Any) -> None:
        connection = UpstreamConnection(self._pool)
        transport: Any = Transport()
        connection.connection_made(transport)
        self._house.upstreams.append((connection, transport))
        connection.attempt = attempt
        attempt.exchange.sent_on(attempt, connection, self._pool.request_end, self._house.clock)


class Notes(Teller):
    """What the access log would say."""

    def __init__(self, note: Callable[..., None]) -> None:
        super().__init__()
        self.note = note
        self.heads = Heads()
        self.objects = Objects(self.heads)

    def ended(
        self, exchange: Any, attempt: Any, now: float, code: str, who: str, phase: str
    ) -> None:
        end = (exchange, attempt, now, code, who, phase, 1e9)
        line = self.objects.line(*end)
        assert line == as_json(facts(self.heads, *end))
        self.note("", "", told=line)

    def rejected(self, peer: bytes, status: int, line: bytes, seconds: float) -> None:
        self.note("", "", rejected=status, line=line.decode("latin-1"), seconds=seconds)


class House:
    """A proxy without sockets, one client at a time."""

    def __init__(self, text: str, folder: Path, *, brisk: bool) -> None:
        self.clock = 100.0
        self.log: list[tuple[str, str, str]] = []
        self.recording = folder / f"recording-{brisk}"
        self.proxy = Proxy(
            Scenario.parse(text),
            self._note,
            recorder=Recorder(Recording(self.recording), self._note, seed=7, wall=float),
            now=lambda: self.clock,
        )
        self.proxy.context.brisk = brisk
        self.proxy.context.teller = Notes(self._note)
        if self.proxy.context.marks is not None:  # of both houses the same ones
            table = Tracing(request_id="X-Request-ID", otlp="http://collector", sample=0.5)
            self.proxy.context.marks = Marks(table, Random(3))
        hop = self.proxy.context.intermediary
        hop.tails = tuple(tail.replace(hop.pseudonym, b"us") for tail in hop.tails)
        hop.pseudonym = b"us"
        self.upstreams: list[tuple[UpstreamConnection, Transport]] = []
        for backend in self.proxy.balancer.pool.backends:
            backend.site = Place(self, backend.site)
        self.clients: list[tuple[ClientConnection, Transport]] = []
        self.enter()

    def _note(self, level: str, event: str, **fields: object) -> None:
        self.log.append((level, event, json.dumps(fields, default=str, sort_keys=True)))

    def enter(self) -> None:
        proxy = self.proxy
        client = ClientConnection(proxy.context, proxy.timers, proxy.dispatcher, proxy.clients)
        transport: Any = Transport()
        client.connection_made(transport)
        self.clients.append((client, transport))

    async def hears(self, event: str, number: int, text: bytes) -> None:
        """One step, and all that follows from it."""
        client, transport = self.clients[-1]
        if event == "client":
            if transport.reading and not transport.closing:
                client.data_received(text)
        elif event == "full":
            (client.resume_writing if client.full else client.pause_writing)()
        elif event == "later":
            self.clock += number / 4
            self.proxy.dispatcher.sweep(self.clock)
            self.proxy.timers.sweep(self.clock)
        elif event == "gone":
            if not client.eof_received():
                transport.close()
        elif event == "swap":
            self.proxy.dispatcher.perform(Swap(("round_robin", "least_connections")[number % 2]))
        else:
            busy = [it for it in self.upstreams if it[0].attempt is not None and it[1].reading]
            if not busy:
                return
            connection, transport = busy[number % len(busy)]
            if event == "backend":
                connection.data_received(text)
            else:
                transport.close()
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)
            for protocol, transport in (*self.clients, *self.upstreams):
                if transport.closing and not transport.lost:
                    transport.lost = True
                    protocol.connection_lost(None)
        if self.clients[-1][1].lost and not self.proxy.clients.draining:
            self.enter()

    @property
    def seen(self) -> object:
        """All that anybody can tell from outside."""
        snapshot = self.proxy.balancer.snapshot(self.clock)
        return (
            [transport.said for _, transport in self.clients],
            [transport.said for _, transport in self.upstreams],
            [transport.reading for _, transport in (*self.clients, *self.upstreams)],
            [len(backend.site.idle) for backend in self.proxy.balancer.pool.backends],
            [client.silence.since for client, _ in self.clients],
            [client.owed.since for client, _ in self.clients],
            replace(snapshot, backends=()),
            [repr(backend) for backend in snapshot.backends],
            self.proxy.context.measured.server,
            self.proxy.context.measured.client,
            self.log,
        )

    async def end(self) -> bytes:
        self.proxy.hurry()
        self.proxy.clients.expect_no_more(patience=0.0)
        self.proxy.clients.cut_off()
        await self._settle()
        await self.proxy.stop()
        return self.recording.read_bytes()
