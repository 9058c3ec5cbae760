"""A balancer whose own work takes time: requests, and answers, pass its one thread in turn."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from lb.balancing import Lease, Outcome
from sim.analysis.record import Visits
from sim.engine.alarms import Alarm
from sim.engine.dispatcher import ANSWERS, OK, Dispatcher
from sim.engine.pressed import Pressed
from sim.engine.request import Request
from sim.engine.timeline import Timeline


class Costs(NamedTuple):
    """Seconds of a balancer's thread that each request takes, by its index."""

    request: list[float]
    """Before a backend is picked for it."""
    answer: list[float]
    """On its answer's way to the client; empty where that takes none."""


class Thread:
    """One thread: who comes first is served first, whatever for."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._free_at = 0.0
        self.visits = Visits(array("d"), array("d"))

    def take(self, work: float, now: float, then: Callable[[float], object]) -> None:
        """Do `then` when `work` seconds are done, in turn."""
        self._free_at = due = max(now, self._free_at) + work
        self.visits.entered.append(now)
        self.visits.left.append(due)
        self._timeline.set(Alarm(then), due)


class Costly(Pressed):
    """A dispatcher whose balancer has a thread.

    A client's patience begins when it comes; all limits of the balancer when it has seen to it.
    """

    def __init__(self, *world: Any, costs: Costs, held: array[float], **clients: Any) -> None:
        """`held` takes down how long each answer that stood was here, by its request's index."""
        super().__init__(*world, **clients)
        self._costs, self._held_up = costs, held
        self.thread = Thread(self._timeline)

    def _enter(self, request: Request, now: float) -> None:
        self.thread.take(self._costs.request[request.index], now, partial(self._come_in, request))

    def _come_in(self, request: Request, now: float) -> None:
        if not self._patience or request.index in self._here:  # else it has left meanwhile
            Dispatcher.arrive(self, request, now)

    def end(
        self,
        lease: Lease[Request],
        now: float,
        outcome: Outcome = OK,
        reached: float | None = None,
    ) -> None:
        """The answer is here, or the news that there will be none, which costs nothing."""
        answers = self._costs.answer
        if not answers or outcome not in ANSWERS or not lease.open:
            super().end(lease, now, outcome, reached)
            return
        seen = partial(self._seen, lease, came=now, outcome=outcome, reached=reached)
        self.thread.take(answers[lease.call.index], now, seen)

    def _seen(
        self,
        lease: Lease[Request],
        now: float,
        came: float,
        outcome: Outcome,
        reached: float | None,
    ) -> None:
        index = lease.call.index
        if not lease.open:  # given up meanwhile, though its answer was here
            self._late(lease, came - self._ways_of(lease)[1])
            return
        super().end(lease, now, outcome, reached)
        if math.isfinite(self._journal.ended[index]) and outcome is OK:
            self._held_up[index] = now - came
