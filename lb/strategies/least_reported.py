"""Least reported: the fewest requests by what the backends themselves said last.

All backends are asked at once for the requests that they hold, whoever sent them, and what they say
stands on a board until they are asked again. So several balancers see the same load, but late: with
an old board everybody runs to the backend that was the least loaded then. Two choices mind that far
less than the least of all, and so does adding what this balancer itself has sent there since.

Cost: O(1) per pick; O(log n) per event where all are compared. Wrong when many requests come
between two looks at the board, and all are compared by it alone.

Source: Mitzenmacher, "How useful is old information?", 2000: the model of the bulletin board.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic

from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.least_loaded import LeastLoaded
from lb.strategies.parts.sampling import Sampler
from lb.strategies.reasons import Reasons, Rule
from lb.strategies.spec import Seconds, Spec, settings

MEASURE = "requests per weight, as the backends have said"


@settings
class Params:
    """Settings of the board, and who is compared by it."""

    every: "Seconds" = 0.1
    """How often all backends are asked."""
    choices: int = 2
    """Backends drawn for each pick and compared; 0 compares all."""
    own: bool = True
    """Whether what this balancer has sent since a backend was asked counts too, less what has come
    back; without it the board stands as it is."""

    def __post_init__(self) -> None:
        if self.every <= 0 or self.choices < 0:
            raise ValueError("every must be above zero, and choices not below it")


class Board(Generic[B]):
    """What each backend said last, and when to ask all of them again."""

    def __init__(self, params: Params) -> None:
        self._every, self._own = params.every, params.own
        self.joined: dict[int, B] = {}  # by order
        self._said: dict[int, tuple[int, int]] = {}  # held, and of these ours; by order
        self._asked: set[int] = set()
        self._due = 0.0

    def join(self, backend: B) -> None:
        self.joined[backend.order] = backend
        self._due = 0.0  # nobody must run to one of whom nothing is known

    def leave(self, backend: B) -> None:
        self.joined.pop(backend.order, None)
        self._said.pop(backend.order, None)

    def probes(self, now: float) -> Sequence[B]:
        if now < self._due:
            return ()
        self._due = (now // self._every + 1) * self._every
        self._asked = set(self.joined)
        return list(self.joined.values())

    def told(self, backend: B, in_flight: int) -> bool:
        """Whether it had been asked: of all else that backends say the board knows nothing."""
        order = backend.order
        if order not in self._asked or order not in self.joined:
            return False
        self._asked.discard(order)
        self._said[order] = in_flight, backend.active
        return True

    def load(self, backend: B) -> float:
        held, ours = self._said.get(backend.order, (0, 0))
        if self._own:
            held += backend.active - ours + 1  # what it would carry after the pick
        return held / backend.weight


class LeastReportedOfFew(Sampler[B]):
    """The least loaded of some backends drawn in proportion to weight."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__(rng)
        self._choices = params.choices
        self._board: Board[B] = Board(params)
        self.probes = self._board.probes

    def join(self, backend: B, now: float) -> None:
        super().join(backend, now)
        self._board.join(backend)

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._board.leave(backend)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        drawn = self.sample(self._choices, avoid)
        return min(drawn, key=self._board.load) if drawn else None

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        drawn = self.sample(self._choices, avoid)
        return Reasons(
            f"of {len(drawn)} drawn at random the one that has said it has the least to do",
            Rule.LOWEST,
            MEASURE,
            [(backend, self._board.load(backend)) for backend in drawn],
        )

    def probed(self, backend: B, now: float, in_flight: int, latency: float) -> None:
        """How many requests `backend` holds, whoever sent them."""
        self._board.told(backend, in_flight)


class LeastReported(LeastLoaded[B]):
    """The least loaded of all."""

    measure = MEASURE

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__(rng)
        self._board: Board[B] = Board(params)
        self.probes = self._board.probes

    def load(self, backend: B) -> float:
        return self._board.load(backend)

    def join(self, backend: B, now: float) -> None:
        self._board.join(backend)
        super().join(backend, now)

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._board.leave(backend)

    def unblock(self, backend: B, now: float) -> None:
        if backend.order in self._board.joined:
            super().unblock(backend, now)

    def probed(self, backend: B, now: float, in_flight: int, latency: float) -> None:
        """How many requests `backend` holds, whoever sent them."""
        if self._board.told(backend, in_flight):
            self.moved(backend)


def make(params: Params, rng: Random) -> LeastReported[Any] | LeastReportedOfFew[Any]:
    """Over the board, the one that compares as many as `choices` says."""
    return LeastReportedOfFew(params, rng) if params.choices else LeastReported(params, rng)


SPEC = Spec(
    name="least_reported",
    factory=make,
    params=Params,
    cost="O(1); O(log n) with choices = 0",
    avoid_when="many requests come between two reports and all backends are compared",
    partial="each asks for reports for itself, and counts its own requests only in between",
    needs=frozenset({"probes"}),
    variants=(
        {"choices": 0},
        {"choices": 0, "own": False},
        {"own": False, "every": "1s"},
        {"choices": 1},
    ),
)
