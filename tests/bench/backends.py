"""A thousand backends, health checks on: what a request costs beside ten, and what the checks do.

Every backend is a port of one process; load goes to all, so each has a connection of its own.
"""

from __future__ import annotations

import dataclasses
import resource
import statistics
import time
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench import origin
from tests.bench.contenders import contenders
from tests.bench.processes import cpu_seconds
from tests.bench.proxies import cpu_of_a_request
from tests.bench.rounds import YARDSTICK, Proxy, Sample, Say, alternating, started

FEW, MANY = 10, 1000
TARGET = 1.1
"""CPU of a request with many, over that with few, at most."""


def measure(quick: bool, others: list[Path], without: Collection[str], say: Say) -> dict[str, Any]:
    """Raises the limit of open files for this process and those it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    rounds, seconds = (5, 1.0) if quick else (9, 2.0)
    found, _ = contenders(others, without)
    names = [one.name for one in found if one.name.startswith("lb") or one.name == YARDSTICK]
    with ExitStack() as stack:
        proxies: dict[str, Proxy] = {}
        for count in (FEW, MANY):
            of = [
                dataclasses.replace(one, name=_key(one.name, count))
                for one in found
                if one.name in names
            ]
            proxies |= stack.enter_context(started(of, origin.command, count))[0]

        def sample(name: str) -> Sample:
            return cpu_of_a_request(*proxies[name], seconds, "small")

        samples = alternating("many backends", list(proxies), rounds, sample, say)
        say("many backends: nobody asks")
        idle = _idle(proxies, 3.0 if quick else 30.0)
    cases = {}
    for name in names:
        few, many = samples[_key(name, FEW)], samples[_key(name, MANY)]
        ratios = [a["cpu_us"] / b["cpu_us"] for a, b in zip(many, few, strict=True)]
        cases[name] = {
            "few_us": statistics.median(row["cpu_us"] for row in few),
            "many_us": statistics.median(row["cpu_us"] for row in many),
            "requests_per_second": statistics.median(row["requests_per_second"] for row in many),
            "ratio": statistics.median(ratios),
            "ratios": ratios,
            "idle_share": idle[_key(name, MANY)],
        }
    return {"few": FEW, "many": MANY, "target": TARGET, "cases": cases}


def _key(name: str, count: int) -> str:
    return f"{name}, {count} backends"


def _idle(proxies: dict[str, Proxy], seconds: float) -> dict[str, float]:
    """Shares of a core that health checks take."""
    before = {name: cpu_seconds(process) for name, (_, process) in proxies.items()}
    time.sleep(seconds)
    return {
        name: (cpu_seconds(process) - before[name]) / seconds
        for name, (_, process) in proxies.items()
    }
