"""Random: every usable backend with equal probability, independently of the past.

Cost: O(1) per pick, one draw. Wrong nearly always when anything better is at hand: it is the
yardstick. Poisson arrivals stay Poisson at every backend, so each is an M/M/1 queue.
"""

from __future__ import annotations

from collections.abc import Sequence

from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.ring import Ring, past
from lb.strategies.reasons import Reasons, Rule, others
from lb.strategies.spec import Spec, settings


@settings
class Params:
    """Random has no settings."""


class UniformRandom(Ring[B]):
    """A ring, and one draw of a position."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__()
        self._draw = rng.random

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        members = self.members
        if avoid:
            hidden = self.hidden(avoid)
            n = len(members) - len(hidden)
            return members[past(int(self._draw() * n) if n > 1 else 0, hidden)] if n else None
        n = len(members)
        if n > 1:
            return members[int(self._draw() * n)]
        return members[0] if n else None

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        drawn = [(backend, 1.0) for backend in others(self.members, avoid)]
        return Reasons("one of all, each as likely", Rule.DRAWN, "", drawn)


SPEC = Spec(
    name="random",
    factory=UniformRandom,
    params=Params,
    cost="O(1)",
    avoid_when="anything better is at hand; it is the yardstick",
    static=True,
    weighs=False,
)
