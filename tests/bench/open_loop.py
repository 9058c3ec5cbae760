"""Open-loop load: requests leave at planned times, and each answer is kept with its figures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

REQUEST = b"GET /%d HTTP/1.1\r\nHost: bench\r\n\r\n"
LONGEST = 30.0
"""Seconds after the last request that its answer is waited for."""
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_BACKEND = re.compile(rb"(?i)\r\nx-backend-server: *([^\r\n]*)")


@dataclass
class Asked:
    """One request."""

    at: float
    """When it was to leave, seconds from the start."""
    seconds: float = float("nan")
    """From then to the last byte of its answer."""
    status: int = 0
    """Zero: there was no whole answer."""
    backend: str = ""


class _Connection(asyncio.Protocol):
    """One request at a time; free again when the answer is whole."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._asked: Asked | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, asked: Asked, number: int) -> None:
        self._asked = asked
        self._transport.write(REQUEST % number)

    def leave(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        asked = self._asked
        if not end or asked is None or (length is not None and len(body) < int(length[1])):
            return
        status, backend = _STATUS.match(head), _BACKEND.search(head)
        asked.status = int(status[1]) if status else 0
        asked.backend = backend[1].decode() if backend else ""
        self._over()
        self._received = b""
        if length is None or b"onnection: close" in head:
            self._transport.close()
        else:
            self._load.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._load.free:
            self._load.free.remove(self)
        if self._asked is not None:
            self._over()

    def _over(self) -> None:
        asked, self._asked = self._asked, None
        assert asked is not None
        asked.seconds = self._load.now() - asked.at
        self._load.left -= 1


class _Load:
    def __init__(self, port: int, plan: Sequence[float], patience: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._port = port
        self.asked = [Asked(at) for at in plan]
        self.left = len(self.asked)
        self.free: list[_Connection] = []
        self._patience = patience
        self._start = self._loop.time() + 0.2

    def now(self) -> float:
        return self._loop.time() - self._start

    async def play(self) -> list[Asked]:
        sending = set()
        for number, asked in enumerate(self.asked):
            while (wait := asked.at - self.now()) > 0:
                await asyncio.sleep(wait)
            if self.free:
                self._send(self.free.pop(), asked, number)
            else:
                task = self._loop.create_task(self._open(asked, number))
                sending.add(task)
                task.add_done_callback(sending.discard)
        until = self.now() + LONGEST
        while self.left and self.now() < until:
            await asyncio.sleep(0.05)
        return self.asked

    async def _open(self, asked: Asked, number: int) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: _Connection(self), "127.0.0.1", self._port
            )
        except OSError:
            asked.seconds = self.now() - asked.at
            self.left -= 1
            return
        self._send(connection, asked, number)

    def _send(self, connection: _Connection, asked: Asked, number: int) -> None:
        connection.ask(asked, number)
        if self._patience < LONGEST:
            self._loop.call_later(self._patience, self._leave, connection, asked)

    @staticmethod
    def _leave(connection: _Connection, asked: Asked) -> None:
        if asked.seconds != asked.seconds:  # not a number: it is under way
            connection.leave()


async def offer(port: int, plan: Sequence[float], patience: float = LONGEST) -> list[Asked]:
    """Ask 127.0.0.1:`port` at each time of `plan`, in seconds; clients leave after `patience`."""
    return await _Load(port, plan, patience).play()


def evenly(rate: float, seconds: float, begin: float = 0.0) -> list[float]:
    """Times at equal distances."""
    return [begin + number / rate for number in range(round(rate * seconds))]
