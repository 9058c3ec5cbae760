"""Each law that is claimed refuses the mistake it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from lb.laws import cost, latency, membership, reasons, shares
from lb.laws.kit import Broken
from lb.strategies import spec
from lb.strategies.least_connections import LeastConnections
from lb.strategies.p2c import PowerOfChoices
from lb.strategies.parts.sampling import Sampler
from lb.strategies.round_robin import RoundRobin
from lb.strategies.spec import Spec
from tests.operations import counted


class Unordered(PowerOfChoices[Any]):
    """Draws the second from the neighbours of the first only, as one proxy did."""

    def pick(self, now: float, key: bytes = b"", avoid: Any = ()) -> Any:
        n = len(self.members)
        at = int(self._random() * n)
        first, second = self.members[at], self.members[(at + 1) % n]
        return second if second.active < first.active else first


class Twice(PowerOfChoices[Any]):
    """Compares one backend with itself now and then."""

    def pick(self, now: float, key: bytes = b"", avoid: Any = ()) -> Any:
        return self._least([self.sample(1)[0], self.sample(1)[0]])


class Uniform(Sampler[Any]):
    def pick(self, now: float, key: bytes = b"", avoid: Any = ()) -> Any:
        return self.members[int(self._random() * len(self.members))] if self.members else None


class FastestOnce(Sampler[Any]):
    """The lowest latency ever seen: who fails fast wins, who was slow never comes back."""

    def __init__(self, rng: Any) -> None:
        super().__init__(rng)
        self.seen: dict[int, float] = {}

    def pick(self, now: float, key: bytes = b"", avoid: Any = ()) -> Any:
        return min(self.members, key=lambda backend: self.seen.get(backend.order, 0.0))

    def finished(self, backend: Any, now: float, outcome: Any, latency: float) -> None:
        self.seen[backend.order] = latency


class Asking(RoundRobin[Any]):
    """Takes a turn when it is asked whose it is."""

    def explain(self, now: float, key: bytes = b"", avoid: Any = ()) -> Any:
        self.pick(now, key, avoid)
        return super().explain(now, key, avoid)


class Hoarder(RoundRobin[Any]):
    def join(self, backend: Any, now: float) -> None:
        super().join(backend, now)
        self.everybody = [*getattr(self, "everybody", []), backend]


class Scan(LeastConnections[Any]):
    def pick(self, now: float, key: bytes = b"", avoid: Any = ()) -> Any:
        return min(self._members.values(), key=lambda backend: backend.active, default=None)


def row(name: str, make: Callable[[Any], Any]) -> Spec:
    return replace(spec(name), factory=lambda params, rng: make(rng))


def params_and(kind: Any, name: str) -> Callable[[Any], Any]:
    return lambda rng: kind(spec(name).configure({}), rng)


def forgetful(_: Any) -> Any:
    return Hoarder(spec("round_robin").configure({}), Random(0))


@pytest.mark.parametrize(
    ("law", "wrong", "why"),
    [
        (
            shares.every_draw_is_equally_likely,
            row("p2c", params_and(Unordered, "p2c")),
            "were drawn",
        ),
        (
            shares.every_draw_is_equally_likely,
            row("p2c", params_and(Twice, "p2c")),
            "were compared",
        ),
        (shares.shares_follow_weights, row("weighted_random", Uniform), "gave picks"),
        (shares.every_window_is_exact, spec("weighted_random"), "the window"),
        (latency.nobody_starves, row("least_response_time", FastestOnce), "not picked again"),
        (latency.failing_fast_attracts_nobody, row("peak_ewma", FastestOnce), "of calls"),
        (latency.failing_fast_attracts_nobody, spec("least_connections"), "of calls"),
        (membership.the_departed_are_forgotten, row("round_robin", forgetful), "kept alive"),
        (membership.one_usable_needs_no_draw, row("random", Uniform), "drawn"),
        (reasons.what_is_explained_is_picked, row("p2c", params_and(Unordered, "p2c")), "none of"),
        (
            reasons.what_is_explained_is_picked,
            row("round_robin", params_and(Asking, "round_robin")),
            "to have asked",
        ),
        (membership.avoid_is_honoured, row("random", Uniform), "is not of"),
        (
            cost.cost_grows_with_the_logarithm_at_most,
            row("least_connections", params_and(Scan, "least_connections")),
            "operations among",
        ),
        pytest.param(
            cost.cost_grows_with_the_logarithm_at_most,
            spec("rendezvous"),
            "operations among",
            marks=counted,
        ),
    ],
)
def test_a_broken_strategy_breaks_the_law(law: Any, wrong: Spec, why: str) -> None:
    with pytest.raises(Broken, match=why):
        law(wrong, Random)
