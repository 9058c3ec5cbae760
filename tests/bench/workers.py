"""Two workers beside one: CPU of a request and of a connection, evenness, what all cores do."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from tests.bench import load, origin
from tests.bench.contenders import COMPILED, PURE, contenders
from tests.bench.peers import Contender
from tests.bench.processes import (
    LOAD_CORE,
    PROXY_CORE,
    BenchError,
    cpu_seconds,
    pinned,
)
from tests.bench.proxies import BACKENDS
from tests.bench.rounds import Proxy, Sample, Say, alternating, started, summaries
from tests.bench.traffic import END

ONE, TWO = "1 worker", "2 workers"
CPU, UNEVEN, FASTER = 1.05, 0.10, 1.8
"""Times the CPU of a request with one worker, at most; what the workers' shares of the work may
differ by; times the requests a second, at least, where four cores are there."""
KEPT, FRESH = "a request on a connection that is kept", "a connection with one request"
CORES = 4
REQUEST = b"GET /small HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
AT_ONCE = 8
"""Connections under way."""
Command = Callable[[int, list[int], Path], list[str]]


def measure(quick: bool, others: list[Path], without: Collection[str], say: Say) -> dict[str, Any]:
    """Microseconds of CPU, all processes together; each build by itself."""
    count, seconds = (5, 0.5) if quick else (11, 1.0)
    found, _ = contenders([] if quick else others, without)
    builds = {
        one.name: _build(one, count, seconds, say) for one in found if one.name in (COMPILED, PURE)
    }
    return {
        "targets": {"cpu": CPU, "uneven": UNEVEN, "faster": FASTER},
        "rounds": count,
        "load": load.described(),
        "cores": len(psutil.Process().cpu_affinity()) if PROXY_CORE is not None else 1,
        "builds": builds,
    }


def _build(one: Contender, count: int, seconds: float, say: Say) -> dict[str, Any]:
    pair = [_with(one, ONE, 1), _with(one, TWO, 2)]
    with started(pair, origin.command, BACKENDS) as (proxies, _):
        kept = alternating(
            f"{one.name}, {KEPT}",
            [ONE, TWO],
            count,
            lambda name: _kept(proxies[name], seconds),
            say,
        )
        fresh = alternating(
            f"{one.name}, {FRESH}",
            [ONE, TWO],
            count,
            lambda name: _fresh(proxies[name], seconds),
            say,
        )
        for _, process in proxies.values():
            _let_loose(process)
        wide = alternating(
            f"{one.name}, on all cores",
            [ONE, TWO],
            count,
            lambda name: _wide(proxies[name], seconds),
            say,
        )
    return {
        KEPT: summaries(kept, "cpu_us"),
        FRESH: summaries(fresh, "cpu_us"),
        "wide": summaries(wide, "requests_per_second"),
    }


def _with(one: Contender, name: str, workers: int) -> Contender:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        return [*one.command(port, origins, directory), "--workers", str(workers)]

    return replace(one, name=name, command=command)


def _kept(proxy: Proxy, seconds: float) -> Sample:
    port, process = proxy
    before, served = cpu_seconds(process), _served(port)
    answers = load.offer(port, seconds, "small")
    used = cpu_seconds(process) - before
    shares = [count - served.get(pid, 0) for pid, count in _served(port).items()]
    return {
        "cpu_us": used / answers.requests * 1e6,
        "uneven": 1 - min(shares) / max(shares),
        "load_busy": answers.busy,
    }


def _wide(proxy: Proxy, seconds: float) -> Sample:
    answers = load.offer(proxy[0], seconds, "small")
    return {"requests_per_second": answers.requests / answers.seconds, "load_busy": answers.busy}


def _fresh(proxy: Proxy, seconds: float) -> Sample:
    port, process = proxy
    before, count = cpu_seconds(process), 0
    ends = time.monotonic() + seconds
    with pinned(LOAD_CORE):
        while time.monotonic() < ends:
            some = [socket.create_connection(("127.0.0.1", port)) for _ in range(AT_ONCE)]
            for client in some:
                client.sendall(REQUEST)
            for client in some:
                with client:
                    data = b""
                    while piece := client.recv(2**16):
                        data += piece
                if not data.endswith(END):
                    raise BenchError(data.decode(errors="replace"))
            count += len(some)
    return {"cpu_us": (cpu_seconds(process) - before) / count * 1e6}


def _served(port: int) -> dict[int, int]:
    """Requests so far, by process."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/lb-stats")
    told = json.load(connection.getresponse())
    connection.close()
    return {worker["pid"]: worker["requests"] for worker in told["workers"]}


def _let_loose(process: psutil.Popen) -> None:
    """Let it run on every core."""
    for one in (process, *process.children(recursive=True)):
        for thread in one.threads():
            os.sched_setaffinity(thread.id, range(os.cpu_count() or 1))
