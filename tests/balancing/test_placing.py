"""Calls that are placed without a lease: the same picks, counts and news as of those that hold one.

The simulator's express lane goes this way.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing import (
    Backend,
    Balancer,
    Outcome,
    Probe,
    ProbeKind,
    QueuePolicy,
    Refuse,
    State,
    Why,
)
from lb.balancing.lease import Lease
from lb.strategies import REGISTRY
from tests.balancing.test_balancer import balancer, drained, started
from tests.doubles import Request

OK = Outcome.OK
KEYS = [b"a", b"b", b"c"]


def placed(lb: Balancer, now: float = 0.0, key: bytes = b"") -> Backend:
    backend = lb.place(key, now)
    assert backend is not None
    lb.out.extend(Probe(asked, ProbeKind.LOAD) for asked in lb.pool.probes(now))
    return backend


@given(
    algorithm=st.sampled_from(sorted(REGISTRY)),
    limit=st.sampled_from([None, "adaptive"]),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=80),
)
def test_both_ways_pick_and_count_alike(
    algorithm: str, limit: str | None, steps: list[tuple[bool, int]]
) -> None:
    leased = balancer(3, algorithm, max_in_flight=limit)
    counted = balancer(3, algorithm, max_in_flight=limit)
    leases: list[Lease] = []
    stays: list[tuple[Backend, float]] = []
    for number, (comes, which) in enumerate(steps):
        now, key = 2.0 * number, KEYS[which % 3]
        if comes or not leases:
            call = Request()
            call.key = key
            lease, backend = leased.admit(call, now), placed(counted, now, key)
            assert lease is not None
            assert lease.backend.name == backend.name
            leases.append(lease)
            stays.append((backend, now))
        else:
            leases.pop(which % len(leases)).done(now)
            backend, since = stays.pop(which % len(stays))
            assert not counted.settle(backend, now, now - since)
    assert leased.snapshot(200.0) == counted.snapshot(200.0)
    assert [str(it) for it in drained(leased)] == [str(it) for it in drained(counted)]


def test_a_place_that_is_settled_goes_to_whoever_waits() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=1))
    backend = placed(lb)
    for _ in range(2):
        call = Request()
        assert lb.place(call.key, 0.0) is None
        lb.unplaced(call, 0.0)
    assert drained(lb) == [Refuse(call, Why.QUEUE_FULL)]
    assert lb.settle(backend, 1.0, 1.0)
    lb.made_room(1.0)
    assert started(lb).backend is backend
    assert (backend.succeeded, backend.active, backend.response_time) == (1, 1, 1.0)
    assert lb.admitted == 3


def test_an_adaptive_limit_learns_of_what_is_settled() -> None:
    lb = balancer(1, max_in_flight="adaptive")
    before = lb.pool.backends[0].limit
    for number in range(500):
        now = 0.01 * number
        backend = placed(lb, now)
        lb.settle(backend, now + 0.005, 0.001 if number < 100 else 0.5)
    assert lb.pool.backends[0].limit != before


def test_an_algorithm_that_asks_for_loads_asks_for_them() -> None:
    lb = balancer(3, "prequal")
    placed(lb)
    assert [action.kind for action in drained(lb) if isinstance(action, Probe)] == [
        ProbeKind.LOAD
    ] * 3


@pytest.mark.parametrize("algorithm", ["round_robin", "prequal"])
def test_a_late_loop_refuses_some(algorithm: str) -> None:
    lb = balancer(2, algorithm)
    for _ in range(99):
        lb.lagged(9.0, 0.0)
    calls = [Request() for _ in range(20)]
    for call in calls:
        if lb.place(call.key, 1.0) is None:
            lb.unplaced(call, 1.0)
    refused = [it for it in drained(lb) if isinstance(it, Refuse)]
    assert 0 < len(refused) < 20
    assert {it.why for it in refused} == {Why.OVERLOADED}
    assert lb.admitted == 20


def test_where_nobody_is_there_the_call_is_refused() -> None:
    lb = balancer(1)
    lb.remove(lb.pool.backends[0], 0.0)
    drained(lb)
    call = Request()
    assert lb.place(call.key, 1.0) is None
    lb.unplaced(call, 1.0)
    assert drained(lb) == [Refuse(call, Why.NO_BACKEND)]


@pytest.mark.parametrize("algorithm", sorted(REGISTRY))
def test_a_static_algorithm_picks_the_same_whatever_ends_when(algorithm: str) -> None:
    """What says it is none may do so too; what says it is one must."""
    prompt, late = balancer(4, algorithm), balancer(4, algorithm)
    told = []
    for number in range(300):
        now, key = 0.1 * number, b"%d" % (number * number % 31)
        ours, theirs = placed(prompt, now, key), placed(late, now, key)
        if late.pool.static:
            assert ours.name == theirs.name
        prompt.settle(ours, now, 0.01 * (number % 7))
        told.append((theirs, now, 0.01 * (number % 7)))
    for row in told:
        late.settle(*row)
    assert late.pool.static is REGISTRY[algorithm].static
    if late.pool.static:
        assert prompt.snapshot(40.0) == late.snapshot(40.0)


@pytest.mark.parametrize("limit", [2, "adaptive"])
def test_whoever_is_limited_is_told_of_ends_at_once(limit: int | str) -> None:
    assert balancer(2, "round_robin").pool.static
    assert not balancer(2, "round_robin", max_in_flight=limit).pool.static


def test_whoever_drains_is_told_of_ends_at_once() -> None:
    lb = balancer(2, "round_robin")
    backend = placed(lb)
    lb.set_state(backend, State.DRAIN, 1.0)
    assert not lb.pool.static
    lb.settle(backend, 2.0, 2.0)
    assert lb.pool.static
