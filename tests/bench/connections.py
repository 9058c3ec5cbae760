"""Many connections: what an idle one costs, and whether short ones leave anything behind."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.bench import origin, traffic
from tests.bench.contenders import contenders
from tests.bench.processes import LOAD_CORE, PROXY_CORE, BenchError, free_ports, pinned, running

IDLE = 9_000
IDLE_KIB = 12
"""Of memory for each idle connection, at most."""
FRESH = 500
"""New connections per second."""
LEFT_MIB = 2
"""What memory may grow by over all the short ones, after the first of them."""
REQUEST = b"GET /small HTTP/1.1\r\nHost: bench\r\n%b\r\n"
SOURCES = [f"127.0.0.{number}" for number in range(2, 252)]
"""A source address has ports for about 28,000 connections, some of them still in TIME_WAIT."""


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Raises the limit of open files for this process and those it starts."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard := _most_files(), hard))
    seconds = 5 if quick else 60
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
        process = stack.enter_context(running(command, [port], PROXY_CORE, directory / "log"))
        with pinned(LOAD_CORE), asyncio.Runner() as runner:
            say(f"{FRESH} fresh connections per second")
            runner.run(_fresh(port, 3))
            before = _holding(process)
            runner.run(_fresh(port, seconds))
            after = _holding(process)
            say(f"{IDLE} idle connections")
            idle = runner.run(_idle(port, process))
    return {
        "idle": {"connections": IDLE, "kib_each": idle / IDLE / 1024, "target_kib": IDLE_KIB},
        "fresh": {
            "per_second": FRESH,
            "seconds": seconds,
            "descriptors_left": after[0] - before[0],
            "mib_left": (after[1] - before[1]) / 2**20,
            "target_mib": LEFT_MIB,
        },
    }


def _most_files() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * IDLE + 1000  # each client may need a backend too
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise BenchError(f"needs {needed} open files, and may have {hard}")
    return needed


def _holding(process: psutil.Popen) -> tuple[int, int]:
    """Open descriptors and resident bytes."""
    time.sleep(0.5)  # the last connections are still being closed
    return process.num_fds(), process.memory_info().rss


async def _once(port: int, source: str, *, keep: bool) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, local_addr=(source, 0), limit=2**10
    )
    writer.write(REQUEST % (b"" if keep else b"Connection: close\r\n"))
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head:
        raise BenchError(head.decode())
    await reader.readexactly(len(traffic.SMALL))
    if not keep:
        writer.close()
    return writer


async def _fresh(port: int, seconds: int) -> None:
    started = time.monotonic()
    tasks: set[asyncio.Task[Any]] = set()
    for number in range(FRESH * seconds):
        if (ahead := started + number / FRESH - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        task = asyncio.create_task(_once(port, SOURCES[number % len(SOURCES)], keep=False))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    async with asyncio.timeout(30):
        await asyncio.gather(*tasks)


async def _idle(port: int, process: psutil.Popen) -> int:
    """Bytes that `IDLE` connections cost, each of which has carried one request."""
    before = process.memory_info().rss
    writers: list[asyncio.StreamWriter] = []
    async with asyncio.timeout(45):  # the proxy closes an idle connection after a minute
        for start in range(0, IDLE, 50):
            writers += await asyncio.gather(
                *(
                    _once(port, SOURCES[number % len(SOURCES)], keep=True)
                    for number in range(start, start + 50)
                )
            )
    grown = process.memory_info().rss - before
    for writer in writers:
        writer.transport.abort()
    return grown
