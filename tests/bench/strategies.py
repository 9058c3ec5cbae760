"""What a decision costs: pick, started and finished of every strategy, for few and many backends.

As many calls are in flight as there are backends, ended in order of their start. The loop around
the three calls is timed alone and subtracted.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections import deque
from collections.abc import Collection
from pathlib import Path
from random import Random
from typing import Any

from lb.balancing import Backend
from lb.balancing.health import HealthPolicy
from lb.balancing.settings import Settings
from lb.strategies import REGISTRY, Outcome, Spec, Strategy, create
from tests.bench.processes import PROXY_CORE, pinned
from tests.bench.rounds import Say

SIZES = (3, 10, 100, 1_000, 10_000)
REPEATS = 5
KEYS = [b"client-%d" % index for index in range(1024)]


def measure(quick: bool, others: list[Path], without: Collection[str], say: Say) -> dict[str, Any]:
    """Microseconds for the three calls together, the best of REPEATS, in the build that runs."""
    calls = 4_000 if quick else 20_000
    costs: dict[str, dict[str, float]] = {name: {} for name in REGISTRY}
    with pinned(PROXY_CORE):
        for name, row in costs.items():
            for size in SIZES:
                say(f"deciding among {size} backends: {name}")
                row[str(size)] = _cost(REGISTRY[name], size, calls)
    return {
        "calls": calls,
        "in_flight": "one per backend on average",
        "microseconds": costs,
        "bytes_per_backend": {name: _memory(REGISTRY[name]) for name in REGISTRY},
    }


def _memory(spec: Spec, size: int = 1_000) -> float:
    """Bytes that a strategy holds for each backend, after a first pick has built its tables."""
    backends = _backends(spec, size)
    gc.collect()
    tracemalloc.start()
    strategy: Strategy[Any] = create(spec.name, Random(1))
    for backend in backends:
        strategy.join(backend, 0.0)
    strategy.pick(0.0, KEYS[0], ())
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / size


def _backends(spec: Spec, size: int) -> list[Backend]:
    return [
        Backend(Settings(f"127.0.0.1:{order}", _weight(spec, order)), order, HealthPolicy())
        for order in range(size)
    ]


def _cost(spec: Spec, size: int, calls: int) -> float:
    in_flight = size
    if spec.cost == "O(n)":  # or it would be all that is timed
        calls, in_flight = max(calls * 10 // size, 20), min(size, 20)
    strategy: Strategy[Any] = create(spec.name, Random(1))
    for backend in _backends(spec, size):
        strategy.join(backend, 0.0)
    under_way: deque[Any] = deque()
    for _ in range(in_flight):
        backend = strategy.pick(0.0, KEYS[0], ())
        backend.active += 1
        strategy.started(backend, 0.0)
        under_way.append(backend)
    whole = min(_decide(strategy, under_way, calls) for _ in range(REPEATS))
    around = min(_only_count(under_way, calls) for _ in range(REPEATS))
    return (whole - around) / calls * 1e6


def _weight(spec: Spec, order: int) -> int:
    return 1 + order % 3 if "weights" in spec.needs else 1


def _decide(strategy: Strategy[Any], under_way: deque[Any], calls: int) -> float:
    """Seconds for `calls` calls to begin and as many to end."""
    pick, started, finished, ok = strategy.pick, strategy.started, strategy.finished, Outcome.OK
    begin = time.perf_counter()
    for index in range(calls):
        now = index * 1e-3
        backend = pick(now, KEYS[index & 1023], ())
        backend.active += 1
        started(backend, now)
        under_way.append(backend)
        done = under_way.popleft()
        done.active -= 1
        finished(done, now, ok, 0.01)
    return time.perf_counter() - begin


def _only_count(under_way: deque[Any], calls: int) -> float:
    """The same loop with nobody to ask."""
    begin = time.perf_counter()
    for index in range(calls):
        now = index * 1e-3
        backend, _ = under_way[0], (now, KEYS[index & 1023])
        backend.active += 1
        under_way.append(backend)
        done = under_way.popleft()
        done.active -= 1
    return time.perf_counter() - begin
