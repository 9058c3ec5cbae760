"""Load: small GETs over keep-alive connections, each sent when the one before is answered.

wrk where it is installed, else a generator of our own, run as `python -m tests.bench.load`.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import cast

from tests.bench.contenders import program
from tests.bench.processes import LOAD_CORE, ROOT, BenchError, pinned

CONNECTIONS = 32
MAX_REQUESTS = 5_000_000
"""Our own generator ends here however much time is left."""


@dataclass(frozen=True)
class Answers:
    """What a load came to."""

    requests: int
    errors: int
    seconds: float


def extra_fields(count: int) -> list[str]:
    """Request fields as a browser and its middlemen might add, about 40 bytes each."""
    return [f"X-Extra-Field-{i:02d}: some value of field {i:02d}" for i in range(count)]


NEW_FIELDS = """
local count = 0
function request()
  count = count + 1
  for i = 0, {changing} - 1 do
    local name = string.format("X-Extra-Field-%02d", i)
    wrk.headers[name] = string.format("new value %d of %d", count, i)
  end
  return wrk.format()
end
"""
"""For wrk: some fields have another value in every request."""


def described() -> str:
    name = "wrk" if program("wrk") else "a generator of our own"
    return f"{name}, {CONNECTIONS} keep-alive connections, one request at a time on each"


def offer(port: int, seconds: int, fields: int, changing: int = 0) -> Answers:
    """Load 127.0.0.1:`port` from the load's core. Raises BenchError unless every answer is good."""
    wrk = program("wrk")
    script = ""
    if wrk:
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
        for line in extra_fields(fields):
            command += ["-H", line]
        if changing:
            with NamedTemporaryFile("w", suffix=".lua", delete=False) as file:
                file.write(NEW_FIELDS.format(changing=changing))
            script = file.name
            command += ["-s", script]
        command.append(f"http://127.0.0.1:{port}/{'new' if changing else 'small'}")
    else:
        command = [sys.executable, "-m", "tests.bench.load"]
        command += map(str, (port, seconds, fields, changing))
    with pinned(LOAD_CORE):
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, timeout=seconds + 30, check=False
        )
    Path(script).unlink() if script else None
    if done.returncode:
        raise BenchError(f"{command[0]} failed:\n{done.stderr or done.stdout}")
    answers = _of_wrk(done.stdout) if wrk else Answers(**json.loads(done.stdout))
    if answers.errors or not answers.requests:
        raise BenchError(f"the load went wrong:\n{done.stdout}")
    return answers


def _of_wrk(text: str) -> Answers:
    total = re.search(r"(\d+) requests in ([\d.]+)(m?s)", text)
    if total is None:
        raise BenchError(f"wrk said what nobody understands:\n{text}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    sockets = re.search(r"Socket errors: (.*)", text)
    errors = int(refused[1]) if refused else 0
    if sockets:
        errors += sum(map(int, re.findall(r"\d+", sockets[1])))
    seconds = float(total[2]) / (1000 if total[3] == "ms" else 1)
    return Answers(int(total[1]), errors, seconds)


class _Asking(asyncio.Protocol):
    """One connection. The end of an answer is known by the size of the first one."""

    def __init__(self, request: bytes, changing: int, count: _Count) -> None:
        self._fixed = request
        self._changing = changing
        self._count = count
        self._size = 0
        self._received = b""
        self.over = asyncio.get_running_loop().create_future()

    @property
    def _request(self) -> bytes:
        if not self._changing:
            return self._fixed
        number = self._count.requests
        lines = (b"X-New-%d: new value %d\r\n" % (i, number) for i in range(self._changing))
        return self._fixed[:-2] + b"".join(lines) + b"\r\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        if not self._size:
            head, end, _ = received.partition(b"\r\n\r\n")
            if not end:
                return
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            self._size = len(head) + 4 + int(length[1]) if length else len(received)
        if len(received) < self._size:
            return
        self._received = b""
        # Answers differ in length only if the proxy changed its mind: that is an error.
        good = len(received) == self._size and received.startswith(b"HTTP/1.1 200 ")
        self._count.requests += good
        self._count.errors += not good
        if good and not self._count.over():
            self._transport.write(self._request)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._count.errors += exc is not None or bool(self._received)
        self.over.set_result(None)


class _Count:
    """What all connections share."""

    def __init__(self, seconds: float) -> None:
        self.requests = self.errors = 0
        self.ends = time.monotonic() + seconds

    def over(self) -> bool:
        return self.requests >= MAX_REQUESTS or time.monotonic() >= self.ends


async def _offer(port: int, seconds: float, fields: int, changing: int) -> Answers:
    lines = [
        "GET /small HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        *extra_fields(fields - changing),
        "",
        "",
    ]
    request = "\r\n".join(lines).encode()
    started = time.monotonic()
    count = _Count(seconds)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds + 10):
        asking = [
            (
                await loop.create_connection(
                    lambda: _Asking(request, changing, count), "127.0.0.1", port
                )
            )[1]
            for _ in range(CONNECTIONS)
        ]
        await asyncio.gather(*(one.over for one in asking))
    return Answers(count.requests, count.errors, time.monotonic() - started)


if __name__ == "__main__":
    from uvloop import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(_offer(*map(int, sys.argv[1:5]))))))
