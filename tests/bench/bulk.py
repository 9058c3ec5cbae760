"""Large bodies: a backend that sends and takes them, and a client that asks for them.

Run as `python -m tests.bench.bulk origin PORT`, or `... client PORT METHOD SIZE CONNECTIONS SECONDS
[BYTES_PER_SECOND]`, which prints the whole bodies that went through.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress

PIECE = bytes(2**18)


async def _send(writer: asyncio.StreamWriter, size: int) -> None:
    while size > 0:
        writer.write(PIECE if size >= len(PIECE) else PIECE[:size])
        await writer.drain()
        size -= len(PIECE)


async def _discard(reader: asyncio.StreamReader, size: int, rate: float = 0.0) -> None:
    """Read a body, no faster than `rate` bytes per second (0: as it comes)."""
    started, total = time.monotonic(), size
    while size:
        size -= len(data := await reader.read(min(size, 2**18)))
        if not data:
            raise ConnectionError("the body was cut short")
        if rate and (ahead := (total - size) / rate - (time.monotonic() - started)) > 0:
            await asyncio.sleep(ahead)


async def _length(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    """First line and Content-Length of the next head."""
    head = await reader.readuntil(b"\r\n\r\n")
    _, found, rest = head.lower().partition(b"content-length: ")
    return head.split(b"\r\n")[0], int(rest.split(b"\r\n")[0]) if found else 0


async def _serve(port: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                line, length = await _length(reader)
                await _discard(reader, length)
                target = line.split(b" ")[1]
                size = int(target[1:]) if line.startswith(b"GET") and target[1:].isdigit() else 3
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                await _send(writer, size)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, limit=2**18)
    await server.serve_forever()


async def _ask(port: int, method: str, size: int, ends: float, rate: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**18)
    done = 0
    sent = size if method == "POST" else 0
    head = f"{method} /{size} HTTP/1.1\r\nHost: bench\r\nContent-Length: {sent}\r\n\r\n".encode()
    while not done or time.monotonic() < ends:
        writer.write(head)
        await _send(writer, sent)
        line, length = await _length(reader)
        if b" 200 " not in line:
            raise ConnectionError(line.decode())
        await _discard(reader, length, rate)
        done += 1
    writer.close()
    return done


async def _offer(
    port: int, method: str, size: int, connections: int, seconds: float, rate: float
) -> int:
    ends = time.monotonic() + seconds
    asking = (_ask(port, method, size, ends, rate) for _ in range(connections))
    return sum(await asyncio.gather(*asking))


def main(what: str, port: str, *rest: str) -> None:
    from uvloop import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        if what == "origin":
            runner.run(_serve(int(port)))
        else:
            method, size, connections, seconds, *rate = rest
            numbers = int(size), int(connections), float(seconds), float(rate[0] if rate else 0)
            print(json.dumps(runner.run(_offer(int(port), method, *numbers))))


if __name__ == "__main__":
    main(*sys.argv[1:])
