"""CPU time of one proxied request: both builds, a checkout beside, and each peer installed."""

from __future__ import annotations

import http.client
from collections.abc import Collection
from pathlib import Path
from typing import Any

import psutil

from tests.bench import load, origin, traffic
from tests.bench.contenders import COMPILED, PURE, RELAY, contenders
from tests.bench.processes import LOAD_CORE, PROXY_CORE, BenchError, cpu_seconds
from tests.bench.rounds import Sample, Say, alternating, started, summaries

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
BACKENDS = 3


def measure(quick: bool, others: list[Path], without: Collection[str], say: Say) -> dict[str, Any]:
    """All proxies under all loads; microseconds of CPU per request."""
    rounds, seconds = (7, 0.5) if quick else (15, 1.0)
    found, missing = contenders(others, without)
    cases = {}
    with started(found, origin.command, BACKENDS) as (proxies, _):
        for name, (port, _) in proxies.items():
            if name != RELAY:
                _check(name, port)
        for case, kind in CASES.items():

            def sample(name: str, kind: str = kind) -> Sample:
                return cpu_of_a_request(*proxies[name], seconds, kind)

            samples = alternating(case, list(proxies), rounds, sample, say)
            cases[case] = summaries(samples, "cpu_us")
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


def cpu_of_a_request(port: int, process: psutil.Popen, seconds: float, kind: str) -> Sample:
    """One round of a load."""
    before = cpu_seconds(process)
    answers = load.offer(port, seconds, kind)
    used = cpu_seconds(process) - before
    return {
        "cpu_us": used / answers.requests * 1e6,
        "requests_per_second": answers.requests / answers.seconds,
        "busy": used / answers.seconds,
        "load_busy": answers.busy,
    }


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
