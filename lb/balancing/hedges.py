"""When a second attempt is started beside one that takes long; the first answer wins.

Requests that hit a slow moment of one server need not wait for it: with a second attempt after the
95th percentile of the latencies, at most one request in twenty is sent twice, and the tail becomes
that of two servers which are slow at the same time. Source: Dean and Barroso, "The tail at scale",
Communications of the ACM 56(2), 2013.

Only safe calls are hedged. A hedge goes to a backend that the call has not tried, and draws
from the budget of the retries. It never stands in the line: while anybody waits all backends are
full, and there is none that it could go to.
"""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from lb.balancing.agenda import INFINITY, Agenda
from lb.balancing.call import C
from lb.balancing.lease import Lease
from lb.balancing.retries import Refusal

BEYOND = 5
"""So many latencies beyond a quantile must have been seen before it is gone by."""
GAIN = 0.02
"""Of each latency's step. After a jump of the latencies to tenfold the 95th percentile is there
within some 120 of them; back it takes 2,300, as long as it takes to see that they are rare."""
LEAST = 1e-6
"""Seconds: a quantile of zero could not grow."""
_QUANTILE = re.compile(r"p(?:(\d\d)(?:\.(\d))?|(9\d\d))")


def quantile(name: str) -> float:
    """The number that "p95", "p99.9" or "p999" stands for. Raises ValueError for anything else."""
    match = _QUANTILE.fullmatch(name)
    digits = "" if match is None else "".join(filter(None, match.groups()))
    if not digits.strip("0"):
        raise ValueError(f'{name!r} is no quantile, such as "p95" or "p99.9"')
    return float(f"0.{digits}")


@dataclass(frozen=True)
class HedgePolicy:
    """Hedging. Times in seconds."""

    after: float | str | None = None
    """How long an attempt is given before there is another, or a quantile of the latencies, such as
    "p95"; None is off."""


class Latencies:
    """A quantile of the latencies, which follows them as they change.

    Of a call that was hedged all that is known is that its first attempt took longer than the
    quantile. So the estimate goes by that alone, for each latency: up when it was longer, down when
    it was not, in steps that balance where the share is right. Source: Yazidi and Hammer,
    "Multiplicative update methods for incremental quantile estimation", IEEE Transactions on
    Cybernetics 49(3), 2019.
    """

    def __init__(self, share: float) -> None:
        """`share` of them are at most the quantile."""
        self.quantile = INFINITY
        """Seconds; infinity while the sample cannot carry it."""
        self._up, self._down = 1 + GAIN * share, 1 - GAIN * (1 - share)
        self._share = share
        self._first: list[float] = []
        self._least = round(BEYOND / (1 - share))

    def add(self, seconds: float) -> None:
        """One more."""
        if self.quantile < INFINITY:
            self.quantile *= self._up if seconds > self.quantile else self._down
            return
        self._first.append(seconds)
        if len(self._first) >= self._least:
            rank = math.ceil(self._share * len(self._first))
            self.quantile = max(sorted(self._first)[rank - 1], LEAST)
            self._first.clear()


class Hedges(Generic[C]):
    """Attempts that may get another one beside them, in the order they were started.

    The wait is the same for all of them, so the first is always the next to fall due, and one item
    on the agenda is enough.
    """

    order = -1  # on the agenda

    def __init__(
        self, policy: HedgePolicy, agenda: Agenda, due: Callable[[Lease[C], float], None]
    ) -> None:
        """`due` hears of every attempt that has been given its time."""
        self.due_at = INFINITY
        self.started = self.won = 0
        self.refused: Counter[str] = Counter(
            {why.value: 0 for why in (Refusal.BUDGET, Refusal.NO_BACKEND)}
        )
        self._agenda = agenda
        self._due = due
        self._pending: OrderedDict[Lease[C], None] = OrderedDict()
        self.adopt(policy)

    def adopt(self, policy: HedgePolicy) -> None:
        """Another policy. What is known of latencies is kept by who goes by them on."""
        self.policy = policy
        after = policy.after
        self.on = after is not None
        self._latencies = Latencies(quantile(after)) if isinstance(after, str) else None
        self.after = after if isinstance(after, float | int) else INFINITY
        """Seconds an attempt is given at present."""
        self._pending.clear()

    def watch(self, lease: Lease[C]) -> None:
        """An attempt has started."""
        if self.after < INFINITY and lease.call.safe:
            self._pending[lease] = None
            if self.due_at == INFINITY:
                self._agenda.set(self, lease.started_at + self.after)

    def answered(self, lease: Lease[C], seconds: float) -> None:
        """An attempt has its answer; `seconds` is how long its call has waited for one.

        Where two were under way that is the time since the first of them: the quantile would sink
        from hedge to hedge if those were taken for as fast as their second attempt.
        """
        self._pending.pop(lease, None)
        latencies = self._latencies
        if latencies is not None and lease.call.safe:
            latencies.add(seconds)
            self.after = latencies.quantile

    def fall_due(self, now: float) -> None:
        """Hand over every attempt that has been given its time."""
        pending = self._pending
        while pending:
            lease = next(iter(pending))
            if lease.open and lease.started_at + self.after > now:
                break
            del pending[lease]
            if lease.open:
                self._due(lease, now)
        if pending:
            self._agenda.set(self, next(iter(pending)).started_at + self.after)
