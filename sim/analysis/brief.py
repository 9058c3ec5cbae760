"""What is kept of a replication when its requests are not: counts, sums and histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lb.balancing import Why
from sim.analysis.histogram import BUCKETS, bucket_of
from sim.analysis.record import GONE, TIMEOUTS, Reason
from sim.model.laws import Floats

PARTS = 20
"""Parts of a replication that latencies are counted in, by arrival: for intervals."""


@dataclass
class Brief:
    """One replication. Figures by backend are in configured order; times are in seconds."""

    requests: int
    places: int
    cut: float
    """From here on figures are taken: latencies of who arrives then, occupancies from then on."""
    until: float = float("inf")
    """The last arrival, where they end."""
    failed: int = 0
    rejected: int = 0
    timed_out: int = 0
    gone: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Failed requests by reason, as `Record` has them; the others are parts of `failed`."""
    retried: int = 0
    hedged: int = 0
    came_again: int = 0
    answered: int = 0
    """Good answers between `cut` and `until`, whoever arrived when."""
    ejected: Sequence[tuple[int, float]] = ()
    """Which backend was ejected when."""
    shared: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    """Visits to shared stations, of which there are none where requests are counted."""

    def __post_init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros((PARTS, BUCKETS), np.int64)
        """Latencies by part and bucket, see `histogram`."""
        self.sums: Floats = np.zeros(PARTS)
        self.taken: NDArray[np.int64] = np.zeros(self.places, np.int64)
        """Requests that arrived from `cut` on, by who answered them."""
        self.attempts: NDArray[np.int64] = np.zeros(self.places, np.int64)
        """All of them, by backend."""
        self.in_flight: Floats = np.zeros(self.places)
        """Seconds of stays from `cut` on, as the balancer counts them."""
        self.worked: Floats = np.zeros(self.places)
        """Seconds of work from `cut` on."""

    @property
    def completed(self) -> int:
        return self.requests - self.failed

    def entered(self, order: int) -> int:
        """How many attempts a backend took in."""
        return int(self.attempts[order])

    def refuse(self, why: Reason) -> None:
        """A request has ended without a good answer."""
        self.failed += 1
        self.refused[why.value] += 1
        self.gone += why is GONE
        if why in TIMEOUTS:
            self.timed_out += 1
        else:
            self.rejected += isinstance(why, Why)

    def ended(
        self,
        rows: NDArray[np.int64],
        place: NDArray[np.int64],
        arrived: Floats,
        started: Floats,
        ended: Floats,
        left: Floats,
        work: Floats,
    ) -> None:
        """These requests, by their index, had good answers, which left their backends at `left`."""
        counted = arrived >= self.cut
        latency = (ended - arrived)[counted]
        part = rows[counted] * PARTS // self.requests
        cells = np.bincount(part * BUCKETS + bucket_of(latency), minlength=PARTS * BUCKETS)
        self.counts += cells.reshape(PARTS, BUCKETS)
        self.sums += np.bincount(part, latency, PARTS)
        self.taken += np.bincount(place[counted], minlength=self.places)
        self.attempts += np.bincount(place, minlength=self.places)
        self.answered += int(np.count_nonzero((ended >= self.cut) & (ended <= self.until)))
        self.in_flight += np.bincount(place, self._inside(started, ended), self.places)
        self.worked += np.bincount(place, self._inside(left - work, left), self.places)

    def lost(self, place: int, started: float, ended: float) -> None:
        """An attempt has brought no answer."""
        self.attempts[place] += 1
        stay = self._inside(np.array([started]), np.array([ended]))
        self.in_flight[place] += float(stay[0])

    def _inside(self, since: Floats, until: Floats) -> Floats:
        inside: Floats = np.clip(until, self.cut, self.until) - np.clip(since, self.cut, self.until)
        return inside
