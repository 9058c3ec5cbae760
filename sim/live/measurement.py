"""What a load generator saw of a live run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.analysis.fates import Fates
from sim.model.arrivals import Schedule
from sim.model.laws import Floats


@dataclass(frozen=True)
class Measurement:
    """What a load generator saw, one entry per request of its schedule; times in seconds.

    All times count from the start of the schedule.
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

    @classmethod
    def blank(cls, n: int) -> Measurement:
        times = (np.full(n, np.nan) for _ in range(3))
        return cls(
            next(times), next(times), np.full(n, -1, np.int64), next(times), np.zeros(n, bool)
        )

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, **{k: v for k, v in vars(self).items() if v is not None})

    def truncated(self, schedule: Schedule) -> tuple[Schedule, Measurement]:
        """Both up to the last request that was sent at all."""
        n = int(np.flatnonzero(np.isfinite(self.sent))[-1]) + 1 if self.any_sent else 0
        cut = Measurement(
            self.sent[:n],
            self.ended[:n],
            self.backend[:n],
            self.lost[:n],
            self.gone[:n],
            self.rotation,
        )
        return schedule.head(n), cut

    def fates(self, schedule: Schedule) -> Fates:
        """What became of the requests of `schedule`."""
        good = np.isfinite(self.ended)
        return Fates(schedule.times, np.where(good, self.ended, self.lost), good, self.rotation)

    @property
    def any_sent(self) -> bool:
        return bool(np.isfinite(self.sent).any())
