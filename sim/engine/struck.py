"""A site with faults: a door in front of its station, and a station that may be lost.

Only a backend that has faults is one of these, so nobody else pays for the door.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from lb.balancing import Lease, Outcome
from lb.config import Model
from sim.engine.alarms import Alarm
from sim.engine.request import Request
from sim.engine.site import Site
from sim.engine.timeline import Timeline
from sim.model.door import FAILS_AFTER, Door, Fate
from sim.model.separate import Separate
from sim.model.stations import INFINITY, Station

OK, SERVER_ERROR = Outcome.OK, Outcome.SERVER_ERROR
Stay = tuple[float, bool, Outcome]
"""Since when a request is there, whether it came on a kept connection, and its answer to be."""


class StruckSite(Site):
    """A site behind a door.

    Connections are kept as the proxy keeps them, because what breaks on a kept one is no failure
    there: the request goes out once more, on a fresh connection to the same backend.
    """

    __slots__ = ("_door", "_inside", "_kept", "_renewed", "_swallowed")

    def __init__(
        self,
        timeline: Timeline,
        place: int,
        station: Callable[[], Station[Lease[Request]]],
        model: Model,
        sizes: Sequence[float],
        door: Door,
    ) -> None:
        """`station` makes an empty one, at first and after each crash."""
        super().__init__(timeline, place, station(), model, sizes)
        self.door = self._door = door
        self._renewed = station
        self._inside: dict[Lease[Request], Stay] = {}
        self._swallowed: dict[Lease[Request], bool] = {}
        self._kept = 0
        for since, _ in door.outages:
            timeline.set(Alarm(self._crash), since)

    def holds(self, lease: Lease[Request]) -> bool:
        return self._swallowed.pop(lease, None) is None

    def renege(self, lease: Lease[Request], now: float, served: bool) -> bool:
        ended = super().renege(lease, now, served)
        if ended:
            del self._inside[lease]
        return ended

    def receive(self, lease: Lease[Request], now: float) -> None:
        fate = self._door.fate(now)
        if fate is Fate.REFUSED:
            self._answer(lease, now, Outcome.CONNECT)
            return
        kept = self._kept > 0
        self._kept -= kept
        if fate is Fate.RESET and kept and lease.call.idempotent:
            kept, fate = False, self._door.fate(now)
        match fate:
            case Fate.IN:
                self._take_in(lease, now, (now, kept, OK))
            case Fate.SPOILED:
                self._take_in(lease, now, (now, kept, SERVER_ERROR))
            case Fate.FAILED:
                lease.call.status = 503
                self._turn_away(lease, now + FAILS_AFTER)
            case Fate.SWALLOWED if lease.open:
                self._swallowed[lease] = kept
            case _:  # reset, or gone before it was swallowed
                self._answer(lease, now, Outcome.RESET)

    def _take_in(self, lease: Lease[Request], now: float, stay: Stay) -> None:
        station = self.station
        found = len(station)
        if not station.arrive(lease, now, self.sizes[lease.call.index] * self.mean):
            self._turn_away(lease, now)
            return
        if self.measures is not None:
            self.measures.came(lease, found, now)
        self._inside[lease] = stay
        self._set(station.next_departure())

    def _depart(self, now: float) -> None:
        if now < self.set_to:
            return
        while (due := self.station.next_departure()) <= now:
            _, lease = self.station.depart()
            stay = self._inside.pop(lease)
            if stay[2] is SERVER_ERROR:
                lease.call.status = 500
            self._answered(lease, now, stay)
        self._set(due)

    def _answered(self, lease: Lease[Request], now: float, stay: Stay) -> None:
        """Its work is done, whatever is said of it."""
        since, _, outcome = stay
        if self.measures is not None:
            error = outcome is SERVER_ERROR
            self.measures.left(lease, len(self.station), now, error=error)
        self._kept += lease.open  # who has gone has closed it
        lease.call.home.answered(lease, now, outcome, since)

    def _crash(self, now: float) -> None:
        """It goes down, and all that is in flight with it."""
        inside, self._inside = self._inside, {}
        swallowed, self._swallowed = self._swallowed, {}
        if isinstance(self.station, Separate):
            self.station.lose(now)
        self.station = self._renewed()
        self.set_to = INFINITY
        self._kept = 0
        if self.measures is not None:
            self.measures.lost(now)
        for lease, (since, kept, _) in inside.items():
            lease.call.home.answered(lease, now, _broken(lease, kept), since)
        for lease, kept in swallowed.items():
            lease.call.home.answered(lease, now, _broken(lease, kept))

    def _turn_away(self, lease: Lease[Request], at: float) -> None:
        """An error, without its having been worked at."""
        self._kept += 1
        if self.measures is not None:
            self.measures.turned_away(at)
        self._answer(lease, at, SERVER_ERROR)

    def _answer(self, lease: Lease[Request], at: float, outcome: Outcome) -> None:
        """Without its having been worked at."""
        self._timeline.set(Alarm(partial(lease.call.home.answered, lease, outcome=outcome)), at)


def _broken(lease: Lease[Request], kept: bool) -> Outcome:
    """How an attempt ends that a crash breaks: the fresh connection of a kept one is refused."""
    return Outcome.CONNECT if kept and lease.call.idempotent else Outcome.RESET
