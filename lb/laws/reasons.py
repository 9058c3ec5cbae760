"""The law of reasons: what is explained is what is picked, and to ask changes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import isclose
from typing import Any

from lb.laws.kit import Event, Fleet, Seeded, Server, make, require
from lb.laws.membership import chance_events, replay
from lb.strategies.base import Random
from lb.strategies.reasons import Reasons, Rule
from lb.strategies.spec import Spec


class Echo:
    """Random numbers, some of which are given a second time."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._again: deque[float] = deque()

    def random(self) -> float:
        return self._again.popleft() if self._again else self._rng.random()

    def twice(self, asked: Callable[[], Reasons | None]) -> Reasons | None:
        """What is drawn meanwhile is drawn once more afterwards."""
        before, self._again = self._again, deque()
        noted: list[float] = []
        inner = self._rng

        class Noting:
            def random(self) -> float:
                noted.append(before.popleft() if before else inner.random())
                return noted[-1]

        self._rng = Noting()
        try:
            return asked()
        finally:
            self._rng, self._again = inner, deque((*noted, *before))


class Asked:
    """A strategy that is asked why before each pick; all else is its own."""

    def __init__(self, strategy: Any, echo: Echo) -> None:
        self._strategy = strategy
        self._echo = echo

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[Server] = ()) -> Server | None:
        reasons = self._echo.twice(lambda: self._strategy.explain(now, key, avoid))
        picked: Server | None = self._strategy.pick(now, key, avoid)
        if reasons is not None:
            holds(reasons, picked)
        return picked


def holds(reasons: Reasons, picked: Server | None) -> None:
    """Raise Broken unless that is who is picked for these reasons."""
    candidates = [it for it, _ in reasons.candidates]
    require((picked is not None) == bool(candidates), f"{picked} of {candidates}")
    if picked is None:
        return
    require(picked in candidates, f"{picked} is none of {candidates}: {reasons.why}")
    figures = [figure for _, figure in reasons.candidates]
    own = [figure for it, figure in reasons.candidates if it is picked]
    match reasons.rule:
        case Rule.LOWEST:
            kept = min(own) == min(figures) or isclose(min(own), min(figures))
        case Rule.HIGHEST:
            kept = max(own) == max(figures) or isclose(max(own), max(figures))
        case Rule.DRAWN:
            kept = min(own) > 0
        case Rule.FOUND:
            kept = picked is candidates[-1]
    require(kept, f"{picked} is not {reasons.rule.value} of {reasons.candidates}")


def reasons_hold(row: Spec, seeded: Seeded, events: Iterable[Event]) -> list[int | None]:
    """The picks of a course of events, each of them explained."""
    echo = Echo(seeded(7))
    fleet = Fleet(make(row, echo), joining=())
    fleet.strategy = Asked(fleet.strategy, echo)
    for order in range(len(fleet.servers)):
        fleet.join(order)
    for event in events:
        fleet.apply(event)
    for _ in range(2 * len(fleet.servers)):
        fleet.send()
    return fleet.picks


def what_is_explained_is_picked(row: Spec, seeded: Seeded) -> None:
    """Reasons hold, and picks are the same as without having asked."""
    if not hasattr(make(row, seeded(1)), "explain"):
        return
    for seed in range(3):
        events = chance_events(seeded(seed), 40)
        asked = reasons_hold(row, seeded, events)
        require(asked == replay(row, seeded, events), "to have asked gave other picks")
