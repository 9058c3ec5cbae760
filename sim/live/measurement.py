"""What a load generator saw of a live run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.analysis.fates import Fates
from sim.model.arrivals import Schedule
from sim.model.laws import Floats

PER_REQUEST = (
    *("sent", "ended", "backend", "lost", "gone"),
    *("kind", "service", "sojourn", "late", "due", "user"),
)
"""Columns of a `Measurement` with one entry per request."""


@dataclass(frozen=True)
class Measurement:
    """What a load generator saw, one entry per request of its schedule; times in seconds.

    All times count from the start of the schedule. Users who wait for their answers have none: then
    there is one entry per request that was sent, in the order of sending.
    """

    sent: Floats
    """When the request really left; NaN where the run ended before."""
    ended: Floats
    """When the last byte was there; NaN where no successful answer came."""
    backend: NDArray[np.int64]
    """Place of the backend in the file, -1 where no answer named one."""
    lost: Floats
    """When the client knew that there would be no good answer; NaN where there was one."""
    gone: NDArray[np.bool_]
    """Whether the client left before that."""
    rotation: Floats | None = None
    """Who was usable, see `Fates`; None where nobody looked."""
    kind: NDArray[np.int8] | None = None
    """How it failed, a `Kind`."""
    service: Floats | None = None
    """How long the backend worked at it, as its answer says (X-LB-Served); NaN where none does."""
    sojourn: Floats | None = None
    """How long it was at the backend."""
    late: Floats | None = None
    """By how much the backend was late to answer."""
    busy: Floats | None = None
    """Share of this machine's processors that was in use, second by second; None where it is not
    known."""
    stolen: Floats | None = None
    """Share of their time that the host gave to others."""
    due: Floats | None = None
    """When each request was to leave, where no schedule says: of users, who send when they have
    thought. Latency counts from there."""
    user: NDArray[np.int64] | None = None
    """Whose request it was, of users."""

    @classmethod
    def blank(cls, n: int) -> Measurement:
        times = (np.full(n, np.nan) for _ in range(3))
        return cls(
            next(times),
            next(times),
            np.full(n, -1, np.int64),
            next(times),
            np.zeros(n, bool),
            kind=np.zeros(n, np.int8),
            service=np.full(n, np.nan),
            sojourn=np.full(n, np.nan),
            late=np.full(n, np.nan),
        )

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, **{k: v for k, v in vars(self).items() if v is not None})

    def truncated(self, schedule: Schedule) -> tuple[Schedule, Measurement]:
        """Both up to the last request that was sent at all."""
        n = int(np.flatnonzero(np.isfinite(self.sent))[-1]) + 1 if self.any_sent else 0
        return schedule.head(n), self.head(n)

    def head(self, n: int) -> Measurement:
        """The first `n` requests."""
        kept = {name: column[:n] for name, column in self.columns.items()}
        return replace(self, **kept)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """What there is of `PER_REQUEST`, by name."""
        columns = {name: getattr(self, name) for name in PER_REQUEST}
        return {name: column for name, column in columns.items() if column is not None}

    def fates(self, schedule: Schedule | None) -> Fates:
        """What became of the requests of `schedule`, or of users' own."""
        good = np.isfinite(self.ended)
        due = self.due_by(schedule)
        return Fates(due, np.where(good, self.ended, self.lost), good, self.rotation)

    def due_by(self, schedule: Schedule | None) -> Floats:
        """When each request should have left: by `schedule`, or by what its user thought."""
        if schedule is not None:
            return schedule.times
        return self.sent if self.due is None else self.due

    def by_arrival(self) -> Measurement:
        """Its rows in the order in which they should have left; without a schedule only."""
        order = np.argsort(self.due_by(None), kind="stable")
        order = order[np.isfinite(self.sent[order])]
        return replace(self, **{name: column[order] for name, column in self.columns.items()})

    @property
    def heeded(self) -> bool:
        """Whether backends did the work that they were sent: modelled ones, who tell of it, do."""
        good = np.isfinite(self.ended)
        if self.service is None or not good.any():
            return True
        return bool(np.isfinite(self.service[good]).mean() >= 0.5)

    @property
    def any_sent(self) -> bool:
        return bool(np.isfinite(self.sent).any())
