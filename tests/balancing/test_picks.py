"""Picks that are explained while they are made, and nothing else about them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from lb.balancing import Balancer, Outcome, Pick, QueuePolicy, Settings, Setup
from lb.strategies import REGISTRY, Heedless, spec
from lb.strategies.consistent_hash import BoundedLoads
from lb.strategies.sticky import Sticky
from tests.balancing.test_tiers import tiered
from tests.doubles import Request, joined, send, servers


def explained(balancer: Balancer[Any]) -> list[Pick]:
    found: list[Pick] = []
    balancer.pool.explain(found.append)
    return found


@pytest.mark.parametrize("algorithm", REGISTRY)
def test_to_ask_why_changes_no_pick(algorithm: str) -> None:
    plain, asked = (tiered(0, 0, 0, 1, 1, algorithm=algorithm) for _ in range(2))
    found = explained(asked)
    for number in range(60):
        calls = [Request(key=b"%d" % (number % 7)) for _ in range(2)]
        leases = [lb.admit(call, 0.0) for lb, call in zip((plain, asked), calls, strict=True)]
        assert leases[0] is not None
        assert leases[1] is not None
        assert leases[0].backend.name == leases[1].backend.name == found[-1].picked
        assert found[-1].picked in [it.backend for it in found[-1].candidates]
        assert found[-1].why.startswith("in tier 1 of 2 ")
        if number % 3:
            for lease in leases:
                assert lease is not None
                lease.done(0.1, Outcome.OK, 0.1)
    assert len(found) == 60


def test_a_second_try_says_who_was_avoided_and_another_tier_which() -> None:
    lb = tiered(0, 1)
    found = explained(lb)
    lease = lb.admit(Request(), 0.0)
    assert lease is not None
    lb.failed(lease, 0.1, Outcome.CONNECT, False)
    assert [(it.picked, it.avoided) for it in found] == [("a", ()), ("b", ("a",))]
    assert found[-1].why == "in tier 2 of 2 the next in the order of the file"


def test_a_tier_whose_backends_are_full_is_passed_over() -> None:
    lb = tiered(0, 1, max_in_flight=1)
    found = explained(lb)
    for _ in range(3):
        lb.admit(Request(), 0.0)
    assert [it.picked for it in found] == ["a", "b", ""]
    assert found[1].why.startswith("in tier 2 of 2 ")
    assert not found[2].candidates


def test_nobody_is_picked_where_all_are_full_and_it_can_be_switched_off() -> None:
    lb = tiered(0, 0, max_in_flight=1, queue=QueuePolicy(limit=1))
    found = explained(lb)
    leases = [lb.admit(Request(), 0.0) for _ in range(3)]
    assert [it.picked for it in found] == ["a", "b", ""]
    assert not found[-1].candidates
    lb.pool.explain(None)
    assert leases[0] is not None
    leases[0].done(0.5)
    assert len(found) == 3


class Mute:
    """A strategy that has never heard of reasons."""

    def __init__(self) -> None:
        self._members: list[Any] = []

    def join(self, backend: Any, now: float) -> None:
        self._members.append(backend)

    def leave(self, backend: Any, now: float) -> None:
        self._members.remove(backend)

    def nothing(self, *_: Any) -> None: ...

    block = unblock = reweigh = started = finished = nothing

    def pick(self, now: float, key: bytes = b"", avoid: Any = ()) -> Any:
        return self._members[0] if self._members else None


def test_an_index_that_was_not_taught_to_say_why_says_nothing() -> None:
    nobody: Heedless[Any] = Heedless()
    assert nobody.explain(0.0, b"key") is None


def test_an_algorithm_inside_another_that_cannot_say_why() -> None:
    params = spec("sticky").configure({})
    outside = Sticky(Mute(), params)
    (member,) = servers(1)
    outside.join(member, 0.0)
    assert outside.explain(0.0, b"new") is None
    assert outside.pick(0.0, b"new") is member
    at_home = outside.explain(0.0, b"new")
    assert at_home is not None
    assert at_home.why == "where this key has been before"


def test_where_rounding_leaves_nobody_room_turns_decide() -> None:
    """Ten quadrillion came and went, and the sum of the weights is 8 instead of 6."""
    heavy, *rest = members = servers(1e16, 3, 3)
    bounded: Any = joined(BoundedLoads(1), members)
    bounded.leave(heavy, 0.0)
    for number in range(6):
        send(bounded, key=b"%d" % number)
    told = [bounded.explain(0.0, b"%d" % number).why for number in range(12)]
    assert "nobody has room where the key leads: the one with the most credit" in told
    assert {it for it, _ in bounded.explain(0.0, b"1").candidates} <= set(rest)


@pytest.mark.parametrize("ranks", [(0, 0), (0, 1)])
def test_a_strategy_that_cannot_say_why(ranks: tuple[int, ...]) -> None:
    lb = tiered(*ranks)
    for tier in lb.pool._tiers.values():
        tier.swap(Mute(), 0.0)
    lb.pool.refresh(0.0)
    found = explained(lb)
    assert lb.pool.pick(0.0) is lb.pool.backends[0]
    assert (found[0].picked, found[0].why, found[0].candidates) == ("a", "", ())


def test_as_json_a_figure_that_is_not_known_is_null_and_a_key_may_be_cut() -> None:
    setup = Setup((Settings("10.0.0.1:80", name="a"), Settings("10.0.0.2:80", name="b")), "p2c")
    lb: Balancer[Any] = Balancer(setup, Random(3))
    lb.swap("least_response_time")
    found = explained(lb)
    lb.admit(Request(key=b"0123456789"), 0.0)
    lb.admit(Request(key=b"short"), 0.0)
    first, second = found
    assert first.as_dict(4)["key"] == "0123..."
    assert first.as_dict()["key"] == "0123456789"
    told = second.as_dict(5)
    assert told["key"] == "short"
    figures = {it["backend"]: it["figure"] for it in told["candidates"]}
    assert figures == {first.picked: None, second.picked: 0.0}, "who is being asked comes last"
