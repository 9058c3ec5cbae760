"""A connection on which one question at a time is asked, and its answer read strictly."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import cast

from lb.proxy.http.response import Response, ResponseReader
from lb.proxy.http.rules import Malformed
from lb.system import reason

BODY = 64 * 1024
"""Bytes of an answer's body that are read; what comes behind them is not waited for."""
HEAD = 64 * 1024
"""Bytes of an answer's head."""
FIELDS = 200
INTERIM = 10
"""Answers of status 1xx that may come before the one that counts."""

_STATE = re.compile(rb"\r\nx-lb-state: *([^\r]*?)[ \t]*(?=\r|$)", re.IGNORECASE)


class Broken(Exception):
    """A connection was made, and no answer came of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer, its body as far as it is read."""

    status: int
    state: str
    """What the backend says of itself, in small letters."""
    load: str
    body: bytes

    @property
    def text(self) -> str:
        """The body for people, and for whoever looks for something in it."""
        return self.body.decode(errors="replace")


class Conversation(asyncio.Protocol):
    """Asks on one connection."""

    __slots__ = ("_answered", "_body", "_interim", "_loop", "_reader", "_response", "transport")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.transport: asyncio.Transport
        self._loop = loop
        self._reader = ResponseReader(HEAD, FIELDS)
        self._answered: asyncio.Future[Answer] | None = None
        self._response: Response | None = None  # whose body is arriving
        self._interim = 0
        self._body = b""

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Raises Broken."""
        answered = self._answered = self._loop.create_future()
        if self.transport.is_closing():
            self.connection_lost(None)
        else:
            self.transport.write(request)
        return answered

    def close(self) -> None:
        """Say and hear no more."""
        self._answered = None
        self.transport.abort()

    @property
    def usable(self) -> bool:
        """Another question may be asked."""
        return self._answered is None and not self.transport.is_closing()

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class

    def data_received(self, data: bytes) -> None:
        if self._answered is None:
            self.transport.abort()  # bytes that nobody asked for
            return
        self._reader.receive(data)
        try:
            self._read()
        except Malformed as error:
            self._break(Broken(str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        response = self._response
        if exc is not None:
            self._break(Broken(reason(exc) if isinstance(exc, OSError) else str(exc)))
        elif response is not None and self._reader.eof():
            self._end(response)
        else:
            when = "without an answer" if response is None else "in the middle of the answer"
            self._break(Broken(f"closed {when}"))

    # --- inside

    def _read(self) -> None:
        reader = self._reader
        response = self._response
        while response is None:
            response = reader.next(b"GET")
            if response is None:
                return
            if response.status < 200:
                self._interim += 1
                if response.status == 101 or self._interim > INTERIM:
                    raise Malformed("an answer that does not come to its point")
                response = None
        self._response = response
        if not reader.ended:
            self._body += reader.body()
        if reader.ended:
            self._end(response)
        elif len(self._body) >= BODY:
            self.transport.abort()
            self._end(response)

    def _end(self, response: Response) -> None:
        answered, self._answered, self._response = self._answered, None, None
        body, self._body, self._interim = self._body[:BODY], b"", 0
        if self._reader.rest or not response.keep_alive:  # bytes behind an answer: never again
            self.transport.abort()
        if answered is not None and not answered.done():
            state = _STATE.search(response.lines)
            answered.set_result(
                Answer(
                    response.status,
                    "" if state is None else state[1].decode("latin-1").lower(),
                    response.aside.load.decode("latin-1"),
                    body,
                )
            )

    def _break(self, error: Broken) -> None:
        answered, self._answered = self._answered, None
        self.transport.abort()
        if answered is not None and not answered.done():
            answered.set_exception(error)
