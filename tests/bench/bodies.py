"""Bodies: bytes per CPU second beside HAProxy, and memory while a slow client reads."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import psutil

from tests.bench.contenders import contenders
from tests.bench.processes import LOAD_CORE, ROOT, BenchError, cpu_seconds, pinned
from tests.bench.rounds import YARDSTICK, Sample, Say, alternating, started, summaries

TARGET = 1.0
"""Of HAProxy's bytes per CPU second, at least."""
CASES = {
    "64 KiB to the client": ("GET", 2**16, 16),
    "64 KiB from the client": ("POST", 2**16, 16),
    "10 MiB to the client": ("GET", 10 * 2**20, 4),
    "10 MiB from the client": ("POST", 10 * 2**20, 4),
}
"""Method, bytes and connections."""
FLAT_MIB = 16
"""What memory may grow by while a gibibyte passes: a few reads and the allocator's slack."""


def measure(quick: bool, others: list[Path], without: Collection[str], say: Say) -> dict[str, Any]:
    rounds, seconds = (4, 0.5) if quick else (9, 1.0)
    found, missing = contenders(others, without)
    found = [one for one in found if one.name.startswith("lb") or one.name == YARDSTICK]
    cases = {}
    with started(found, _origin, 1) as (proxies, _):
        for case, load in CASES.items():

            def sample(name: str, load: tuple[str, int, int] = load) -> Sample:
                return _rate(*proxies[name], *load, seconds)

            samples = alternating(case, list(proxies), rounds, sample, say)
            cases[case] = summaries(samples, "bytes_per_cpu_second")
        say("1 GiB to a slow client")
        memory = _slow_reader(*proxies[found[0].name], quick)
    return {
        "target_ratio": TARGET,
        "flat_mib": FLAT_MIB,
        "not_installed": missing,
        "cases": cases,
        "memory": memory,
    }


def _origin(ports: list[int]) -> list[str]:
    return [sys.executable, "-m", "tests.bench.bulk", "origin", *map(str, ports)]


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
    port: int, process: psutil.Popen, method: str, size: int, connections: int, seconds: float
) -> Sample:
    """Bytes of bodies per second of the proxy's CPU."""
    before = cpu_seconds(process)
    bodies = _client(port, method, size, connections, seconds)
    return {"bytes_per_cpu_second": bodies * size / (cpu_seconds(process) - before)}


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
