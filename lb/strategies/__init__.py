"""Whom to pick: one file per algorithm, and the registry that names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from lb.errors import UsageError, nearest
from lb.strategies import least_connections, random, round_robin, weighted_round_robin
from lb.strategies.base import Candidate, Outcome, Random, Strategy

__all__ = ["REGISTRY", "Candidate", "Outcome", "Random", "Spec", "Strategy", "create", "spec"]


@dataclass(frozen=True)
class Spec:
    """One row of the registry: everything there is to know about an algorithm but its code."""

    name: str
    summary: str
    factory: Callable[[Any, Random], Strategy[Any]]
    params: type[Any]
    """A frozen dataclass; the documentation of its fields is the reference manual."""
    cost: str
    avoid_when: str
    needs: frozenset[str] = frozenset()
    """Any of key, weights, latency, probes, sets_cookie."""

    def configure(self, settings: Mapping[str, object]) -> object:
        """The parameters object for `settings`; UsageError names the nearest known parameter."""
        known = [field.name for field in fields(self.params)]
        for name in settings:
            if name not in known:
                hint = nearest(name, known) if known else "it has none"
                raise UsageError(f"{self.name} has no parameter {name!r}: {hint}")
        return self.params(**settings)


REGISTRY: dict[str, Spec] = {
    row.name: row
    for row in (
        Spec(
            name="round_robin",
            summary="every backend in turn, in configured order",
            factory=round_robin.RoundRobin,
            params=round_robin.Params,
            cost="O(log n)",
            avoid_when="backends differ in speed, or requests differ much in cost",
        ),
        Spec(
            name="weighted_round_robin",
            summary="turns in proportion to weight, spread evenly (nginx's smooth sequence)",
            factory=weighted_round_robin.WeightedRoundRobin,
            params=weighted_round_robin.Params,
            cost="O(log n) per distinct weight",
            avoid_when="the weights do not say what the backends can really do",
            needs=frozenset({"weights"}),
        ),
        Spec(
            name="least_connections",
            summary="the fewest requests in flight for its weight, ties at random",
            factory=least_connections.LeastConnections,
            params=least_connections.Params,
            cost="O(log n)",
            avoid_when="many balancers each see only their own requests",
        ),
        Spec(
            name="random",
            summary="every backend with equal probability",
            factory=random.UniformRandom,
            params=random.Params,
            cost="O(1)",
            avoid_when="anything better is at hand; it is the yardstick",
        ),
    )
}


def spec(name: str) -> Spec:
    """The registry row of `name`; UsageError names the nearest known algorithm."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise UsageError(f"unknown algorithm {name!r}: {nearest(name, REGISTRY)}") from None


def create(name: str, rng: Random, settings: Mapping[str, object] | None = None) -> Strategy[Any]:
    """A fresh strategy, empty."""
    row = spec(name)
    return row.factory(row.configure(settings or {}), rng)
