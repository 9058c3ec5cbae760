"""A closed loop: users who think, send, wait for what becomes of it, and think again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

from sim.engine.alarms import Alarm
from sim.engine.dispatcher import Dispatcher
from sim.engine.journal import Journal
from sim.engine.request import Request
from sim.engine.timeline import Timeline
from sim.model.users import Place, Population


class ClosedLoop:
    """The requests of a population; it ends with the run's last request, or its duration.

    What belongs to a request by its index is written down when it is sent.
    """

    def __init__(self, population: Population) -> None:
        self.sizes: Mapping[str, list[float]] = {name: [] for name in population.sizes}
        self.patience: list[float] = []
        self.there: list[float] = []
        self.back: list[float] = []
        self._people = population
        self._alarms = [Alarm(partial(self._send, user)) for user in range(population.count)]
        self._places = [Place(population, user) for user in range(population.count)]
        self._who: list[int] = []
        """The user of each request."""
        self._open = True

    def __len__(self) -> int:
        """How many there have been."""
        return len(self._who)

    def start(
        self,
        timeline: Timeline,
        journal: Journal,
        dispatchers: Sequence[Dispatcher],
        _: Sequence[int] = (),
    ) -> None:
        """See `Source`; the routes are the population's own."""
        self._timeline, self._journal, self._dispatchers = timeline, journal, dispatchers
        journal.ended_with = self._ended
        journal.left += 1  # whoever is expected as long as it goes on
        if self._people.duration is not None:
            timeline.set(Alarm(self._close), self._people.duration)
        for user in range(self._people.count):
            self._think(user, self._people.comes(user, 0.0))

    def _think(self, user: int, now: float) -> None:
        due = self._places[user].due(now)
        if due < math.inf:
            self._timeline.set(self._alarms[user], due)

    def _send(self, user: int, now: float) -> None:
        if not self._open:
            return
        people, place = self._people, self._places[user]
        k = place.sent
        index = self._journal.come(now)
        key, sizes = place.send()
        for column, size in zip(self.sizes.values(), sizes, strict=True):
            column.append(size)
        if people.patience is not None:
            self.patience.append(people.patience(user, k))
        if people.there is not None and people.back is not None:
            self.there.append(people.there(user, k))
            self.back.append(people.back(user, k))
        at = 0 if people.balancer is None else people.balancer(user, k)
        request = Request()
        request.index, request.home = index, self._dispatchers[at]
        request.key = b"%d" % key
        self._who.append(user)
        if len(self._who) == people.requests:
            self._close(now)
        self._dispatchers[at].arrive(request, now)

    def _ended(self, request: Request, now: float) -> None:
        self._think(self._who[request.index], now)

    def _close(self, now: float) -> None:
        """Nobody sends any more."""
        if self._open:
            self._open = False
            self._journal.left -= 1
            if not self._journal.left:
                self._journal.over(now)
