"""What operators say and drivers see: backends come and go, algorithms and setups change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lb.balancing import (
    HealthPolicy,
    Joined,
    Left,
    Outcome,
    ProbeResult,
    QueuePolicy,
    Refuse,
    RetryPolicy,
    Settings,
    State,
    SubsetPolicy,
    Swapped,
    Why,
)
from lb.errors import UsageError
from tests.balancing.test_balancer import (
    BAD,
    INFINITY,
    admitted,
    answered,
    balancer,
    checked,
    drained,
    started,
)
from tests.balancing.test_suspects import probed
from tests.doubles import Request

# --- control


@pytest.mark.parametrize("state", [State.DRAIN, State.MAINT, State.DOWN])
def test_an_operator_takes_a_backend_out_and_its_calls_end_in_peace(state: State) -> None:
    lb = balancer(2)
    first, second = lb.pool.backends
    lease = admitted(lb)
    assert lease.backend is first
    lb.set_state(first, state, 1.0)
    assert first.standing == state.value
    assert {admitted(lb).backend for _ in range(3)} == {second}
    lease.done(2.0)
    assert first.active == 0
    lb.set_state(first, State.UP, 3.0)
    assert {admitted(lb).backend for _ in range(4)} == {first, second}


def test_a_removed_backend_gets_no_calls_and_ends_those_it_has() -> None:
    lb = balancer(2)
    lease = admitted(lb)
    lb.remove(lease.backend, 1.0)
    assert {admitted(lb).backend.name for _ in range(3)} == {"b"}
    lease.done(2.0)
    assert lease.backend.active == 0


def test_an_added_backend_comes_last_in_order() -> None:
    lb = balancer(2)
    lb.remove(lb.pool.backends[0], 0.0)
    added = lb.add(Settings("10.0.0.9:80", name="z"), 0.0)
    assert added.order == 2
    assert [admitted(lb).backend.name for _ in range(4)] == ["b", "z", "b", "z"]


def test_a_new_weight_holds_from_the_next_pick() -> None:
    lb = balancer(2, "weighted_round_robin")
    lb.set_weight(lb.pool.backends[0], 3, 0.0)
    assert "".join(admitted(lb).backend.name for _ in range(4)) == "aaba"


def test_the_weight_of_a_backend_that_is_out_holds_from_its_return() -> None:
    lb = balancer(2, "weighted_round_robin")
    first = lb.pool.backends[0]
    lb.set_state(first, State.MAINT, 0.0)
    lb.set_weight(first, 3, 0.0)
    lb.set_state(first, State.UP, 0.0)
    assert "".join(admitted(lb).backend.name for _ in range(4)) == "aaba"


def test_an_exchange_keeps_limits_and_the_line() -> None:
    lb = balancer(2, max_in_flight=1, queue=QueuePolicy(limit=1))
    lease, _ = admitted(lb), admitted(lb)
    call = Request()
    lb.admit(call, 0.0)
    lb.swap("least_connections", now=0.5)
    refused = Request()
    assert lb.admit(refused, 0.5) is None
    assert drained(lb) == [Refuse(refused, Why.QUEUE_FULL)]
    lease.done(0.7)
    again = started(lb)
    assert (again.call, again.backend) == (call, lease.backend)


def test_an_exchange_for_an_unknown_algorithm_changes_nothing() -> None:
    lb = balancer(2)
    with pytest.raises(UsageError):
        lb.swap("nonsense")
    assert lb.algorithm == "round_robin"
    assert [admitted(lb).backend.name for _ in range(3)] == ["a", "b", "a"]


def test_an_unknown_algorithm_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="did you mean 'random'"):
        balancer(2, "randon")


# --- who comes and goes


def test_drivers_hear_who_joins_and_leaves_before_anything_goes_there() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=1))
    lease, call = admitted(lb), Request()
    lb.admit(call, 0.5)
    added = lb.add(Settings("10.0.0.9:80"), 1.0)
    joined, start = lb.out
    assert joined == Joined(added)
    assert (start.lease.call, start.lease.backend) == (call, added)
    lb.out.clear()
    lb.remove(lease.backend, 2.0)
    assert list(lb.out) == [Left(lease.backend)]


def test_drivers_hear_what_another_algorithm_needs() -> None:
    lb = balancer(2)
    assert lb.needs == frozenset()
    lb.swap("ip_hash", now=1.0)
    assert list(lb.out) == [Swapped(frozenset({"key"}))]
    assert lb.needs == {"key"}


# --- another setup


def test_another_setup_keeps_what_is_known_of_those_who_stay() -> None:
    lb = balancer(3, "weighted_round_robin")
    leases = [admitted(lb) for _ in range(3)]
    a, b, c = lb.pool.backends
    c.response_time = 0.25
    rows = lb.setup.backends
    setup = replace(
        lb.setup,
        backends=(replace(rows[0], weight=3), rows[2], Settings("10.0.0.9:80", name="z")),
    )
    lb.apply(setup, 1.0)
    assert [backend.name for backend in lb.pool.backends] == ["a", "c", "z"]
    assert lb.pool.backends[:2] == [a, c]
    assert (a.weight, a.active, c.response_time) == (3, 1, 0.25)
    assert [type(action) for action in lb.out] == [Joined, Left]
    assert lb.setup == setup
    for lease in leases:
        lease.done(2.0)
    assert b.active == 0
    assert sorted(admitted(lb).backend.name for _ in range(5)) == ["a", "a", "a", "c", "z"]


def test_a_backend_that_moves_is_another_one() -> None:
    lb = balancer(2)
    (old, _), rows = lb.pool.backends, lb.setup.backends
    lb.apply(replace(lb.setup, backends=(replace(rows[0], address="10.0.1.1:80"), rows[1])), 1.0)
    assert old not in lb.pool.backends
    assert {backend.address for backend in lb.pool.backends} == {"10.0.1.1:80", "10.0.0.1:80"}


def test_another_setup_brings_its_algorithm_and_policies() -> None:
    lb = balancer(2, max_in_flight=1)
    admitted(lb), admitted(lb)
    lb.apply(
        replace(
            lb.setup,
            algorithm="least_connections",
            queue=QueuePolicy(limit=1, timeout=3.0),
            retries=RetryPolicy(max=0),
        ),
        1.0,
    )
    assert lb.algorithm == "least_connections"
    call = Request()
    assert lb.admit(call, 1.0) is None
    assert lb.wakes_at == 4.0
    assert lb.snapshot(1.0).waiting == 1


@pytest.mark.parametrize(("limit", "waits"), [(None, False), (5, False), (1, True)])
def test_another_limit_holds_at_once(limit: int | None, waits: bool) -> None:
    lb = balancer(1, max_in_flight=2, queue=QueuePolicy(limit=9))
    admitted(lb), admitted(lb)
    call = Request()
    assert lb.admit(call, 0.0) is None
    rows = tuple(replace(row, max_in_flight=limit) for row in lb.setup.backends)
    lb.apply(replace(lb.setup, backends=rows), 1.0)
    assert bool(drained(lb)) != waits


def test_health_checks_can_be_switched_on_and_off() -> None:
    lb = balancer(2)
    lb.apply(replace(lb.setup, health=HealthPolicy(interval=10.0, jitter=0.0)), 1.0)
    assert probed(lb, 1.0) == ["a", "b"]
    lb.apply(replace(lb.setup, health=HealthPolicy(enabled=False)), 2.0)
    assert lb.wakes_at == INFINITY
    lb.observed(lb.pool.backends[0], 3.0, BAD)
    assert lb.pool.backends[0].healthy


def test_a_shorter_interval_holds_from_the_next_check() -> None:
    lb = checked(1)
    answered(lb, {}, 0.0)
    lb.apply(replace(lb.setup, health=HealthPolicy(interval=4.0, jitter=0.0)), 1.0)
    assert lb.wakes_at == 5.0


def test_another_subset_is_used_at_once() -> None:
    lb = balancer(4)
    lb.apply(replace(lb.setup, subset=SubsetPolicy(size=2)), 1.0)
    assert len({admitted(lb).backend for _ in range(8)}) == 2


def test_a_setup_with_an_unknown_algorithm_changes_nothing() -> None:
    lb = balancer(2)
    before = lb.setup
    with pytest.raises(UsageError):
        lb.apply(replace(before, algorithm="nonsense", backends=()), 1.0)
    assert lb.setup == before
    assert len(lb.pool.backends) == 2


# --- what it shows


def test_books_balance_and_reasons_are_counted() -> None:
    lb = checked(2, max_in_flight=2, queue=QueuePolicy(limit=1, timeout=5.0))
    answered(lb, {"a": ProbeResult(ok=True, why="status 200")}, 0.0)
    leases = [admitted(lb, 1.0) for _ in range(4)]
    waits, turned = Request(), Request()
    lb.admit(waits, 1.0)
    lb.admit(turned, 1.0)
    lb.abandoned(waits)
    for lease, outcome in zip(
        leases[:3], (Outcome.OK, Outcome.CLIENT_GONE, Outcome.CANCELLED), strict=True
    ):
        lease.done(2.0, outcome)
    lb.failed(leases[3], 3.0, Outcome.TIMEOUT, sent=True)
    now = lb.snapshot(4.0)
    assert (now.requests, now.retried, now.waiting, now.left_line) == (6, 1, 0, 1)
    assert {why: n for why, n in now.refused.items() if n} == {"queue_full": 1}
    assert {"no_backend", "queue_timeout", "timeout", "cancelled"} <= set(now.refused)
    assert now.turned_away == 1
    for row in now.backends:
        assert row.picked == (
            row.succeeded + row.failed + row.gone + row.cancelled + row.connections
        )
    picked = sum(row.picked for row in now.backends)
    assert now.requests + now.retried == picked + now.turned_away + now.left_line + now.waiting
    assert (now.backends[0].last_check, now.backends[0].why) == (4.0, "status 200")


def test_maintenance_is_not_healthy_and_not_usable() -> None:
    lb = balancer(2)
    lb.set_state(lb.pool.backends[0], State.MAINT, 0.0)
    a, b = lb.snapshot(0.0).backends
    assert (a.state, a.healthy, a.usable) == ("maint", False, False)
    assert (b.state, b.healthy, b.usable) == ("up", True, True)


def test_an_effective_weight_is_the_pools_and_a_configured_one_the_operators() -> None:
    lb = balancer(2, "weighted_round_robin")
    first = lb.pool.backends[0]
    lb.set_weight(first, 4, 0.0)
    lb.pool.reweigh(first, 2.0, 0.0)
    row = lb.snapshot(0.0).backends[0]
    assert (row.weight, row.effective_weight) == (4, 2.0)
    assert lb.setup.backends[0].weight == 4
