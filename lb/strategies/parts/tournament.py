"""The least loaded one as the winner of a tournament, for loads that are hardly ever equal.

Two neighbours meet, then the winners of two such matches, and so on; a load that changes is played
anew on its way up, as far as that changes anything. An index in buckets of equal load costs twice
as much when nearly every event makes a bucket and leaves another one empty.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Sequence

from lb.native.marks import mypyc_attr
from lb.strategies.base import Outcome, Random
from lb.strategies.candidate import B
from lb.strategies.parts.avoiding import pick_avoiding
from lb.strategies.parts.heedless import Index

OUT = float("inf")
"""The load of who may not be picked."""


class Tournament:
    """Loads by place. Of a match it is kept how low the lower load is, and how many have that."""

    __slots__ = ("_low", "_many", "_size")

    def __init__(self, loads: Sequence[float]) -> None:
        size = 1
        while size < len(loads):
            size *= 2
        self._size = size
        # The match at k is that of those at 2k and 2k + 1; the first round begins at the size.
        self._low = [OUT] * (2 * size)
        self._many = [1] * (2 * size)
        for match in range(size - 1, 0, -1):
            self._many[match] = 2 * self._many[2 * match]
        for place, load in enumerate(loads):
            self.set(place, load)

    @property
    def lowest(self) -> float:
        return self._low[1]

    @property
    def tied(self) -> int:
        """How many have the lowest load."""
        return self._many[1]

    def set(self, place: int, load: float) -> None:
        low, many, match = self._low, self._many, place + self._size
        low[match] = load
        while match > 1:
            count = many[match]
            other = low[match ^ 1]
            if other < load:
                load, count = other, many[match ^ 1]
            elif other == load:
                count += many[match ^ 1]
            match >>= 1
            if low[match] == load and many[match] == count:
                return  # it ends as it did before
            low[match] = load
            many[match] = count

    def winner(self, which: int) -> int:
        """The place of one of those who have the lowest load, by its number among them."""
        low, many, size = self._low, self._many, self._size
        lowest, match = low[1], 1
        while match < size:
            match *= 2
            if low[match] != lowest:
                match += 1
            elif which >= many[match]:
                which -= many[match]
                match += 1
        return match - size


@mypyc_attr(allow_interpreted_subclasses=True)
class LowestWins(Index[B]):
    """Backends in configured order, and a tournament of their loads.

    What the load of a backend is, its strategy says; it may change only with an event of that
    backend. The tournament is held anew at the first pick after a join or a leave.
    """

    def __init__(self, rng: Random) -> None:
        self._draw = rng.random
        self._joined: dict[int, B] = {}  # by order, blocked ones too
        self._usable: dict[int, B] = {}  # by order
        self._orders: list[int] = []  # by place in the tournament, also of those blocked since
        self._places: dict[int, int] = {}  # of the usable, by order; none while it is stale
        self._tournament = Tournament(())
        self._stale = False

    @abstractmethod
    def load(self, backend: B) -> float:
        """What backends are compared by."""

    def join(self, backend: B, now: float) -> None:
        self._joined[backend.order] = self._usable[backend.order] = backend
        self._spoil()

    def leave(self, backend: B, now: float) -> None:
        if self._joined.pop(backend.order, None) is not None:
            self._usable.pop(backend.order, None)
            self._spoil()

    def block(self, backend: B, now: float) -> None:
        self._usable.pop(backend.order, None)
        place = self._places.pop(backend.order, None)
        if place is not None:
            self._tournament.set(place, OUT)

    def unblock(self, backend: B, now: float) -> None:
        order = backend.order
        if order in self._joined:
            self._usable[order] = backend
            if not self._stale:
                self._places[order] = bisect_left(self._orders, order)
                self.moved(backend)

    def reweigh(self, backend: B, now: float) -> None:
        self.moved(backend)

    def started(self, backend: B, now: float) -> None:
        self.moved(backend)

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None:
        self.moved(backend)

    def moved(self, backend: B) -> None:
        """It has another load now."""
        place = self._places.get(backend.order)
        if place is not None:
            self._tournament.set(place, self.load(backend))

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return pick_avoiding(self, self._usable, now, key, avoid)
        if self._stale:
            self._line_up()
        tournament = self._tournament
        if tournament.lowest == OUT:
            return None
        tied = tournament.tied
        place = tournament.winner(int(self._draw() * tied) if tied > 1 else 0)
        return self._usable[self._orders[place]]

    def _spoil(self) -> None:
        self._stale = True
        self._places.clear()

    def _line_up(self) -> None:
        self._orders = sorted(self._joined)
        usable = self._usable
        self._places = {order: place for place, order in enumerate(self._orders) if order in usable}
        self._tournament = Tournament(
            [self.load(usable[order]) if order in usable else OUT for order in self._orders]
        )
        self._stale = False
