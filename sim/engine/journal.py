"""What a world writes down of its requests, by their index."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from lb.balancing import Lease
from sim.analysis.record import Reason, Record
from sim.engine.request import Request
from sim.model.laws import Floats
from sim.model.stations import INFINITY

NAN = float("nan")


class Journal:
    """One entry per request in each array; NaN in `ended` where there was no successful end.

    Hot code writes the entries itself and then counts `left` down: at zero nobody is under way and
    nobody is expected, and `over` is to be called.
    """

    def __init__(self, over: Callable[[float], None]) -> None:
        self.over = over
        self.ended_with: Callable[[Request, float], None] | None = None
        """Told of every request that has ended, when somebody wants to know."""
        self.left = 0
        self.arrived = array("d")
        self.backend = array("q")
        self.started = array("d")
        self.ended = array("d")
        self.retried = 0
        self.hedged = 0
        self.came_again = 0
        """Requests whose client had come before."""
        self.ejected: list[tuple[int, float]] = []
        """Which backend was ejected when."""
        self._refused: list[tuple[int, float, Reason]] = []
        self._lost = array("d")
        """Five figures of each lost attempt, see `Lost`."""
        self._unfinished: dict[Lease[Request], int] = {}
        """Where the last of them stands, of those that are still worked at."""

    def expect(self, arrivals: Sequence[float]) -> None:
        """So many more will come, at these times; NaN for who says when it is here."""
        self.left += len(arrivals)
        self.arrived.extend(arrivals)
        for column in (self.started, self.ended):
            column.extend(array("d", [NAN]) * len(arrivals))
        self.backend.extend(array("q", [-1]) * len(arrivals))

    def come(self, now: float) -> int:
        """One more is here, that nobody has announced; its number."""
        self.left += 1
        self.arrived.append(now)
        self.started.append(NAN)
        self.ended.append(NAN)
        self.backend.append(-1)
        return len(self.arrived) - 1

    def none_waits(self) -> None:
        """All that are expected set out as they come, unless something else is written down."""
        self.started[:] = self.arrived

    def refuse(self, request: Request, now: float, why: Reason) -> None:
        """The request has ended without an answer."""
        self._refused.append((request.index, now, why))
        self.left -= 1
        if self.ended_with is not None:
            self.ended_with(request, now)
        if not self.left:
            self.over(now)

    def lose(
        self, lease: Lease[Request], place: int, now: float, reached: float, left: float
    ) -> None:
        """An attempt has ended without an answer; it took a place all the same."""
        self._lost.extend((place, lease.started_at, now, reached, left))
        if left == INFINITY:
            self._unfinished[lease] = len(self._lost) - 1

    def late(self, lease: Lease[Request], left: float) -> None:
        """The work of a lost attempt was done at `left`."""
        self._lost[self._unfinished.pop(lease)] = left

    def record(self, delays: Floats | None, rotation: Floats | None = None) -> Record:
        """All of it; `delays` are the ways of each request there and back, shape (2, n).

        `rotation` is what `Rotation` has seen.
        """
        return Record.of(
            arrived=self.arrived,
            delays=delays,
            backend=self.backend,
            started=self.started,
            ended=self.ended,
            refused=self._refused,
            retried=self.retried,
            hedged=self.hedged,
            came_again=self.came_again,
            lost=self._lost,
            rotation=rotation,
            ejected=self.ejected,
        )
