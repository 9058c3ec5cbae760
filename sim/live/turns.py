"""Where the turns of a balancer stood when a run began: it may have served others before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lb.config import Scenario
from lb.foreign.weights import whole
from sim.analysis.record import Record
from sim.engine.world import World
from sim.live.measurement import Measurement
from sim.live.seen import Seen
from sim.model.arrivals import Schedule
from sim.model.laws import Floats

NEARLY = 0.1
"""Share of requests out of turn up to which a place in a round is the one where it stood; where
more are at the best of them, turns are not taken one by one."""
TAKE_TURNS = ("round_robin", "weighted_round_robin")
LONGEST = 4096
"""Picks in a round that are tried; longer ones are hardly ever where they were."""
FIRST, FEWEST = 256, 8
"""Requests by whose backends turns are told, at most and at least."""
Ints = NDArray[np.int64]


def as_it_stood(scenario: Scenario, schedule: Schedule, measured: Measurement) -> Schedule:
    """With as many picks before it as explain best whom its first requests came to.

    Algorithms that take no turns, several balancers, answers that do not name their backend, and
    requests that no place in a round explains (hedges, retries and limits take turns away) leave it
    as it is.
    """
    wrong = _out_of_turn(scenario, schedule, [measured.backend])[0]
    if not len(wrong) or wrong.min() > NEARLY:
        return schedule
    return replace(schedule, before=int(np.argmin(wrong)))


def out_of_turn(seen: Seen) -> tuple[float, float]:
    """The share of its first requests that came to another backend than turns would have it, and
    the largest such share of the predicted runs; zeros where there are none to be told.

    Nor are there with limits or hedges: a run that is slower than predicted meets more of these,
    and so do its turns.
    """
    if seen.schedule is None or _limited(seen.scenario):
        return 0.0, 0.0
    runs = [seen.measured.backend, *map(_backends, seen.whole)]
    live, *paper = _out_of_turn(seen.scenario, seen.schedule, runs)
    if not len(live):
        return 0.0, 0.0
    return float(live.min()), max((float(it.min()) for it in paper if len(it)), default=0.0)


def _limited(scenario: Scenario) -> bool:
    """Whether who is slow may lose its turn."""
    limits = (row.max_in_flight for row in scenario.backends)
    return scenario.hedging.after is not None or any(limit is not None for limit in limits)


def _backends(record: Record) -> Ints:
    """Of each request by arrival, -1 where it failed."""
    lost = record.failures[0]
    arrived = np.concatenate([record.arrived, lost])
    backends = np.concatenate([record.backend, np.full(len(lost), -1, np.int64)])
    return backends[np.argsort(arrived, kind="stable")]


def _out_of_turn(scenario: Scenario, schedule: Schedule, runs: Sequence[Ints]) -> list[Floats]:
    """The same of each run, for each place of a round where it may have begun; none where nobody
    can tell.
    """
    if scenario.algorithm.name not in TAKE_TURNS or scenario.run.balancers > 1:
        return [np.empty(0)] * len(runs)
    round_ = _round(scenario)
    world = World(scenario, replace(schedule.head(1), before=0))
    (dispatcher,) = world.dispatchers
    dispatcher.start(0.0)
    picks = [dispatcher.balancer.pool.pick(0.0) for _ in range(round_ + FIRST)]
    orders = np.array([-1 if backend is None else backend.order for backend in picks])
    return [_wrong(orders, round_, backend[:FIRST]) for backend in runs]


def _round(scenario: Scenario) -> int:
    """Picks after which turns begin again."""
    if scenario.algorithm.name == "round_robin":
        return min(len(scenario.backends), LONGEST)
    weights, _ = whole([row.weight for row in scenario.backends], LONGEST)
    return min(sum(weights), LONGEST)


def _wrong(orders: Ints, round_: int, first: Ints) -> Floats:
    told = first >= 0
    if np.count_nonzero(told) < FEWEST:
        return np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(orders, len(first))[:round_]
    shares: Floats = (windows != first)[:, told].mean(axis=1)
    return shares
