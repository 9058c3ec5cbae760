"""The usable backends in configured order, for strategies that pick by position.

Joining and leaving cost a binary search and one block move; reading a position costs nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from lb.native.marks import mypyc_attr
from lb.strategies.candidate import B
from lb.strategies.parts.heedless import Heedless


@mypyc_attr(allow_interpreted_subclasses=True)
class Ring(Heedless[B]):
    """Keeps `members` sorted by `order`, whatever the order of joining.

    To a strategy that only knows positions, being blocked and having left are the same thing.
    """

    def __init__(self) -> None:
        self.members: list[B] = []
        self.orders: list[int] = []

    def join(self, backend: B, now: float) -> None:
        at = bisect_left(self.orders, backend.order)
        self.orders.insert(at, backend.order)
        self.members.insert(at, backend)

    def leave(self, backend: B, now: float) -> None:
        at = bisect_left(self.orders, backend.order)
        if at < len(self.orders) and self.orders[at] == backend.order:
            del self.orders[at], self.members[at]

    def hidden(self, avoid: Sequence[B]) -> list[int]:
        """Positions of those to avoid, in order; none when that would leave nobody."""
        orders = self.orders
        found = set()
        for backend in avoid:
            at = bisect_left(orders, backend.order)
            if at < len(orders) and orders[at] == backend.order:
                found.add(at)
        return sorted(found) if len(found) < len(orders) else []

    def block(self, backend: B, now: float) -> None:
        self.leave(backend, now)

    def unblock(self, backend: B, now: float) -> None:
        self.join(backend, now)

    def reweigh(self, backend: B, now: float) -> None: ...


def past(at: int, hidden: Sequence[int]) -> int:
    """The position of the `at`th that is not hidden."""
    for other in hidden:
        at += at >= other
    return at
