"""Join idle queue: an idle backend if there is one, else any.

Backends that have nothing to do stand in a list; a pick takes one of them at random. When none is
idle the pick is random among all. The decision costs next to nothing, because it was prepared when
the last request of a backend ended.

Cost: O(log n) per event. Wrong under high load, when nobody is idle: then it is no better than
random.

Source: Lu et al., "Join-Idle-Queue: a novel load balancing algorithm for dynamically scalable web
services", 2011.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from lb.strategies.base import Outcome, Random
from lb.strategies.candidate import B
from lb.strategies.parts.ring import Ring, past
from lb.strategies.reasons import Reasons, Rule, others
from lb.strategies.spec import Spec, settings


@settings
class Params:
    """Join idle queue has no settings."""


class JoinIdleQueue(Ring[B]):
    """A ring, and a sorted list of those of its members that have nothing to do."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__()
        self._random = rng.random
        self._idle: list[int] = []  # orders, sorted
        self._by_order: dict[int, B] = {}

    def join(self, backend: B, now: float) -> None:
        super().join(backend, now)
        self._by_order[backend.order] = backend
        if not backend.active:
            insort(self._idle, backend.order)

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        if self._by_order.pop(backend.order, None) is not None:
            self._strike(backend.order)

    def started(self, backend: B, now: float) -> None:
        if backend.active == 1:
            self._strike(backend.order)

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None:
        if not backend.active and backend.order in self._by_order:
            insort(self._idle, backend.order)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return self._pick_avoiding(avoid)
        idle, members = self._idle, self.members
        n = len(idle)
        if n:
            return self._by_order[idle[int(self._random() * n) if n > 1 else 0]]
        n = len(members)
        if n > 1:
            return members[int(self._random() * n)]
        return members[0] if n else None

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        asked = others(self.members, avoid)
        idle = [backend for backend in asked if backend.order in self._idle]
        why = "one of those that are idle" if idle else "one of all, as nobody is idle"
        return Reasons(why, Rule.DRAWN, "", [(backend, 1.0) for backend in idle or asked])

    def _pick_avoiding(self, avoid: Sequence[B]) -> B | None:
        hidden = self.hidden(avoid)
        resting = []
        for at in hidden:
            order = self.orders[at]
            place = bisect_left(self._idle, order)
            if place < len(self._idle) and self._idle[place] == order:
                resting.append(place)
        rested = len(self._idle) - len(resting)
        if rested:
            return self._by_order[self._idle[self._place(rested, resting)]]
        left = len(self.members) - len(hidden)
        return self.members[self._place(left, hidden)] if left else None

    def _place(self, n: int, hidden: list[int]) -> int:
        return past(int(self._random() * n) if n > 1 else 0, hidden)

    def _strike(self, order: int) -> None:
        at = bisect_left(self._idle, order)
        if at < len(self._idle) and self._idle[at] == order:
            del self._idle[at]


SPEC = Spec(
    name="join_idle_queue",
    factory=JoinIdleQueue,
    params=Params,
    cost="O(log n)",
    avoid_when="the load is so high that nobody is idle",
    partial="a backend is idle to each that has nothing there itself",
    weighs=False,
)
