"""Two layers of TLS back to back, without sockets."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from lb.proxy.tls.layer import Secured
from tests.proxy import papers

NAME = "a.test"


class Pipe(asyncio.Transport):
    """One end of a connection: keeps what is written until it is passed on."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False
        self.ended = False
        self.aborted = False
        self.reading = True

    def write(self, data: Any) -> None:
        assert not self.closing
        self.written.append(bytes(data))

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Notes(asyncio.Protocol):
    """What is above a layer: notes what it hears."""

    def __init__(self, stays: bool = False) -> None:
        self.heard: list[bytes] = []
        self.stays = stays
        self.ended = False
        self.lost: list[Exception | None] = []
        self.events: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def eof_received(self) -> bool:
        self.ended = True
        return self.stays

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


class Pair:
    """A client and a server, each with its pipe."""

    def __init__(self, context: ssl.SSLContext | None = None, stays: bool = False) -> None:
        loop = asyncio.get_running_loop()
        self.shaken = loop.create_future()
        self.above = [Notes(stays), Notes(stays)]
        self.client = Secured(self.above[0], context or papers.trusting(), NAME, self.shaken, loop)
        self.server = Secured(self.above[1], papers.serving(NAME), None, None, loop)
        self.pipes = [Pipe(), Pipe()]
        self.client.connection_made(self.pipes[0])
        self.server.connection_made(self.pipes[1])

    def pass_on(self) -> list[int]:
        """All that was written, both ways, until nothing more is; the sizes of its pieces."""
        sizes = []
        while any(pipe.written for pipe in self.pipes):
            for pipe, to in zip(self.pipes, (self.server, self.client), strict=True):
                pieces, pipe.written = pipe.written, []
                sizes += map(len, pieces)
                for piece in pieces:
                    to.data_received(piece)
        return sizes


def connected(**options: Any) -> Pair:
    it = Pair(**options)
    it.pass_on()
    assert it.shaken.done()
    return it
