"""Subsets: the same for the same number, evenly shared out, and no dead end."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from lb.balancing import (
    Backend,
    Balancer,
    HealthPolicy,
    ProbeResult,
    Settings,
    Setup,
    SubsetPolicy,
)
from lb.balancing.subset import subset
from tests.doubles import Request


def fleet(n: int) -> list[Backend]:
    return [Backend(Settings(f"10.0.0.{i}:80"), i, HealthPolicy()) for i in range(n)]


def names(backends: list[Backend]) -> set[str]:
    return {backend.address for backend in backends}


def test_everybody_unless_fewer_are_asked_for() -> None:
    backends = fleet(5)
    assert subset(backends, SubsetPolicy()) == backends
    assert subset(backends, SubsetPolicy(size=5, instance=3)) == backends
    assert subset(backends, SubsetPolicy(size=9)) == backends


@pytest.mark.parametrize(("n", "size"), [(12, 4), (100, 10), (13, 4), (1000, 20)])
def test_balancers_that_follow_one_another_divide_the_backends(n: int, size: int) -> None:
    backends = fleet(n)
    parts = n // size
    for first in (0, parts, 5 * parts):
        drawn = [names(subset(backends, SubsetPolicy(size, first + i))) for i in range(parts)]
        assert all(len(part) == size for part in drawn)
        assert len(set.union(*drawn)) == parts * size, "no backend is in two of them"


def test_rounds_mix_the_backends_anew() -> None:
    backends = fleet(20)
    first, again = (names(subset(backends, SubsetPolicy(5, i))) for i in (0, 4))
    assert first != again


def test_every_backend_has_nearly_the_same_number_of_balancers() -> None:
    backends = fleet(30)
    counts = Counter(
        address for i in range(300) for address in names(subset(backends, SubsetPolicy(10, i)))
    )
    assert set(counts.values()) == {100}


def test_the_order_of_configuration_does_not_matter() -> None:
    backends = fleet(30)
    policy = SubsetPolicy(6, 2)
    assert names(subset(backends, policy)) == names(subset(backends[::-1], policy))


def test_a_backend_more_moves_few_others() -> None:
    before, after = fleet(100), fleet(101)
    moved = [
        len(names(subset(before, SubsetPolicy(10, i))) - names(subset(after, SubsetPolicy(10, i))))
        for i in range(10)
    ]
    assert sum(moved) <= 10  # one slips over each border behind the new one


def test_picks_stay_inside_until_nobody_inside_is_up() -> None:
    rows = tuple(Settings(f"10.0.0.{i}:80") for i in range(9))
    balancer: Balancer[Request] = Balancer(Setup(rows, subset=SubsetPolicy(3, 1)), Random(1))
    for backend in balancer.pool.backends:
        balancer.observed(backend, 0.0, ProbeResult(ok=True))
    own = names(subset(balancer.pool.backends, SubsetPolicy(3, 1)))

    def picked() -> set[str]:
        leases = [balancer.admit(Request(), 1.0) for _ in range(18)]
        return {lease.backend.address for lease in leases if lease is not None}

    assert picked() == own
    for backend in balancer.pool.backends:
        if backend.address in own:
            for _ in range(3):
                balancer.observed(backend, 2.0, ProbeResult(ok=False))
    assert picked() == names(balancer.pool.backends) - own
