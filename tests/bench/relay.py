"""A bare relay: bytes both ways, one backend connection for each client, nothing of HTTP.

Run as `python -m tests.bench.relay PORT BACKEND...`; the floor for a proxy on this loop.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import cycle
from typing import cast


class Side(asyncio.Protocol):
    """One end; what comes goes to the other, or waits for it to be there."""

    other: Side | None = None
    transport: asyncio.Transport | None = None

    def __init__(self) -> None:
        self.waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.other is not None and self.other.waiting:
            self.transport.write(self.other.waiting)

    def data_received(self, data: bytes) -> None:
        assert self.other is not None
        if self.other.transport is None:
            self.waiting += data
        else:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


async def relay(port: int, backends: list[int]) -> None:
    """For ever."""
    loop, turns = asyncio.get_running_loop(), cycle(backends)
    opening: set[asyncio.Task[object]] = set()

    def accepted() -> Side:
        client, backend = Side(), Side()
        client.other, backend.other = backend, client
        task = loop.create_task(loop.create_connection(lambda: backend, "127.0.0.1", next(turns)))
        opening.add(task)
        task.add_done_callback(opening.discard)
        return client

    server = await loop.create_server(accepted, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    from uvloop import new_event_loop

    numbers = [int(number) for number in sys.argv[1:]]
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(relay(numbers[0], numbers[1:]))
