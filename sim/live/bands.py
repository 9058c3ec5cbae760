"""What somebody who watches a balancer should see: figures of short windows, and how they spread.

A page shows the p99 of the last ten seconds, say. That differs from one window to the next though
nothing has changed; the simulator says by how much.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from lb.config import Scenario
from lb.errors import UsageError
from sim.analysis.statistics import Estimate
from sim.experiment import simulate
from sim.model.laws import Floats
from sim.result import AlgorithmRun

WINDOW = 10.0
"""Seconds, as the page measures; shorter where that would be more requests than are simulated."""
WINDOWS = 50
"""From 39 on, the least and the most of them can bound 95 of 100 further ones."""
MOST_REQUESTS = 200_000
"""A few seconds of one core."""
FEWEST = 20
"""Windows that a band is drawn from."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def bands(scenario: Scenario) -> dict[str, Any]:
    """How windows of this scenario, without its faults, would look.

    `latency` and `throughput`: the `value` over the whole run, with its 95 % interval, and `low`
    and `high`, which 95 of 100 windows lie between. Raises ConfigError where it cannot be
    simulated, UsageError where its lines would grow without end.
    """
    window = min(WINDOW, MOST_REQUESTS / WINDOWS / scenario.rate)
    lasting = (WINDOWS + 5) * window  # the first ones are warm-up
    watched = scenario.with_run(requests=None, duration=lasting, replications=1)
    watched = watched.model_copy(update={"faults": ()})
    if watched.utilisation >= 1 and not watched.bounded:
        load = f"{watched.utilisation:.3g} of what its backends can serve"
        raise UsageError(f"at {scenario.rate:.4g} requests per second the model is offered {load}")
    (found,) = simulate(watched).runs
    spread = _spread(found, window)
    return {
        "algorithm": found.algorithm,
        "rate": scenario.rate,
        "window": window,
        "latency": {
            name: {**_estimate(found.latency[name]), **spread[name]}
            for name in QUANTILES
            if name in spread
        },
        "throughput": {"value": found.throughput, **spread.get("throughput", {})},
        "backends": [
            {"name": use.name, "share": use.share, "utilisation": use.utilisation}
            for use in found.backends
        ],
    }


def _estimate(told: Estimate) -> dict[str, Any]:
    figures = told.as_dict() or dict.fromkeys(("value", "low", "high"))
    return {"value": figures["value"], "interval": [figures["low"], figures["high"]]}


def _spread(run: AlgorithmRun, window: float) -> dict[str, dict[str, float]]:
    """Where 95 of 100 windows lie, of each figure."""
    (record,) = run.records
    order = np.argsort(record.ended)
    ended, latency = record.ended[order], record.latency[order]
    edges = np.arange(run.warmup, record.until + 1e-9, window)
    places = np.searchsorted(ended, edges)
    windows = [latency[a:b] for a, b in pairwise(places)]
    found = {"throughput": _between(np.array([len(one) / window for one in windows]))}
    for name, share in QUANTILES.items():
        filled = [one for one in windows if len(one) * (1 - share) >= 1 - 1e-9]  # others show none
        figures = [float(np.quantile(one, share, method="inverted_cdf")) for one in filled]
        found[name] = _between(np.array(figures))
    return {name: ends for name, ends in found.items() if ends}


def _between(figures: Floats) -> dict[str, float]:
    """One more like these lies between `low` and `high` 95 times in 100 (order statistics)."""
    if len(figures) < FEWEST:
        return {}
    low, high = np.quantile(figures, [0.025, 0.975], method="weibull")
    return {"low": float(low), "high": float(high)}
