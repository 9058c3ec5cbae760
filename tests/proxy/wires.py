"""Messages as they came over the wire, and one end of a connection."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Message:
    """A request or a response as it came over the wire."""

    start: bytes
    fields: list[tuple[str, str]]
    body: bytes = b""
    raw_head: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.start.split()[1])

    @property
    def method(self) -> str:
        return self.start.split()[0].decode()

    @property
    def target(self) -> str:
        return self.start.split()[1].decode()

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        assert self["Content-Type"] == "application/json"
        return json.loads(self.body)


class Wire:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def sent(self) -> None:
        await self.writer.drain()

    async def head(self) -> Message | None:
        """The next head, or None when the other side has closed."""
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return None
        start, *lines = raw[:-4].split(b"\r\n")
        pairs = [line.decode("latin-1").split(": ", 1) for line in lines]
        return Message(start, [(name, value) for name, value in pairs], raw_head=raw)

    async def body(self, message: Message, until_close: bool = False) -> Message:
        length, coding = message["Content-Length"], message["Transfer-Encoding"]
        assert length is None or coding is None
        if length is not None:
            message.body = await self.reader.readexactly(int(length))
        elif coding is not None:
            assert coding == "chunked"
            while True:
                size = int(await self.reader.readuntil(b"\r\n"), 16)
                if not size:
                    break
                message.chunks.append((await self.reader.readexactly(size + 2))[:-2])
            while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
                name, _, value = line[:-2].decode("latin-1").partition(": ")
                message.trailers.append((name, value))
            message.body = b"".join(message.chunks)
        elif until_close:
            message.body = await self.reader.read()
        return message

    async def request(self) -> Message | None:
        head = await self.head()
        return None if head is None else await self.body(head)

    async def response(self, method: str = "GET") -> Message:
        head = await self.head()
        assert head is not None, "closed instead of an answer"
        if method == "HEAD" or head.status in (204, 304) or head.status < 200:
            return head
        return await self.body(head, until_close=True)

    async def closed(self) -> bool:
        """Wait for the other side to close. False for a reset, and when bytes came first."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return False

    async def is_reset(self) -> bool:
        """Wait for the end: True for a reset, False for a clean close."""
        try:
            while await self.reader.read(2**16):
                pass
        except ConnectionError:
            return True
        return False

    async def is_refused_or_reset(self) -> bool:
        """Wait for what becomes of an answer that breaks the rules: 502, or a reset once begun."""
        try:
            head = await self.head()
        except ConnectionError:
            return True
        return head is not None and (head.status == 502 or await self.is_reset())

    def reset(self) -> None:
        """Close at once and say so with a reset."""
        with suppress(OSError):  # gone already
            self.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        self.writer.transport.abort()

    def pause_reading(self) -> None:
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]

    def resume_reading(self) -> None:
        self.writer.transport.resume_reading()  # type: ignore[attr-defined]

    def half_close(self) -> None:
        self.writer.write_eof()

    def close(self) -> None:
        self.writer.close()
