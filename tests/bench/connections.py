"""Many connections: what an idle one costs, and whether short ones leave anything behind."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import psutil

from tests.bench import origin, traffic
from tests.bench.contenders import contenders
from tests.bench.processes import LOAD_CORE, BenchError, cpu_seconds, pinned
from tests.bench.rounds import Say, started

IDLE = 10_000
IDLE_KIB = 12
"""Of memory for each idle connection, at most."""
IDLE_SHARE = 0.01
"""Of a core for all of them, at most."""
FRESH = 500
"""New connections per second."""
LEFT_MIB = 2
"""What memory may grow by over all the short ones, after the first of them."""
REQUEST = b"GET /small HTTP/1.1\r\nHost: bench\r\n%b\r\n"
SOURCES = [f"127.0.0.{number}" for number in range(2, 252)]
"""A source address has ports for about 28,000 connections, some of them still in TIME_WAIT."""


def measure(quick: bool, others: list[Path], without: Collection[str], say: Say) -> dict[str, Any]:
    """Raises the limit of open files for this process and those it starts."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard := _most_files(), hard))
    found, _ = contenders([] if quick else others, without)
    builds = {}
    for one in found:
        if one.name.startswith("lb"):
            with (
                started([one], origin.command, 1) as (proxies, _),
                pinned(LOAD_CORE),
                asyncio.Runner() as runner,
            ):
                builds[one.name] = _build(one.name, *proxies[one.name], runner, quick, say)
    return {
        "idle": {"connections": IDLE, "target_kib": IDLE_KIB, "target_share": IDLE_SHARE},
        "fresh": {"per_second": FRESH, "target_mib": LEFT_MIB},
        "builds": builds,
    }


def _build(
    name: str, port: int, process: psutil.Popen, runner: asyncio.Runner, quick: bool, say: Say
) -> dict[str, Any]:
    seconds = 5 if quick else 60
    say(f"{name}: {FRESH} fresh connections per second")
    runner.run(_fresh(port, 3))
    before = _holding(process)
    runner.run(_fresh(port, seconds))
    after = _holding(process)
    say(f"{name}: {IDLE:,} idle connections")
    alone = _share(process, 5.0)
    grown, share = runner.run(_idle(port, process))
    return {
        "idle": {"kib_each": grown / IDLE / 1024, "share": share, "share_without": alone},
        "fresh": {
            "seconds": seconds,
            "descriptors_left": after[0] - before[0],
            "mib_left": (after[1] - before[1]) / 2**20,
        },
    }


def _most_files() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = IDLE + 1000
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise BenchError(f"needs {needed} open files, and may have {hard}")
    return needed


def _share(process: psutil.Popen, seconds: float) -> float:
    """Of a core, while nothing happens."""
    before = cpu_seconds(process)
    time.sleep(seconds)
    return (cpu_seconds(process) - before) / seconds


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


async def _idle(port: int, process: psutil.Popen) -> tuple[int, float]:
    """Bytes that `IDLE` connections cost, each of which has carried one request, and their CPU."""
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
    share = _share(process, 10.0)
    for writer in writers:
        writer.transport.abort()
    return grown, share
