"""After a 101: bytes both ways between aiohttp's server and a backend, until either side ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import ClientResponse, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import StreamWriter
from aiohttp.streams import StreamReader

ROOM = 2**16
"""Bytes that may wait in one direction; who sends more is not read meanwhile."""


class _Raw:
    """Stands where aiohttp has its reader of WebSocket messages."""

    def __init__(self, protocol: BaseProtocol, loop: asyncio.AbstractEventLoop) -> None:
        self.reader = StreamReader(protocol, ROOM, loop=loop)

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self.reader.feed_eof()


async def join(
    request: web.BaseRequest, reply: web.StreamResponse, answer: ClientResponse, silence: float
) -> None:
    """`reply` and `answer` are 101. Ends, too, when nothing has moved for `silence` seconds."""
    loop = asyncio.get_running_loop()
    connection = answer.connection
    assert connection is not None
    backend, client = connection.protocol, request.protocol
    assert backend is not None
    backend.read_timeout = None
    from_client, from_backend = _Raw(client, loop), _Raw(backend, loop)
    client.set_parser(from_client)  # type: ignore[arg-type]  # it is told bytes and the end
    backend.set_parser(from_backend, from_backend.reader)
    to_backend = StreamWriter(backend, loop)

    async def pump(reader: StreamReader, write: Callable[[bytes], Awaitable[None]]) -> None:
        try:
            while data := await reader.readany():
                limit.reschedule(loop.time() + silence)
                await write(data)
        except (OSError, RuntimeError):
            pass  # a side is gone

    try:
        async with asyncio.timeout(silence) as limit:
            pumps = [
                loop.create_task(pump(from_client.reader, to_backend.write)),
                loop.create_task(pump(from_backend.reader, reply.write)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in pumps:
                    one.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
    except TimeoutError:
        pass
    finally:
        answer.close()
        if request.transport is not None:
            request.transport.close()
