"""Round robin: every backend in turn, in configured order.

Cost: O(log n) per pick, one binary search. Wrong when backends differ in speed or requests differ
much in cost: it sends the next request to the next backend however busy that one is. Over n equal
exponential servers with Poisson arrivals each backend is an E_n/M/1 queue.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from lb.native.marks import mypyc_attr
from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.ring import Ring
from lb.strategies.reasons import Reasons, Rule
from lb.strategies.spec import Spec, settings


@settings
class Params:
    """Round robin has no settings."""


@mypyc_attr(allow_interpreted_subclasses=True)
class RoundRobin(Ring[B]):
    """A ring, and the order of whom was picked last."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__()
        self._last = -1  # order of the backend picked last; survives its leaving

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        members = self.members
        if not members:
            return None
        at = bisect_right(self.orders, self._last)
        if at == len(members):
            at = 0
        backend = members[at]
        if avoid:
            rotation = members[at:] + members[:at]
            backend = next((other for other in rotation if other not in avoid), backend)
        self._last = backend.order
        return backend

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        at = bisect_right(self.orders, self._last)
        looked = []
        for backend in self.members[at:] + self.members[:at]:
            looked.append((backend, 0.0))
            if backend not in avoid:
                break
        else:
            looked = looked[:1]
        return Reasons("the next in the order of the file", Rule.FOUND, "", looked)


SPEC = Spec(
    name="round_robin",
    factory=RoundRobin,
    params=Params,
    cost="O(log n)",
    avoid_when="backends differ in speed, or requests differ much in cost",
    static=True,
    weighs=False,
)
