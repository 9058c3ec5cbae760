"""Power of two choices: of two backends drawn at random, the less loaded one.

Nearly as good as looking at all, for the price of two draws: the longest queue grows with log log n
instead of log n. Backends are drawn in proportion to weight and compared by requests in flight per
weight; the one drawn first wins a tie, so an idle service is shared by weight too.

Cost: O(1) per pick, O(log n) with weights that differ. Wrong when one of few backends is much
slower than its weight says: a pair may hold nobody better.

Source: Mitzenmacher, "The power of two choices in randomized load balancing", 2001.
"""

from __future__ import annotations

from collections.abc import Sequence

from lb.native.marks import mypyc_attr
from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.sampling import Sampler
from lb.strategies.reasons import Reasons, Rule
from lb.strategies.spec import Spec, settings


@settings
class Params:
    """Settings of the power of two choices."""

    choices: int = 2
    """Backends drawn for each pick, from 1 (random) up."""
    replacement: bool = False
    """Whether one backend may be drawn twice, as the classical analysis has it."""

    def __post_init__(self) -> None:
        if self.choices < 1:
            raise ValueError(f"choices must be at least 1, not {self.choices}")


@mypyc_attr(allow_interpreted_subclasses=True)
class PowerOfChoices(Sampler[B]):
    """The least active per weight of a few drawn in proportion to weight."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__(rng)
        self._choices = params.choices
        self._replacement = params.replacement
        self._two = params.choices == 2 and not params.replacement

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        members = self.members
        n = len(members)
        if n < 2:
            return members[0] if n else None
        if avoid or self.weighted or not self._two:
            return self._least(self._drawn(avoid))
        # The common case at full length: two different members, every ordered pair equally likely.
        i, j = int(self._random() * n), int(self._random() * (n - 1))
        first, second = members[i], members[j + (j >= i)]
        return second if second.active < first.active else first

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        drawn = self.members if len(self.members) < 2 else self._drawn(avoid)
        return Reasons(
            f"of {len(drawn)} drawn at random the one with the least to do",
            Rule.LOWEST,
            "requests in flight per weight",
            [(backend, backend.active / backend.weight) for backend in drawn],
        )

    def _drawn(self, avoid: Sequence[B]) -> list[B]:
        if not self._replacement:
            return self.sample(self._choices, avoid)
        return [self.sample(1, avoid)[0] for _ in range(self._choices)]

    def _least(self, drawn: Sequence[B]) -> B:
        return min(drawn, key=lambda backend: backend.active / backend.weight)


SPEC = Spec(
    name="p2c",
    factory=PowerOfChoices,
    params=Params,
    cost="O(1); O(log n) with weights that differ",
    avoid_when="one of few backends is much slower than its weight says",
    partial="each compares its own requests in flight only",
    claims=frozenset({"shares", "two_choices"}),
    variants=(
        {"choices": 1},
        {"choices": 3},
        {"replacement": True},
        {"choices": 3, "replacement": True},
    ),
)
