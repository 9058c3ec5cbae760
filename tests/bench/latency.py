"""What the proxy adds to latency: 2,000 requests per second at planned times, direct and proxied.

Also how long the garbage collector holds the loop meanwhile, with 1,000 connections. The generator
runs as `python -m tests.bench.latency PORT RATE SECONDS CONNECTIONS CASE`; an answer's latency
counts from the time at which its request was planned to leave.
"""

from __future__ import annotations

import gc
import json
import select
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from tests.bench import origin
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
from tests.bench.rounds import YARDSTICK, Sample, Say, alternating, started
from tests.bench.traffic import END, requests

RATE = 2000
TARGETS = {"p50": 0.0001, "p99": 0.001, "p999": 0.003}
"""Seconds that the proxy may add."""
CONNECTIONS = 32
CROWD = 1000
"""Connections while the collector is watched."""
PAUSE = 0.005
"""Seconds: a collection that takes as long is one too many."""
DIRECT = "direct"


def measure(quick: bool, others: list[Path], without: Collection[str], say: Say) -> dict[str, Any]:
    rounds, seconds = (5, 2) if quick else (9, 5)
    found, _ = contenders(others, without)
    found = [one for one in found if one.name.startswith("lb") or one.name == YARDSTICK]
    with started(found, origin.command, 1) as (proxies, backends):
        ports = {DIRECT: backends[0]} | {name: port for name, (port, _) in proxies.items()}

        def sample(name: str) -> Sample:
            return _round(ports[name], seconds, CONNECTIONS, "small")

        samples = alternating("open loop", list(ports), rounds, sample, say)
    rows = {
        name: {key: statistics.median(row[key] for row in group) for key in group[0]}
        for name, group in samples.items()
    }
    added = {
        name: {
            key: statistics.median(
                one[key] - bare[key] for one, bare in zip(group, samples[DIRECT], strict=True)
            )
            for key in TARGETS
        }
        for name, group in samples.items()
        if name != DIRECT
    }
    pauses = {}
    for one in found:
        if one.cwd == ROOT and one.name.startswith("lb"):
            say(f"watching the garbage collector of {one.name}")
            pauses[one.name] = _watched(one.environment, 5 if quick else 20)
    return {
        "rate": RATE,
        "targets": TARGETS,
        "seconds_per_round": seconds,
        "added": added,
        "medians": rows,
        "rounds": samples,
        "pauses": {"connections": CROWD, "target": PAUSE, "builds": pauses},
    }


def _round(port: int, seconds: float, connections: int, case: str) -> Sample:
    command = [sys.executable, "-m", "tests.bench.latency"]
    with pinned(LOAD_CORE):
        done = subprocess.run(
            [*command, *map(str, (port, RATE, seconds, connections)), case],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=seconds + 30,
            check=False,
        )
    if done.returncode:
        raise BenchError(f"the load went wrong:\n{done.stderr}")
    return cast(Sample, json.loads(done.stdout))


def _watched(environment: Any, seconds: float) -> dict[str, Any]:
    """Collections of a build under the rate, and the latencies beside."""
    with TemporaryDirectory(prefix="lb-bench-") as directory:
        backend, port = free_ports(2)
        told = Path(directory, "collections.json")
        command = [sys.executable, "-m", "tests.bench.watched", str(told)]
        command += ["serve", "-p", str(port), "-b", f"127.0.0.1:{backend}"]
        with running(origin.command([backend]), [backend], LOAD_CORE, Path(directory, "origin")):
            log = Path(directory, "log")
            with running(command, [port], PROXY_CORE, log, environment=environment):
                listens = time.monotonic()
                found = _round(port, seconds, CROWD, "mix")
            if not told.exists():
                raise BenchError(f"no collections were told:\n{log.read_text(errors='replace')}")
        since = [took for at, took in json.loads(told.read_text()) if at > listens]
    return {
        "seconds": seconds,
        "collections": len(since),
        "too_long": sum(pause > PAUSE for pause in since),
        "longest": max(since, default=0.0),
        "share": sum(since) / seconds,
        "latency": found,
    }


def _offer(port: int, rate: float, seconds: float, connections: int, case: str) -> Sample:
    request = requests(case, f"127.0.0.1:{port}")
    ready = selectors.DefaultSelector()
    free: deque[socket.socket] = deque()
    for _ in range(connections):
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready.register(client, selectors.EVENT_READ)
        free.append(client)
    due: dict[socket.socket, float] = {}
    latencies: list[float] = []
    lateness: list[float] = []
    number, total = 0, int(rate * seconds)
    first = time.monotonic_ns()  # so that no run repeats what another has sent
    begins = time.perf_counter() + 0.05
    waiting = cast(selectors.EpollSelector, ready).fileno()  # a poll of its own waits whole ms
    while len(latencies) < total:
        now = time.perf_counter()
        while number < total and free and (at := begins + number / rate) <= now:
            client = free.popleft()
            due[client] = at
            client.sendall(request(first + number))
            number += 1
            now = time.perf_counter()
            lateness.append(now - at)
        if now > begins + seconds + 10:
            raise BenchError(f"{total - len(latencies)} requests were not answered")
        pause = begins + number / rate - now if number < total and free else 1.0
        if not select.select([waiting], [], [], max(pause, 0.0))[0]:
            continue
        for key, _ in ready.select(0):
            client = cast(socket.socket, key.fileobj)
            data = client.recv(2**17)
            if not data:
                raise BenchError("closed by the proxy")
            if data.endswith(END):
                latencies.append(time.perf_counter() - due.pop(client))
                free.append(client)
    cuts = statistics.quantiles(latencies, n=1000)
    late = statistics.quantiles(lateness, n=100)
    return {
        "p50": cuts[499],
        "p99": cuts[989],
        "p999": cuts[998],
        "longest": max(latencies),
        "generator_late_p99": late[98],
    }


if __name__ == "__main__":
    gc.disable()
    rate, seconds = float(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(_offer(int(sys.argv[1]), rate, seconds, int(sys.argv[4]), sys.argv[5])))
