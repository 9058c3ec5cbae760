"""CPU time of one proxied request, for each proxy that is installed, in alternating rounds.

Load takes turns (A B C A B C ...), so a slow minute of the machine slows everyone, and a ratio is
formed within a round. CPU time is user and system time of the proxy's process; it does not depend
on how busy the other core is, as requests per second do.
"""

from __future__ import annotations

import http.client
import statistics
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.bench import load, origin, traffic
from tests.bench.contenders import COMPILED, PURE, contenders
from tests.bench.peers import Contender
from tests.bench.processes import (
    LOAD_CORE,
    PROXY_CORE,
    BenchError,
    cpu_seconds,
    free_ports,
    running,
)

CASES = {
    "small GET": "small",
    "32 fields": "fields",
    "32 fields, 4 of them and one of the answer new each time": "unlike",
    "200 browser and API heads in random order": "mix",
}
"""What is asked for; lb remembers what it has seen, which is why two of these have new lines."""
TARGETS: dict[str, dict[str, float]] = {
    COMPILED: dict(zip(CASES, (0.55, 0.58, 0.45, 0.45), strict=True)),
    PURE: dict(zip(CASES, (0.72, 0.70, 0.95, 0.95), strict=True)),
}
"""CPU per request as a share of the checkout beside, at most."""
YARDSTICK = "haproxy"
BACKENDS = 3


def measure(
    quick: bool, others: list[Path], without: Collection[str], say: Callable[[str], None]
) -> dict[str, Any]:
    """All proxies under all loads; microseconds of CPU per request."""
    rounds, seconds = (7, 0.5) if quick else (15, 1.0)
    found, missing = contenders(others, without)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="lb-bench-")))
        directory.chmod(0o755)  # nginx's worker is somebody else when root starts it
        proxies = _start(stack, found, directory)
        cases = {}
        for case, kind in CASES.items():
            samples: dict[str, list[dict[str, float]]] = {one.name: [] for one in found}
            for index in range(-1, rounds):  # the first one warms up and is forgotten
                for name in _turned(list(proxies), index):
                    say(f"{case}: {name}, round {index + 1} of {rounds}")
                    sample = _sample(*proxies[name], seconds, kind)
                    if index >= 0:
                        samples[name].append(sample)
            cases[case] = {name: _summary(rows, samples) for name, rows in samples.items()}
    return {
        "targets": TARGETS,
        "rounds": rounds,
        "seconds_per_round": seconds,
        "load": load.described(),
        "origin": f"{BACKENDS} backends, one process of our own",
        "pinned": None if PROXY_CORE is None else {"proxy": PROXY_CORE, "rest": LOAD_CORE},
        "not_installed": missing,
        "proxies": {one.name: {"version": one.version, "setup": one.setup} for one in found},
        "cases": cases,
    }


def _turned(names: list[str], index: int) -> list[str]:
    """Nobody always follows the same one."""
    first = index % len(names)
    return names[first:] + names[:first]


def _start(
    stack: ExitStack, found: list[Contender], directory: Path
) -> dict[str, tuple[int, psutil.Popen]]:
    origins = free_ports(BACKENDS)
    log = directory / "origin.log"
    stack.enter_context(running(origin.command(origins), origins, LOAD_CORE, log))
    proxies = {}
    for index, one in enumerate(found):
        home = directory / str(index)
        home.mkdir()
        (port,) = free_ports(1)
        command = one.command(port, origins, home)
        process = stack.enter_context(
            running(command, [port], PROXY_CORE, home / "log", one.cwd, one.environment)
        )
        _check(one.name, port)
        proxies[one.name] = (port, process)
    return proxies


def _check(name: str, port: int) -> None:
    """A proxy that does not do the work must not be measured."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/small")
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200 or body != traffic.SMALL:
        raise BenchError(f"{name} answers {answer.status} with {len(body)} bytes")
    for field in ("Via", "X-Backend-Server"):
        if not answer.headers[field]:
            raise BenchError(f"{name} does not set {field}")


def _sample(port: int, process: psutil.Popen, seconds: float, kind: str) -> dict[str, float]:
    before = cpu_seconds(process)
    answers = load.offer(port, seconds, kind)
    used = cpu_seconds(process) - before
    return {
        "cpu_us": used / answers.requests * 1e6,
        "requests_per_second": answers.requests / answers.seconds,
        "busy": used / answers.seconds,
        "load_busy": answers.busy,
    }


def _summary(
    rows: list[dict[str, float]], samples: dict[str, list[dict[str, float]]]
) -> dict[str, Any]:
    """Medians over rounds, and the ratios to everybody else within each round."""
    over = {
        name: [mine["cpu_us"] / other["cpu_us"] for mine, other in zip(rows, others, strict=True)]
        for name, others in samples.items()
    }
    ratios = over.get(YARDSTICK, [])
    return {
        **{key: statistics.median(row[key] for row in rows) for key in rows[0]},
        "ratio": statistics.median(ratios) if ratios else None,
        "ratios": ratios,
        "over": {name: _spread(row) for name, row in over.items()},
        "rounds": rows,
    }


def _spread(ratios: list[float]) -> dict[str, float]:
    """Half of the rounds lie between low and high."""
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}
