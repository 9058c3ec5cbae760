"""Weighted feedback: turns in proportion to weights that the backends' own load reports set.

A backend says in `X-LB-Load`, or in ORCA's `endpoint-load-metrics`, how much of it is used and how
many requests a second it answers. Its weight is what it could answer at full use: the rate over the
utilisation, errors counting as use. Both are of one moment, so an old report is as good a weight as
a fresh one while the backend stays the same. With `by = "utilisation"` the weight moves instead
until the backend is as busy as the others (their geometric mean), whatever else keeps it busy; that
is a control loop, and reports older than about `smoothing` make it swing: whoever looked idle a
while ago is overrun. Configured weights and slow start multiply what is learnt. Who has not told
enough yet, or nothing for `expiry`, gets the mean weight.

Cost: O(log n) per pick and per report that changes a weight. Wrong when backends report nothing, or
when their utilisation says little about the next request's wait: it is weighted round robin then.

Source: gRFC A58, "weighted_round_robin LB policy", 2023, as in gRPC and Envoy; the loop after
Dropbox, "What's new with Robinhood, our in-house load balancing service", 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Literal

from lb.strategies.base import LoadReport, Random
from lb.strategies.candidate import B
from lb.strategies.parts.deadlines import Deadlines
from lb.strategies.spec import Seconds, Spec, settings

UNIT = 1 << 40
"""The step of a backend of mean weight; fine enough for a share of one in a billion."""
RANGE = 100.0
"""No weight is further from the mean than this factor: who gets no requests tells nothing."""
IDLE = 0.01
"""The least utilisation that one weight is moved by; the logarithm of none says nothing."""


@settings
class Params:
    """Settings of weighted feedback, the first four with gRPC's values."""

    blackout: "Seconds" = 10.0
    """How long a backend must have reported before its weight counts."""
    expiry: "Seconds" = 180.0
    """After this silence its weight counts no more, and the blackout begins anew."""
    update: "Seconds" = 1.0
    """How often a weight may change."""
    error_penalty: float = 1.0
    """What utilisation a backend is taken to have on top that answers with nothing but errors."""
    smoothing: "Seconds" = 3.0
    """A weight is within 1/e of what reports say after this time; 0s follows at once."""
    by: 'Literal["rate", "utilisation"]' = "rate"
    """Rate over utilisation, or the same utilisation for all; the latter needs no rate."""

    def __post_init__(self) -> None:
        if self.expiry <= 0:
            raise ValueError("expiry must be above zero seconds")
        if self.error_penalty < 0:
            raise ValueError(f"error_penalty must be at least 0, not {self.error_penalty}")


class Told:
    """What one backend's reports have come to."""

    __slots__ = ("changed_at", "last", "load", "since", "weight")

    def __init__(self, now: float) -> None:
        self.since = now  # reports have come from here on
        self.last = now
        self.changed_at = now
        self.weight = 0.0  # none yet
        self.load = 0.0  # logarithm of its utilisation


class WeightedFeedback(Deadlines[B]):
    """Deadlines whose steps are one over what has been told, beside the mean of that."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__()
        # What is asked for every report is looked up once.
        self._blackout = params.blackout
        self._expiry = params.expiry
        self._update = params.update
        self._penalty = params.error_penalty
        self._smoothing = params.smoothing
        self._by_rate = params.by == "rate"
        self._told: dict[int, Told] = {}  # by order
        self._known = 0  # of them have a weight
        self._weights = 0.0  # the sum of these
        self._loads = 0.0  # and of their loads
        self._at = 0.0

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._forget(backend.order)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        self._at = now
        return super().pick(now, key, avoid)

    def fed(self, backend: B, now: float, report: LoadReport) -> None:
        """A load report has come in; it may be from before the backend left."""
        order, load = backend.order, self._load(report)
        if load <= 0 or order not in self._members:
            return
        told = self._told.get(order)
        if told is not None and now - told.last >= self._expiry:
            self._forget(order)
            told = None
        if told is None:
            told = self._told[order] = Told(now)
        told.last = now
        if told.weight:
            if now - told.changed_at < self._update:
                return
        elif now - told.since < self._blackout:
            return
        self._follow(told, now, load, report.rate or 0.0)
        self.reweigh(backend, now)

    def _load(self, report: LoadReport) -> float:
        """The utilisation to go by; zero when the report says too little."""
        used, rate = report.utilisation, report.rate
        by_rate = self._by_rate
        if used is None or (by_rate and not (rate and used > 0)):
            return 0.0
        if rate and report.errors:
            used += report.errors / rate * self._penalty
        return used if by_rate else max(used, IDLE)

    def _follow(self, told: Told, now: float, load: float, rate: float) -> None:
        """Move a weight towards what a report says, as far as the time since the last one lets."""
        slow = self._smoothing
        pace = 1 - exp((told.changed_at - now) / slow) if slow else 1.0
        old, told.changed_at = told.weight, now
        self._discount(told)
        mean = self._weights / self._known if self._known else 0.0
        told.load = log(load)
        if self._by_rate:
            wanted = rate / load
            told.weight = old * (wanted / old) ** pace if old else wanted
        else:
            typical = (self._loads + told.load) / (self._known + 1)
            told.weight = old * exp((typical - told.load) * pace) if old else mean or 1.0
        if mean:
            told.weight = min(max(told.weight, mean / RANGE), mean * RANGE)
        self._known += 1
        self._weights += told.weight
        self._loads += told.load

    def _discount(self, told: Told) -> None:
        """Take a weight out of the sums. What rounding leaves behind ends with the last one."""
        if told.weight:
            self._known -= 1
            self._weights = self._weights - told.weight if self._known else 0.0
            self._loads = self._loads - told.load if self._known else 0.0

    def _step(self, order: int) -> int:
        backend, told = self._members[order], self._told.get(order)
        share = backend.weight
        if told is not None and told.weight:
            if self._at - told.last >= self._expiry:
                self._forget(order)
            else:
                share *= told.weight * self._known / self._weights
        return int(UNIT / share) or 1

    def _forget(self, order: int) -> None:
        told = self._told.pop(order, None)
        if told is not None:
            self._discount(told)


SPEC = Spec(
    name="weighted_feedback",
    factory=WeightedFeedback,
    params=Params,
    cost="O(log n)",
    avoid_when="backends do not report their utilisation",
    needs=frozenset({"reports"}),
    claims=frozenset({"shares"}),
    variants=(
        {"by": "utilisation"},
        {"blackout": "0s", "smoothing": "0s", "update": "0s"},
        {"by": "utilisation", "blackout": "0s", "expiry": "5s"},
        {"error_penalty": 0.0, "blackout": "2s"},
    ),
)
