"""What speaks against one backend: failures in a row, and how it did over the last window."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import sqrt

from lb.balancing.agenda import INFINITY
from lb.balancing.backend import Backend
from lb.strategies import Outcome

SLICES = 10
"""Parts of a window: its counters are sampled, and its rates compared, at the end of each."""


class Evidence:
    """One backend's; on the agenda it stands for the end of the ejection.

    Successes are not heard of: they are read off the counters that the backend keeps anyway.
    """

    __slots__ = (
        "_against",
        "_good_before",
        "_left_at",
        "_over",
        "_samples",
        "_streak",
        "backend",
        "due_at",
        "enough",
        "failures",
        "heard",
        "order",
        "since",
        "slow",
        "span",
        "well_since",
    )

    def __init__(self, backend: Backend, over: Callable[[Evidence, float], None]) -> None:
        """`over` is told when the ejection has lasted long enough."""
        self.backend = backend
        self.order = backend.order
        self.due_at = INFINITY
        self.span = 0.0
        """How long the last ejection was; zero before the first."""
        self.since = -INFINITY
        """What was begun before says nothing: the backend was out of use in between."""
        self.well_since = -INFINITY
        """The end of the last ejection; later by the time that it was out of use since."""
        self.failures = 0
        self.enough = 0
        """Failures in a row at which to look whether they are too many."""
        self.heard = False
        """Within the streak the backend said something, or broke off."""
        self.slow = 0
        """Comparisons in a row by which it was too slow."""
        self._over = over
        self._left_at = -INFINITY
        self._against = 0  # of the backend's failures, those that are no answers
        self._streak = 0
        self._good_before = -1  # good ends at the last failure
        self._samples: deque[tuple[int, int]] = deque(maxlen=SLICES)  # good ends, failures

    def fall_due(self, now: float) -> None:
        self._over(self, now)

    @property
    def _good(self) -> int:
        return self.backend.succeeded + self.backend.failed - self._against

    def set_aside(self) -> None:
        """A failure that is neither held against the backend nor an answer."""
        self._against += 1

    def failed(self, outcome: Outcome, enough: int) -> int:
        """Take a failure that was set aside after all; the length of the streak it stands in.

        A streak ends with whatever went well meanwhile, begun before it or not.
        """
        good = self._good
        if good != self._good_before or not self._streak:
            self._good_before, self._streak = good, 0
            self.enough, self.heard = enough, False
        self._streak += 1
        self.failures += 1
        self.heard = self.heard or outcome in (Outcome.RESET, Outcome.SERVER_ERROR)
        return self._streak

    @property
    def streak(self) -> int:
        """Failures since anything went well."""
        return self._streak if self._good == self._good_before else 0

    def sample(self) -> None:
        """Note the counters: a slice of the window is over, or the first begins."""
        self._samples.append((self._good, self.failures))

    @property
    def recent(self) -> tuple[int, int]:
        """Ends over the window that were good, and failures."""
        if not self._samples:
            return 0, 0
        good, failures = self._samples[0]
        return self._good - good, self.failures - failures

    def forget_window(self) -> None:
        """No window is open any more."""
        self._samples.clear()
        self.slow = 0

    def left(self, now: float) -> None:
        """It is out of use."""
        self._left_at = now

    def begun(self, now: float) -> None:
        """It is in use again, and what was before says nothing about it."""
        if self._left_at > -INFINITY:
            self.well_since += now - self._left_at
        self.since = now
        self.forget()

    def over(self, now: float) -> None:
        """Its ejection is over; that it is in use again may be told later."""
        self.well_since = self.since = self._left_at = now
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._streak = self.slow = 0
        if self._samples:
            self._samples.clear()
            self.sample()


def doubt(failures: int, requests: int) -> float:
    """The variance of a failure rate that was seen over so many requests.

    Two requests are added, one of them a failure, so that few requests are never certain (Agresti
    and Coull, "Approximate is better than exact", 1998, in its simplest form).
    """
    rate = (failures + 1) / (requests + 2)
    return rate * (1 - rate) / (requests + 2)


class Comparison:
    """The failure rates of backends, each beside the mean of the others'.

    Every backend counts once: one that fails fast draws more requests than all others together,
    and must not hide itself, or the next one, behind their number.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[Evidence, int, float, float]] = []

    def add(self, evidence: Evidence) -> None:
        """One backend more; without a request it says nothing."""
        good, failures = evidence.recent
        requests = good + failures
        if requests:
            row = (evidence, requests, failures / requests, doubt(failures, requests))
            self._rows.append(row)

    def worse(self, by: float, sigmas: float, least: int) -> list[tuple[Evidence, float, float]]:
        """Backends of at least `least` requests whose rate is above the others' by `by`, and by so
        many standard errors; with both rates, the worst first.
        """
        others = len(self._rows) - 1
        if others < 1:
            return []
        rates = sum(rate for _, _, rate, _ in self._rows)
        variances = sum(variance for *_, variance in self._rows)
        found = []
        for evidence, requests, rate, variance in self._rows:
            elsewhere = max((rates - rate) / others, 0.0)
            error = sqrt(variance + (variances - variance) / others**2)
            if requests >= least and rate - elsewhere >= max(by, sigmas * error):
                found.append((evidence, rate, elsewhere))
        return sorted(found, key=lambda row: (row[2] - row[1], row[0].order))
