"""The news of a source as single changes, carried out by a balancer."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from lb.balancing import (
    Add,
    Apply,
    Balancer,
    Change,
    ProbeResult,
    Remove,
    Settings,
    Setup,
    SetWeight,
    SlowStartPolicy,
    State,
    perform,
)
from lb.discovery import changes
from lb.strategies import Outcome
from tests.doubles import Request

A, B, C = (Settings(f"10.0.0.{n}:80") for n in (1, 2, 3))
HEAVY = Settings("10.0.0.1:80", weight=5)
LIMITED = Settings("10.0.0.1:80", max_in_flight=3)
OURS = Settings("127.0.0.1:1", name="ours")

Rows = Sequence[Settings]

TABLE: dict[str, tuple[Rows, Rows, Rows, list[Change]]] = {
    "nothing is new": ([A, B], [A, B], [B, A], []),
    "one more": ([A], [A], [A, B], [Add(B)]),
    "the first": ([], [], [A], [Add(A)]),
    "one less": ([A, B], [A, B], [A], [Remove("10.0.0.2:80")]),
    "others join before they leave": ([A], [A], [B], [Add(B), Remove("10.0.0.1:80")]),
    "another weight": ([A, B], [A, B], [HEAVY, B], [SetWeight("10.0.0.1:80", 5)]),
    "somebody else's stay": ([OURS, A], [A], [B], [Add(B), Remove("10.0.0.1:80")]),
    "one that an operator has removed stays away": ([B], [A, B], [A, B], []),
    "and is not removed again": ([B], [A, B], [B], []),
    "nor weighed": ([B], [A, B], [HEAVY, B], []),
    "one that an operator has added is left alone": ([A, B], [A], [A, B], []),
    "an operator's weight stays": ([HEAVY, B], [A, B], [A, B], []),
    "the same name elsewhere": (
        [Settings("10.0.0.1:80", name="a"), B],
        [Settings("10.0.0.1:80", name="a"), B],
        [Settings("10.0.0.9:80", name="a"), B],
        [Remove("a"), Add(Settings("10.0.0.9:80", name="a"))],
    ),
    "another limit, in its place": (
        [OURS, A, B],
        [A, B],
        [LIMITED, B],
        [Apply(Setup((OURS, LIMITED, B)))],
    ),
    "another limit, and an operator's weight": (
        [HEAVY],
        [A],
        [LIMITED],
        [Apply(Setup((Settings("10.0.0.1:80", weight=5, max_in_flight=3),)))],
    ),
    "another limit and another weight": (
        [A],
        [A],
        [Settings("10.0.0.1:80", weight=5, max_in_flight=3)],
        [Apply(Setup((LIMITED,))), SetWeight("10.0.0.1:80", 5)],
    ),
}


@pytest.mark.parametrize(("there", "before", "after", "expected"), TABLE.values(), ids=TABLE)
def test_changes(
    there: Rows,
    before: Rows,
    after: Rows,
    expected: list[Change],
) -> None:
    assert changes(Setup(tuple(there)), before, after) == expected


@pytest.mark.parametrize(("there", "before", "after", "expected"), TABLE.values(), ids=TABLE)
def test_a_balancer_carries_them_out_and_then_there_is_nothing_left_to_do(
    there: Rows,
    before: Rows,
    after: Rows,
    expected: list[Change],
) -> None:
    balancer: Balancer[Any] = Balancer(Setup(tuple(there)), Random(1))
    for change in expected:
        perform(balancer, change, 1.0)
    assert changes(balancer.setup, after, after) == []
    left = {row.label for row in there} - {row.label for row in before}
    assert left <= {backend.name for backend in balancer.pool.backends}


def told(balancer: Balancer[Any], before: Rows, after: Rows, now: float) -> None:
    for change in changes(balancer.setup, before, after):
        perform(balancer, change, now)


def up(balancer: Balancer[Any], now: float) -> None:
    for backend in balancer.pool.backends:
        balancer.observed(backend, now, ProbeResult(True, "status 200", 0.001))


def test_what_is_found_later_starts_slowly_and_what_goes_ends_what_it_has() -> None:
    setup = Setup((A,), slow_start=SlowStartPolicy(duration=10.0))
    balancer: Balancer[Any] = Balancer(setup, Random(1))
    up(balancer, 0.0)
    lease = balancer.admit(Request(), 0.5)
    assert lease is not None
    told(balancer, [A], [B], 1.0)
    up(balancer, 1.0)
    (found,) = balancer.pool.backends
    assert (found.name, found.configured_weight) == ("10.0.0.2:80", 1)
    assert found.weight < 0.5, "slow start"
    assert lease.backend.active == 1
    other = balancer.admit(Request(), 1.5)
    assert other is not None
    assert other.backend is found
    lease.done(2.0, Outcome.OK)
    assert (lease.backend.active, lease.backend.succeeded) == (0, 1)


def test_a_backend_forgets_nothing_when_its_limit_changes() -> None:
    balancer: Balancer[Any] = Balancer(Setup((A, B)), Random(1))
    up(balancer, 0.0)
    first = balancer.pool.backends[0]
    balancer.set_state(first, State.DRAIN, 0.5)
    told(balancer, [A, B], [LIMITED, B], 1.0)
    assert balancer.pool.backends[0] is first
    assert (first.limit, first.state) == (3, State.DRAIN)
