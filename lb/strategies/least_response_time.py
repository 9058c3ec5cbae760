"""Least response time: the shortest expected wait, measured latency times requests in flight.

Every backend is compared, not two of them: its load is (in flight + 1) x latency / weight, where
latency is a time-weighted average that fades while nobody asks. A backend never measured gets one
request; the others come once it has answered. A failure counts as a latency of `penalty`.

Cost: O(log n) per event: all estimates fade at the same rate, so waiting changes no order. Wrong
when several balancers share the backends: all of them run to the same fastest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from lb.strategies.base import Outcome, Random
from lb.strategies.candidate import B
from lb.strategies.parts.estimates import WAIT, Estimates
from lb.strategies.parts.tournament import LowestWins
from lb.strategies.reasons import Reasons, Rule, others
from lb.strategies.spec import Seconds, Spec, settings


@settings
class Params:
    """Settings of least response time."""

    decay: "Seconds" = 10.0
    """Seconds after which a measurement counts for 1/e."""
    penalty: "Seconds" = 1.0
    """Seconds that a failed request counts as, unless it took longer."""

    def __post_init__(self) -> None:
        if not (self.decay > 0 and self.penalty > 0):
            raise ValueError("decay and penalty must be above zero seconds")


class LeastResponseTime(LowestWins[B]):
    """Least loaded, by estimated latency times requests in flight per weight."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__(rng)
        self._estimates = Estimates(params.decay, params.penalty, peak=False)
        self._keys = self._estimates.keys

    def load(self, backend: B) -> float:
        key = self._keys.get(backend.order)
        if key is None:
            return self._estimates.load(backend)
        return key + log((backend.active + 1) / backend.weight)  # the same without the step

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        usable = others(self._usable.values(), avoid)
        waits = [(backend, self._estimates.wait(backend, now)) for backend in usable]
        return Reasons("of all the one with the shortest expected wait", Rule.LOWEST, WAIT, waits)

    def join(self, backend: B, now: float) -> None:
        self._estimates.seed(backend, now)
        super().join(backend, now)

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._estimates.forget(backend.order)

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None:
        order = backend.order
        if order in self._joined:
            self._estimates.observe(order, now, outcome, latency)
            self.moved(backend)


SPEC = Spec(
    name="least_response_time",
    factory=LeastResponseTime,
    params=Params,
    cost="O(log n)",
    avoid_when="many balancers run to the same fastest backend",
    partial="each measures and counts its own requests only",
    needs=frozenset({"latency"}),
    claims=frozenset({"failure_penalty"}),
    variants=(
        {"decay": "1s"},
        {"decay": "30s", "penalty": "5s"},
    ),
)
