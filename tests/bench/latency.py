"""What the proxy adds to latency: 2,000 requests per second at planned times, direct and proxied.

The generator runs as `python -m tests.bench.latency PORT RATE SECONDS` and prints sorted latencies.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from tests.bench import origin, traffic
from tests.bench.contenders import contenders
from tests.bench.processes import (
    LOAD_CORE,
    PROXY_CORE,
    ROOT,
    BenchError,
    free_ports,
    pinned,
    running,
)

RATE = 2000
TARGETS = {"p50": 0.0003, "p99": 0.002}
"""Seconds that the proxy may add."""
CONNECTIONS = 32
REQUEST = b"GET /small HTTP/1.1\r\nHost: bench\r\n\r\n"


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    rounds, seconds = (3, 2) if quick else (7, 5)
    found, _ = contenders()
    lb = next(one for one in found if one.name == "lb")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="lb-bench-")))
        directory.chmod(0o755)
        backend, port = free_ports(2)
        home = directory / "origin"
        home.mkdir()
        command = origin.command([backend])
        stack.enter_context(running(command, [backend], LOAD_CORE, home / "log"))
        command = lb.command(port, [backend], directory)
        stack.enter_context(running(command, [port], PROXY_CORE, directory / "log"))
        rows: dict[str, list[dict[str, float]]] = {"direct": [], "proxied": []}
        for index in range(rounds):
            for name, target in (("direct", backend), ("proxied", port)):
                say(f"open loop, {name}, round {index + 1} of {rounds}")
                rows[name].append(_round(target, seconds))
    added = {
        key: statistics.median(
            one[key] - other[key]
            for one, other in zip(rows["proxied"], rows["direct"], strict=True)
        )
        for key in TARGETS
    }
    medians = {
        name: {key: statistics.median(row[key] for row in group) for key in group[0]}
        for name, group in rows.items()
    }
    return {"rate": RATE, "targets": TARGETS, "added": added, **medians, "rounds": rows}


def _round(port: int, seconds: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.latency", str(port), str(RATE), str(seconds)]
    with pinned(LOAD_CORE):
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, timeout=seconds + 30, check=False
        )
    if done.returncode:
        raise BenchError(f"the load went wrong:\n{done.stderr}")
    return cast(dict[str, float], json.loads(done.stdout))


class _Asking(asyncio.Protocol):
    """One keep-alive connection; free again when its answer is whole."""

    def __init__(self, free: deque[_Asking], latencies: list[float]) -> None:
        self._free, self._latencies = free, latencies
        self._got = 0
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._free.append(self)

    def ask(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        if data.endswith(traffic.SMALL):  # every body is the same
            self._latencies.append(time.perf_counter() - self.sent_at)
            self._free.append(self)


async def _offer(port: int, rate: float, seconds: float) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    free: deque[_Asking] = deque()
    latencies: list[float] = []
    lateness: list[float] = []
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: _Asking(free, latencies), "127.0.0.1", port)
    started = time.perf_counter() + 0.05
    for number in range(int(rate * seconds)):
        due = started + number / rate
        while (now := time.perf_counter()) < due or not free:
            # The loop's timers are coarser than what is measured: so turn, and look.
            await asyncio.sleep(0)
            if now > due + 1:
                raise BenchError("every connection has waited for a second")
        lateness.append(now - due)
        free.popleft().ask()
    await asyncio.sleep(0.2)
    if len(latencies) != len(lateness):
        raise BenchError(f"{len(lateness) - len(latencies)} requests were not answered")
    cuts = statistics.quantiles(latencies, n=100)
    late = statistics.quantiles(lateness, n=100)
    return {"p50": cuts[49], "p99": cuts[98], "generator_late_p99": late[98]}


if __name__ == "__main__":
    from uvloop import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        print(json.dumps(runner.run(_offer(*map(int, sys.argv[1:4])))))
