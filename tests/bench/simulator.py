"""Simulated requests per second on one core: ten exponential FIFO backends at load 0.8."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from lb.config import Scenario
from lb.strategies import REGISTRY
from sim.engine.world import World
from sim.model.arrivals import Schedule
from tests.bench.processes import PROXY_CORE, pinned

TARGET = 200_000
HIGHLIGHT = "least_connections"
BACKENDS, LOAD, RUNS = 10, 0.8, 3


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """One run of every algorithm, then the next; drawing the schedule is not counted."""
    requests = 60_000 if quick else 300_000
    scenario = _scenario(requests)
    schedule = Schedule.draw(scenario)
    rates: dict[str, list[float]] = {name: [] for name in REGISTRY}
    with pinned(PROXY_CORE):
        for run in range(RUNS):
            for name, row in rates.items():
                say(f"simulating {name}, run {run + 1} of {RUNS}")
                started = time.perf_counter()
                World(scenario, schedule, name).replicate()
                row.append(requests / (time.perf_counter() - started))
    return {
        "target": TARGET,
        "highlight": HIGHLIGHT,
        "scenario": f"{BACKENDS} exponential FIFO backends of one worker, load {LOAD}",
        "requests": requests,
        "runs": RUNS,
        "algorithms": {
            name: {"best": max(row), "median": statistics.median(row), "runs": row}
            for name, row in rates.items()
        },
    }


def _scenario(requests: int) -> Scenario:
    backend = """
[[backend]]
address = "127.0.0.1:{port}"
[backend.model]
service = {{ law = "exponential", mean = "10ms" }}
"""
    return Scenario.parse(
        f"""
[traffic]
arrivals = {{ process = "poisson", rate = {LOAD * BACKENDS / 0.010} }}
[run]
requests = {requests}
replications = 1
"""
        + "".join(backend.format(port=3001 + index) for index in range(BACKENDS)),
        "the benchmark's scenario",
    )
