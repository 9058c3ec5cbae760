"""Bodies: bytes per CPU second beside HAProxy, and memory while a slow client reads."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.bench.contenders import contenders
from tests.bench.processes import (
    LOAD_CORE,
    PROXY_CORE,
    ROOT,
    BenchError,
    cpu_seconds,
    free_ports,
    pinned,
    running,
)

TARGET = 0.7
"""Of HAProxy's bytes per CPU second, at least."""
CASES = {
    "64 KiB to the client": ("GET", 2**16, 16),
    "64 KiB from the client": ("POST", 2**16, 16),
    "10 MiB to the client": ("GET", 10 * 2**20, 4),
    "10 MiB from the client": ("POST", 10 * 2**20, 4),
}
FLAT_MIB = 16
"""What memory may grow by while a gibibyte passes: a few reads and the allocator's slack."""


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    rounds, seconds = (2, 1) if quick else (5, 2)
    found, missing = contenders()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="lb-bench-")))
        (origin,) = free_ports(1)
        command = [sys.executable, "-m", "tests.bench.bulk", "origin", str(origin)]
        stack.enter_context(running(command, [origin], LOAD_CORE, directory / "log"))
        proxies = {}
        for one in found:
            if one.name not in ("lb", "haproxy"):
                continue
            home = directory / one.name
            home.mkdir()
            (port,) = free_ports(1)
            command = one.command(port, [origin], home)
            process = stack.enter_context(running(command, [port], PROXY_CORE, home / "log"))
            proxies[one.name] = (port, process)
        cases = {}
        for case, (method, size, connections) in CASES.items():
            rates: dict[str, list[float]] = {name: [] for name in proxies}
            for index in range(-1, rounds):
                for name, (port, process) in proxies.items():
                    say(f"{case}: {name}, round {index + 1} of {rounds}")
                    rate = _rate(process, port, method, size, connections, seconds)
                    if index >= 0:
                        rates[name].append(rate)
            cases[case] = _summary(rates)
        say("1 GiB to a slow client")
        memory = _slow_reader(*proxies["lb"], quick)
    return {
        "target_ratio": TARGET,
        "flat_mib": FLAT_MIB,
        "not_installed": missing,
        "cases": cases,
        "memory": memory,
    }


def _client(port: int, *arguments: object) -> int:
    """Bodies that went through."""
    command = [sys.executable, "-m", "tests.bench.bulk", "client", str(port)]
    with pinned(LOAD_CORE):
        done = subprocess.run(
            [*command, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=90,
            check=False,
        )
    if done.returncode:
        raise BenchError(f"the load went wrong:\n{done.stderr}")
    return int(json.loads(done.stdout))


def _rate(
    process: psutil.Popen, port: int, method: str, size: int, connections: int, seconds: int
) -> float:
    """Bytes of bodies per second of the proxy's CPU."""
    before = cpu_seconds(process)
    bodies = _client(port, method, size, connections, seconds)
    return bodies * size / (cpu_seconds(process) - before)


def _summary(rates: dict[str, list[float]]) -> dict[str, Any]:
    others = rates.get("haproxy")
    ratios = [a / b for a, b in zip(rates["lb"], others, strict=True)] if others else []
    return {
        "bytes_per_cpu_second": {name: statistics.median(row) for name, row in rates.items()},
        "ratio": statistics.median(ratios) if ratios else None,
        "ratios": ratios,
    }


def _slow_reader(port: int, process: psutil.Popen, quick: bool) -> dict[str, float]:
    """Resident memory before and at most, while a client reads at 100 MB/s."""
    size = 2**28 if quick else 2**30
    before = peak = process.memory_info().rss
    reading = threading.Thread(target=_client, args=(port, "GET", size, 1, 0, 1e8))
    reading.start()
    while reading.is_alive():
        peak = max(peak, process.memory_info().rss)
        time.sleep(0.05)
    reading.join()
    return {"bytes": size, "before_mib": before / 2**20, "peak_mib": peak / 2**20}
