"""The backends behind the proxies: one process on several ports, much faster than any of them.

nginx answering from its configuration where it is installed, else a protocol server of our own.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import cast

from tests.bench.contenders import NGINX_LIMITS, nginx_command, program

BODY = "x" * 127 + "\n"
ANSWER = (
    f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
).encode()


def command(ports: list[int], directory: Path) -> list[str]:
    """What to run for backends on `ports`."""
    nginx = program("nginx")
    if nginx is None:
        return [sys.executable, "-m", "tests.bench.origin", *map(str, ports)]
    listens = "".join(f"listen 127.0.0.1:{port}; " for port in ports)
    answer = f'return 200 "{BODY.strip()}\\n";'
    new = f"location /new {{ add_header X-Request-Id $request_id; {answer} }}"
    server = f"server {{ {listens} {new} location / {{ {answer} }} }}"
    return nginx_command(nginx, directory, NGINX_LIMITS + server)


def described() -> str:
    return "nginx, answering itself" if program("nginx") else "a uvloop server of our own"


class Answering(asyncio.Protocol):
    """One fixed answer for each head of a request; bodies are not expected."""

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        heads = (self._rest + data).split(b"\r\n\r\n")
        self._rest = heads.pop()
        self._transport.write(ANSWER * len(heads))


async def _serve(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    for port in ports:
        await loop.create_server(Answering, "127.0.0.1", port, backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    from uvloop import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve([int(port) for port in sys.argv[1:]]))
