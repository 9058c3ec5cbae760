"""Where the turns of a balancer stood when a run began: it may have served others before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lb.config import Scenario
from sim.engine.world import World
from sim.live.measurement import Measurement
from sim.live.seen import Seen
from sim.model.arrivals import Schedule
from sim.model.laws import Floats

TAKE_TURNS = ("round_robin", "weighted_round_robin")
LONGEST = 4096
"""Picks in a round that are tried; longer ones are hardly ever where they were."""
FIRST, FEWEST = 256, 8
"""Requests by whose backends turns are told, at most and at least."""


def as_it_stood(scenario: Scenario, schedule: Schedule, measured: Measurement) -> Schedule:
    """With as many picks before it as explain best whom its first requests came to.

    Algorithms that take no turns, several balancers, and answers that do not name their backend
    leave it as it is.
    """
    wrong = _out_of_turn(scenario, schedule, measured)
    return replace(schedule, before=int(np.argmin(wrong))) if len(wrong) else schedule


def out_of_turn(seen: Seen) -> float:
    """The share of its first requests that came to another backend than turns would have it; zero
    where there are none to be told.
    """
    if seen.schedule is None:
        return 0.0
    wrong = _out_of_turn(seen.scenario, seen.schedule, seen.measured)
    return float(wrong.min()) if len(wrong) else 0.0


def _out_of_turn(scenario: Scenario, schedule: Schedule, measured: Measurement) -> Floats:
    """The same for each place of a round where it may have begun; none where nobody can tell."""
    first = measured.backend[:FIRST]
    told = first >= 0
    takes_turns = scenario.algorithm.name in TAKE_TURNS and scenario.run.balancers == 1
    if not takes_turns or np.count_nonzero(told) < FEWEST:
        return np.empty(0)
    round_ = int(min(sum(row.weight for row in scenario.backends), LONGEST))
    world = World(scenario, replace(schedule.head(1), before=0))
    (dispatcher,) = world.dispatchers
    dispatcher.start(0.0)
    picks = [dispatcher.balancer.pool.pick(0.0) for _ in range(round_ + len(first))]
    orders = np.array([-1 if backend is None else backend.order for backend in picks])
    windows = np.lib.stride_tricks.sliding_window_view(orders, len(first))[:round_]
    shares: Floats = (windows != first)[:, told].mean(axis=1)
    return shares
