"""Peak EWMA: of two backends drawn at random, the one with the shorter expected wait.

A backend's cost is (in flight + 1) x latency / weight. Its latency estimate jumps to every slower
sample at once and comes down by time: bad news counts now, good news has to last. A backend never
measured gets one request, not a herd; one that rests is tried again as its estimate fades; a
failure counts as a latency of `penalty`, so failing fast attracts nobody.

Cost: O(1) per pick, O(log n) with weights that differ. Wrong when latency says nothing about load,
as when requests differ much in cost.

Source: the idea is Finagle's, "Aperture and Peak EWMA load balancers", 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from lb.strategies.base import Outcome, Random
from lb.strategies.candidate import B
from lb.strategies.parts.estimates import WAIT, Estimates
from lb.strategies.parts.sampling import Sampler
from lb.strategies.reasons import Reasons, Rule
from lb.strategies.spec import Seconds, Spec, settings


@settings
class Params:
    """Settings of peak EWMA."""

    decay: "Seconds" = 10.0
    """Seconds after which a measurement counts for 1/e."""
    penalty: "Seconds" = 1.0
    """Seconds that a failed request counts as, unless it took longer."""
    choices: int = 2
    """Backends drawn for each pick."""

    def __post_init__(self) -> None:
        if not (self.decay > 0 and self.penalty > 0):
            raise ValueError("decay and penalty must be above zero seconds")
        if self.choices < 1:
            raise ValueError(f"choices must be at least 1, not {self.choices}")


class PeakEwma(Sampler[B]):
    """The one of a few drawn whose estimated latency times requests in flight is lowest."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__(rng)
        self._choices = params.choices
        self._estimates = Estimates(params.decay, params.penalty, peak=True)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid or self._choices != 2 or len(self.members) < 2 or self.weighted:
            drawn = self.sample(self._choices, avoid)
            return min(drawn, key=self._estimates.load) if drawn else None
        # The common case at full length, as in p2c; `Estimates.load` is a step for each of them.
        members, n = self.members, len(self.members)
        i, j = int(self._random() * n), int(self._random() * (n - 1))
        first, second = members[i], members[j + (j >= i)]
        keys = self._estimates.keys
        try:
            load = keys[second.order] + log((second.active + 1) / second.weight)
            lower = load < keys[first.order] + log((first.active + 1) / first.weight)
        except KeyError:  # somebody was never measured
            lower = self._estimates.load(second) < self._estimates.load(first)
        return second if lower else first

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        drawn = self.sample(self._choices, avoid)
        return Reasons(
            f"of {len(drawn)} drawn at random the one with the shortest expected wait",
            Rule.LOWEST,
            WAIT,
            [(backend, self._estimates.wait(backend, now)) for backend in drawn],
        )

    def join(self, backend: B, now: float) -> None:
        self._estimates.seed(backend, now)
        super().join(backend, now)

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._estimates.forget(backend.order)

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None:
        if backend.order in self._joined:
            self._estimates.observe(backend.order, now, outcome, latency)


SPEC = Spec(
    name="peak_ewma",
    factory=PeakEwma,
    params=Params,
    cost="O(1); O(log n) with weights that differ",
    avoid_when="latency says nothing about load",
    partial="each measures and counts its own requests only",
    needs=frozenset({"latency"}),
    claims=frozenset({"two_choices", "failure_penalty"}),
    variants=(
        {"choices": 3},
        {"decay": "1s"},
        {"decay": "30s", "penalty": "5s"},
    ),
)
