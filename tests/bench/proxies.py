"""CPU time of one proxied request, for each proxy that is installed, in alternating rounds.

Load takes turns (A B C A B C ...), so a slow minute of the machine slows everyone, and a ratio is
formed within a round. CPU time is user and system time of the proxy's process; it does not depend
on how busy the other core is, as requests per second do.
"""

from __future__ import annotations

import http.client
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.bench import load, origin
from tests.bench.contenders import Contender, contenders
from tests.bench.processes import (
    LOAD_CORE,
    PROXY_CORE,
    BenchError,
    cpu_seconds,
    free_ports,
    running,
)

TARGETS = {
    "small GET": {"haproxy": 1.6, "caddy": 0.6},
    "small GET, 32 extra fields": {"haproxy": 2.0},
}
"""CPU per request over a peer's, at most."""
YARDSTICK = "haproxy"
BACKENDS = 3
CASES = {
    "small GET": (0, 0),
    "small GET, 32 extra fields": (32, 0),
    "small GET, 32 extra fields, 4 of them and one of the answer new each time": (32, 4),
}
"""Further fields, and how many of them never come twice: lb remembers what it has seen."""


def measure(quick: bool, others: list[Path], say: Callable[[str], None]) -> dict[str, Any]:
    """All proxies under all loads; microseconds of CPU per request."""
    rounds, seconds = (3, 1) if quick else (5, 3)
    found, missing = contenders(others)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="lb-bench-")))
        directory.chmod(0o755)  # nginx's worker is somebody else when root starts it
        proxies = _start(stack, found, directory)
        cases = {}
        for case, (fields, changing) in CASES.items():
            samples: dict[str, list[dict[str, float]]] = {one.name: [] for one in found}
            for index in range(-1, rounds):  # the first one warms up and is forgotten
                for name, (port, process) in proxies.items():
                    say(f"{case}: {name}, round {index + 1} of {rounds}")
                    sample = _sample(process, port, seconds if index >= 0 else 1, fields, changing)
                    if index >= 0:
                        samples[name].append(sample)
            cases[case] = {name: _summary(rows, samples) for name, rows in samples.items()}
    return {
        "targets": TARGETS,
        "rounds": rounds,
        "seconds_per_round": seconds,
        "load": load.described(),
        "origin": f"{BACKENDS} backends, {origin.described()}",
        "pinned": None if PROXY_CORE is None else {"proxy": PROXY_CORE, "rest": LOAD_CORE},
        "not_installed": missing,
        "proxies": {one.name: {"version": one.version, "setup": one.setup} for one in found},
        "cases": cases,
    }


def _start(
    stack: ExitStack, found: list[Contender], directory: Path
) -> dict[str, tuple[int, psutil.Popen]]:
    origins = free_ports(BACKENDS)
    home = directory / "origin"
    home.mkdir()
    command = origin.command(origins, home)
    stack.enter_context(running(command, origins, LOAD_CORE, home / "log"))
    proxies = {}
    for index, one in enumerate(found):
        home = directory / str(index)
        home.mkdir()
        (port,) = free_ports(1)
        command = one.command(port, origins, home)
        process = stack.enter_context(running(command, [port], PROXY_CORE, home / "log", one.cwd))
        _check(one.name, port)
        proxies[one.name] = (port, process)
    return proxies


def _check(name: str, port: int) -> None:
    """A proxy that does not do the work must not be measured."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/small")
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    if answer.status != 200 or body != origin.BODY:
        raise BenchError(f"{name} answers {answer.status} with {len(body)} bytes")
    for field in ("Via", "X-Backend-Server"):
        if not answer.headers[field]:
            raise BenchError(f"{name} does not set {field}")


def _sample(
    process: psutil.Popen, port: int, seconds: int, fields: int, changing: int
) -> dict[str, float]:
    before = cpu_seconds(process)
    answers = load.offer(port, seconds, fields, changing)
    used = cpu_seconds(process) - before
    return {
        "cpu_us": used / answers.requests * 1e6,
        "requests_per_second": answers.requests / answers.seconds,
        "busy": used / answers.seconds,
    }


def _summary(
    rows: list[dict[str, float]], samples: dict[str, list[dict[str, float]]]
) -> dict[str, Any]:
    """Medians over rounds, and the ratio to the yardstick within each round."""
    yardstick = samples.get(YARDSTICK)
    ratios = [
        mine["cpu_us"] / other["cpu_us"]
        for mine, other in zip(rows, yardstick or [], strict=yardstick is not None)
    ]
    return {
        **{key: statistics.median(row[key] for row in rows) for key in rows[0]},
        "ratio": statistics.median(ratios) if ratios else None,
        "ratios": ratios,
        "rounds": rows,
    }
