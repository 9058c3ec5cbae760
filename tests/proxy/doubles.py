"""Backends that do as a script says, clients that speak raw bytes, and a proxy between them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from lb.aside import Lookup, system_lookup
from lb.balancing import Backend, Balancer, Lease
from lb.config import Scenario
from lb.proxy import lifecycle
from lb.strategies import Outcome
from tests.proxy.wires import Message, Wire

Script = Callable[[Wire, "Origin"], Awaitable[None]]


class Origin:
    """A backend; `script` plays once for every connection and may be changed at any time."""

    def __init__(self, script: Script, server: asyncio.Server) -> None:
        self.script = script
        self.requests: list[Message] = []
        self.connections = 0
        self.wires: list[Wire] = []
        self.arrived: asyncio.Queue[Message] = asyncio.Queue()
        self.left: asyncio.Queue[None] = asyncio.Queue()  # one for each connection that ended
        self._server = server
        name = server.sockets[0].getsockname()
        self.address = f"unix:{name}" if isinstance(name, str) else f"{name[0]}:{name[1]}"

    async def take(self, wire: Wire) -> Message | None:
        """Read a request and note it."""
        request = await wire.request()
        if request is not None:
            self.note(request)
        return request

    def note(self, request: Message) -> None:
        self.requests.append(request)
        self.arrived.put_nowait(request)

    def stop_listening(self) -> None:
        self._server.close()


@asynccontextmanager
async def origin(
    script: Script, path: Path | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Origin]:
    """Listens at a port, or at the Unix socket `path`."""
    players: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        players.add(task)
        wire = Wire(reader, writer)
        it.wires.append(wire)
        it.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await it.script(wire, it)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            players.discard(task)
            writer.close()
            it.left.put_nowait(None)

    if path is None:
        server = await asyncio.start_server(play, "127.0.0.1", 0, limit=2**20, ssl=tls)
    else:
        server = await asyncio.start_unix_server(play, str(path), limit=2**20, ssl=tls)
    it = Origin(script, server)
    try:
        yield it
    finally:
        server.close()
        for task in list(players):
            task.cancel()
        await asyncio.gather(*players, return_exceptions=True)
        await asyncio.sleep(0)


def refusing() -> socket.socket:
    """A port that nobody listens on, and nobody else can take while it is open."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken


def address_of(taken: socket.socket) -> str:
    host, port = taken.getsockname()
    return f"{host}:{port}"


# --- scripts


def ok(body: bytes = b"", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    lines = b"".join(line + b"\r\n" for line in fields)
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), lines, body)


def answering(*answers: bytes) -> Script:
    """These answers in turn, the last one for ever; connections stay open."""
    left = list(answers)

    async def script(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            wire.send(left.pop(0) if len(left) > 1 else left[0])

    return script


async def echo(wire: Wire, it: Origin) -> None:
    """The answer's body is the request: its head, then its body."""
    while (request := await it.take(wire)) is not None:
        wire.send(ok(request.raw_head + request.body))


async def silent(wire: Wire, it: Origin) -> None:
    while await it.take(wire) is not None:
        pass


async def resets(wire: Wire, it: Origin) -> None:
    await it.take(wire)
    wire.reset()


def closing_after(answer: bytes) -> Script:
    async def script(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(answer)

    return script


# --- the proxy


class Proxy:
    """A running proxy, and everything its balancer was told."""

    def __init__(
        self, driver: lifecycle.Proxy, log: list[tuple[str, str, dict[str, object]]]
    ) -> None:
        self.driver = driver
        self.log = log
        self.outcomes: list[tuple[str, Outcome]] = []
        self.latencies: list[float] = []
        self.ended: asyncio.Queue[tuple[str, Outcome]] = asyncio.Queue()
        balancer = driver.balancer
        self.leases = note_leases(balancer)
        note_ends(balancer, self._ended)

    def _ended(self, backend: Backend, outcome: Outcome, latency: float) -> None:
        self.outcomes.append((backend.name, outcome))
        self.latencies.append(latency)
        self.ended.put_nowait((backend.name, outcome))

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.driver.addresses[0].rpartition(":")
        return host, int(port)

    @property
    def pseudonym(self) -> str:
        """Its name in Via to backends."""
        return self.driver.context.intermediary.pseudonym.decode()

    @property
    def backends(self) -> list[Backend]:
        return self.driver.balancer.pool.backends

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Wire]:
        reader, writer = await asyncio.open_connection(*self.address, limit=2**20)
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()

    async def get(self, target: str = "/", *fields: str) -> Message:
        """One GET on a connection of its own."""
        async with self.client() as client:
            client.send(get(target, "Connection: close", *fields))
            answer = await client.response()
            assert await client.closed()
            return answer


def note_leases(balancer: Balancer[Any]) -> list[Lease[Any]]:
    """Every attempt from now on, retries too."""
    leases: list[Lease[Any]] = []
    kind: Any = balancer.lease_type

    class Noted(kind):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            leases.append(self)

    balancer.lease_type = Noted
    return leases


def note_ends(balancer: Balancer[Any], note: Callable[[Backend, Outcome, float], None]) -> None:
    """`note` hears how every attempt ended, and after how many seconds its answer began."""
    kind: Any = balancer.lease_type

    class Noted(kind):
        def done(
            self, now: float, outcome: Outcome = Outcome.OK, first_byte: float | None = None
        ) -> None:
            super().done(now, outcome, first_byte)
            began = now if first_byte is None else first_byte
            note(self.backend, outcome, began - self.started_at)

    balancer.lease_type = Noted


def get(target: str = "/", *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    lines = "".join(f"{line}\r\n" for line in fields)
    return f"{method} {target} HTTP/{version}\r\nHost: example.test\r\n{lines}\r\n".encode(
        "latin-1"
    )


def post(body: bytes, *fields: str, target: str = "/", method: str = "POST") -> bytes:
    return get(target, f"Content-Length: {len(body)}", *fields, method=method) + body


NO_HEALTH = "[health]\nenabled = false\n"
HALF_CLOSE = '[server]\nlisten = "127.0.0.1:0"\nhalf_close = true\n'


def scenario(
    *backends: Origin | socket.socket | str, toml: str = NO_HEALTH, **rows: str
) -> Scenario:
    """`toml` goes in front of the backends; `rows` are lines of each [[backend]]."""
    lines = [toml]
    if "[server]" not in toml and "[[listener]]" not in toml:
        lines.append('[server]\nlisten = "127.0.0.1:0"')
    for number, backend in enumerate(backends):
        if isinstance(backend, socket.socket):
            place = address_of(backend)
        else:
            place = backend if isinstance(backend, str) else backend.address
        extra = rows.get("abcdefgh"[number], "")
        lines.append(f'[[backend]]\naddress = "{place}"\nname = "{"abcdefgh"[number]}"\n{extra}')
    return Scenario.parse("\n".join(lines))


def attempts_measured(driver: lifecycle.Proxy) -> int:
    return sum(durations.count for durations in driver.context.measured.client.values())


@asynccontextmanager
async def proxy(
    *backends: Origin | socket.socket | str,
    toml: str = "",
    health: str = NO_HEALTH,
    lookup: Lookup = system_lookup,
    **rows: str,
) -> AsyncIterator[Proxy]:
    """A proxy in front of backends a, b, c ...; no test ends with a lease open.

    Unless the text says otherwise it never panics: those who are down get nothing.
    """
    if "[panic]" not in toml:
        health += "\n[panic]\nthreshold = 0.0\n"
    log: list[tuple[str, str, dict[str, object]]] = []
    driver = lifecycle.Proxy(
        scenario(*backends, toml=toml + "\n" + health, **rows),
        lambda level, event, **fields: log.append((level, event, fields)),
        Random(1),
        lookup=lookup,
    )
    it = Proxy(driver, log)
    try:
        await driver.start()
        yield it
    finally:
        driver.hurry()
        driver.clients.cut_off()
        await driver.stop()
    assert not driver.clients
    assert all(not lease.open for lease in it.leases)
    assert len(it.outcomes) == len(it.leases)
    assert attempts_measured(driver) == len(it.outcomes)
    assert all(backend.active == 0 for backend in it.backends)
