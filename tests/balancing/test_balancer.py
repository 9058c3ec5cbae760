"""The balancer, event by event: what comes back, and what comes out."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from lb.balancing import (
    Balancer,
    Changed,
    HealthPolicy,
    Joined,
    Lease,
    Left,
    Outcome,
    Probe,
    ProbeResult,
    QueuePolicy,
    Refuse,
    RetryPolicy,
    Settings,
    Setup,
    Start,
    State,
    SubsetPolicy,
    Swapped,
    Why,
)
from lb.balancing.health import Health
from lb.errors import UsageError
from tests.doubles import Draws, Request

INFINITY = float("inf")
GOOD, BAD = ProbeResult(ok=True), ProbeResult(ok=False, why="503")


def balancer(
    n: int = 2, algorithm: str = "round_robin", *, max_in_flight: int | None = None, **more: Any
) -> Balancer:
    """`n` backends named a, b, ..; without health checks, so all are up at once, unless asked."""
    rng = more.pop("rng", None) or Random(1)
    more.setdefault("health", HealthPolicy(enabled=False))
    rows = (
        Settings(f"10.0.0.{i}:80", name="abcdef"[i], max_in_flight=max_in_flight) for i in range(n)
    )
    made: Balancer = Balancer(Setup(tuple(rows), algorithm, **more), rng)
    assert [made.out.popleft() for _ in range(n)] == [Joined(b) for b in made.pool.backends]
    return made


def checked(n: int = 2, **more: Any) -> Balancer:
    """The same with health checks every 10 s, every 1 s while deciding, no jitter."""
    policy = HealthPolicy(interval=10.0, fast_interval=1.0, rise=2, fall=3, jitter=0.0)
    return balancer(n, health=policy, **more)


def drained(lb: Balancer) -> list[Any]:
    """What came out, but for who joined and left."""
    actions = [action for action in lb.out if not isinstance(action, Joined | Left | Swapped)]
    lb.out.clear()
    return actions


def started(lb: Balancer) -> Lease:
    """The one Start that came out."""
    (action,) = drained(lb)
    assert isinstance(action, Start)
    return action.lease


def admitted(lb: Balancer, now: float = 0.0, **call: Any) -> Lease:
    lease = lb.admit(Request(**call), now)
    assert lease is not None
    return lease


def answered(lb: Balancer, results: dict[str, ProbeResult], now: float) -> list[Any]:
    """Wake, answer the probes that come out by name, and return everything else."""
    lb.wake(now)
    rest = []
    for action in drained(lb):
        if isinstance(action, Probe):
            lb.observed(action.backend, now, results.get(action.backend.name, GOOD))
        else:
            rest.append(action)
    return rest + drained(lb)


def probed(lb: Balancer, now: float) -> list[str]:
    """Names of those probed at `now`; nobody answers."""
    lb.wake(now)
    return [action.backend.name for action in drained(lb) if isinstance(action, Probe)]


# --- the common path


def test_a_lease_counts_from_the_pick_to_the_end() -> None:
    lb = balancer()
    lease = admitted(lb, now=3.0)
    assert (lease.backend.name, lease.started_at, lease.backend.active) == ("a", 3.0, 1)
    assert repr(lease) == "<Lease of a open>"
    lease.done(4.0)
    assert (lease.backend.active, lease.backend.picked, lease.backend.succeeded) == (0, 1, 1)
    assert not lb.out


def test_a_lease_ends_once() -> None:
    lease = admitted(balancer())
    lease.done(1.0)
    with pytest.raises(AssertionError, match="twice"):
        lease.done(1.0)
    assert lease.backend.active == 0


@pytest.mark.parametrize(
    ("outcome", "succeeded", "failed"),
    [
        (Outcome.OK, 1, 0),
        (Outcome.CONNECT, 0, 1),
        (Outcome.RESET, 0, 1),
        (Outcome.TIMEOUT, 0, 1),
        (Outcome.SERVER_ERROR, 0, 1),
        (Outcome.CLIENT_GONE, 0, 0),
        (Outcome.CANCELLED, 0, 0),
    ],
)
def test_outcomes_count_for_a_backend_if_they_teach(
    outcome: Outcome, succeeded: int, failed: int
) -> None:
    lease = admitted(balancer())
    lease.done(1.0, outcome)
    backend = lease.backend
    assert (backend.active, backend.succeeded, backend.failed) == (0, succeeded, failed)
    assert (backend.response_time is None) == (outcome is not Outcome.OK)


def test_response_time_is_to_the_first_byte_and_smoothed() -> None:
    lb = balancer(1)
    admitted(lb, now=10.0).done(99.0, first_byte=10.8)
    backend = lb.pool.backends[0]
    assert backend.response_time == pytest.approx(0.8)
    admitted(lb, now=100.0).done(101.6)  # without a first byte, the end
    assert backend.response_time == pytest.approx(0.8 + (1.6 - 0.8) / 8)


def test_it_says_how_it_is() -> None:
    lb = balancer(2, max_in_flight=1, queue=QueuePolicy(limit=5))
    for _ in range(3):
        lb.admit(Request(), 0.0)
    assert repr(lb) == "<Balancer round_robin <Pool 2 up, 0 not, 2 active> 1 waiting>"
    assert repr(lb.pool.backends[0]) == "<Backend a up 1 in flight>"


# --- refusing and waiting


def test_no_backend_no_call() -> None:
    lb = balancer(1)
    lb.set_state(lb.pool.backends[0], State.DOWN, 0.0)
    call = Request()
    assert lb.admit(call, 0.0) is None
    assert drained(lb) == [Refuse(call, Why.NO_BACKEND)]


def test_with_all_at_their_limit_and_no_line_a_call_is_refused() -> None:
    lb = balancer(2, max_in_flight=1)
    admitted(lb)
    admitted(lb)
    call = Request()
    assert lb.admit(call, 0.0) is None
    assert drained(lb) == [Refuse(call, Why.QUEUE_FULL)]


def test_a_call_waits_until_a_backend_is_free() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=2, timeout=5.0))
    lease, calls = admitted(lb), [Request(), Request(), Request()]
    assert [lb.admit(call, 0.5) for call in calls] == [None] * 3
    assert drained(lb) == [Refuse(calls[2], Why.QUEUE_FULL)]
    lease.done(1.0)
    second = started(lb)
    assert (second.call, second.started_at) == (calls[0], 1.0)
    second.done(2.0)
    assert started(lb).call is calls[1]


def test_patience_ends_when_the_alarm_says() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=9, timeout=5.0))
    admitted(lb)
    calls = [Request(), Request()]
    lb.admit(calls[0], 1.0)
    lb.admit(calls[1], 2.0)
    assert lb.wakes_at == 6.0
    lb.wake(6.0)
    assert drained(lb) == [Refuse(calls[0], Why.QUEUE_TIMEOUT)]
    assert lb.wakes_at == 7.0
    lb.wake(7.0)
    assert drained(lb) == [Refuse(calls[1], Why.QUEUE_TIMEOUT)]
    assert lb.wakes_at == INFINITY


def test_a_client_that_left_the_line_is_not_served() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=9))
    lease, gone, stays = admitted(lb), Request(), Request()
    lb.admit(gone, 0.0)
    lb.admit(stays, 0.0)
    assert lb.abandoned(gone)
    assert not lb.abandoned(gone)
    lease.done(0.5)
    assert started(lb).call is stays
    assert not lb.abandoned(stays)


ROOM = {
    "a backend is added": lambda lb: lb.add(Settings("10.0.0.9:80"), 1.0),
    "a backend returns from maintenance": lambda lb: lb.set_state(
        lb.pool.backends[1], State.UP, 1.0
    ),
}


@pytest.mark.parametrize("make_room", ROOM.values(), ids=ROOM)
def test_whatever_makes_room_serves_the_line(make_room: Any) -> None:
    lb = balancer(2, max_in_flight=1, queue=QueuePolicy(limit=9))
    lb.set_state(lb.pool.backends[1], State.MAINT, 0.0)
    admitted(lb)
    call = Request()
    assert lb.admit(call, 0.5) is None
    make_room(lb)
    assert started(lb).call is call


def test_a_backend_that_comes_up_serves_the_line() -> None:
    lb = checked(2, max_in_flight=1, queue=QueuePolicy(limit=9, timeout=60.0))
    answered(lb, {"b": BAD}, 0.0)
    admitted(lb)
    call = Request()
    assert lb.admit(call, 0.0) is None
    actions = answered(lb, {}, 1.0)
    assert [type(action) for action in actions] == [Changed, Start]
    assert (actions[1].lease.call, actions[1].lease.backend.name) == (call, "b")


def test_the_last_one_up_leaves_and_the_unknown_serve_the_line() -> None:
    lb = checked(2, max_in_flight=1, queue=QueuePolicy(limit=9))
    first, second = lb.pool.backends
    lb.observed(first, 0.0, GOOD)
    admitted(lb)
    call = Request()
    assert lb.admit(call, 0.5) is None
    drained(lb)
    lb.remove(first, 1.0)
    lease = started(lb)
    assert (lease.call, lease.backend) == (call, second)


def test_who_is_in_line_is_told_when_the_last_usable_backend_goes() -> None:
    lb = checked(1, max_in_flight=1, queue=QueuePolicy(limit=9))
    answered(lb, {}, 0.0)
    admitted(lb)
    calls = [Request(), Request()]
    for call in calls:
        lb.admit(call, 1.0)
    for at in (1.0, 2.0):
        lb.observed(lb.pool.backends[0], at, BAD)
    assert drained(lb) == []
    lb.observed(lb.pool.backends[0], 3.0, BAD)
    backend = lb.pool.backends[0]
    refused = [Refuse(call, Why.NO_BACKEND) for call in calls]
    assert drained(lb) == [Changed(backend, "503"), *refused]


@pytest.mark.parametrize("take_out", ["maintenance", "removal", "another setup"])
def test_who_is_in_line_is_told_when_the_operator_takes_the_last_one(take_out: str) -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=9))
    admitted(lb)
    call = Request()
    lb.admit(call, 1.0)
    backend = lb.pool.backends[0]
    match take_out:
        case "maintenance":
            lb.set_state(backend, State.MAINT, 2.0)
        case "removal":
            lb.remove(backend, 2.0)
        case _:
            lb.apply(replace(lb.setup, backends=()), 2.0)
    assert drained(lb) == [Refuse(call, Why.NO_BACKEND)]


def test_a_line_that_holds_waits_for_a_backend_to_return() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=9, hold=True))
    lease, call = admitted(lb), Request()
    lb.admit(call, 1.0)
    lb.set_state(lease.backend, State.MAINT, 1.5)
    lease.done(1.6)
    assert drained(lb) == []
    lb.set_state(lease.backend, State.UP, 1.7)
    assert started(lb).call is call


# --- failing and trying again


def test_a_failed_call_is_tried_at_another_backend() -> None:
    lb = balancer(3)
    lease = admitted(lb)
    lb.failed(lease, 1.0, Outcome.RESET, sent=True)
    retry = started(lb)
    assert retry.call is lease.call
    assert (retry.backend.name, retry.started_at) == ("b", 1.0)
    assert [backend.active for backend in lb.pool.backends] == [0, 1, 0]
    assert lease.call.tried == (lease.backend,)
    assert lease.backend.failed == 1


@pytest.mark.parametrize(
    ("idempotent", "sent", "retried"),
    [(True, True, True), (True, False, True), (False, False, True), (False, True, False)],
)
def test_only_what_may_be_repeated_is_repeated(idempotent: bool, sent: bool, retried: bool) -> None:
    lb = balancer()
    lease = admitted(lb, idempotent=idempotent)
    lb.failed(lease, 1.0, Outcome.CONNECT, sent)
    (action,) = drained(lb)
    if retried:
        assert isinstance(action, Start)
    else:
        assert action == Refuse(lease.call, Outcome.CONNECT)


@pytest.mark.parametrize(("deadline", "retried"), [(0.99, False), (1.0, False), (1.01, True)])
def test_no_retry_at_or_after_the_deadline(deadline: float, retried: bool) -> None:
    lb = balancer()
    lb.failed(admitted(lb, deadline=deadline), 1.0, Outcome.TIMEOUT, sent=True)
    (action,) = drained(lb)
    assert isinstance(action, Start) == retried


@pytest.mark.parametrize("extra", [0, 1, 2, 5])
def test_as_many_extra_attempts_as_allowed(extra: int) -> None:
    lb = balancer(3, retries=RetryPolicy(max=extra))
    lease = admitted(lb)
    call, tried = lease.call, ["a"]
    for _ in range(extra):
        lb.failed(lease, 1.0, Outcome.RESET, sent=False)
        lease = started(lb)
        tried.append(lease.backend.name)
    lb.failed(lease, 2.0, Outcome.TIMEOUT, sent=False)
    assert drained(lb) == [Refuse(call, Outcome.TIMEOUT)]
    assert "".join(tried[:3]) == "abc"[: extra + 1]
    assert [backend.name for backend in call.tried] == tried
    assert [backend.active for backend in lb.pool.backends] == [0, 0, 0]


@pytest.mark.parametrize(
    "algorithm", ["round_robin", "random", "least_connections", "weighted_round_robin"]
)
def test_the_only_backend_is_tried_again_and_survives_it(algorithm: str) -> None:
    lb = balancer(1, algorithm, retries=RetryPolicy(max=3))
    lease = admitted(lb)
    for _ in range(3):
        lb.failed(lease, 1.0, Outcome.CONNECT, sent=False)
        lease = started(lb)
    lease.done(2.0)
    lb.remove(lb.pool.backends[0], 3.0)
    assert lb.admit(Request(), 4.0) is None


def test_the_budget_bounds_retries() -> None:
    policy = RetryPolicy(budget=0.0, min_per_second=0.2, window=10.0)
    lb = balancer(2, retries=policy)
    kinds = []
    for _ in range(4):
        lb.failed(admitted(lb), 1.0, Outcome.CONNECT, sent=False)
        (action,) = drained(lb)
        kinds.append(type(action))
        if isinstance(action, Start):
            action.lease.done(1.0)
    assert kinds == [Start, Start, Refuse, Refuse]


def test_a_failure_frees_its_place_for_the_line_before_it_is_tried_again() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=1))
    lease, waiting = admitted(lb), Request()
    lb.admit(waiting, 0.0)
    lb.failed(lease, 0.5, Outcome.RESET, sent=False)
    first, second = drained(lb)
    assert first.lease.call is waiting
    assert second == Refuse(lease.call, Outcome.RESET)


def test_a_retry_that_cannot_start_costs_nothing() -> None:
    policy = RetryPolicy(budget=0.0, min_per_second=0.1, window=10.0, max=9)
    lb = balancer(2, max_in_flight=1, retries=policy)
    first, second = admitted(lb), admitted(lb)
    lb.set_state(first.backend, State.MAINT, 0.5)
    for _ in range(3):  # the other one is at its limit
        lb.failed(first, 1.0, Outcome.RESET, sent=True)
        assert drained(lb) == [Refuse(first.call, Outcome.RESET)]
        lb.set_state(first.backend, State.UP, 1.0)
        first = admitted(lb, 1.0)
        lb.set_state(first.backend, State.MAINT, 1.0)
    second.done(1.5)
    lb.failed(first, 2.0, Outcome.RESET, sent=True)
    assert started(lb).backend is second.backend
    assert lb.snapshot(2.0).retried == 1


def test_one_lost_backend_of_three_is_covered_by_the_default_budget() -> None:
    """500 requests a second, a third of which fail until checks decide, two seconds later."""
    lb = checked(3, retries=RetryPolicy())
    answered(lb, {}, 0.0)
    lost = lb.pool.backends[0]
    refused = 0
    for n in range(6000):
        now = n / 500
        lease = admitted(lb, now)
        if lease.backend is lost and 10.0 <= now < 12.0:
            lb.failed(lease, now, Outcome.RESET, sent=True)
            for action in drained(lb):
                if isinstance(action, Start):
                    action.lease.done(now)
                refused += isinstance(action, Refuse)
        else:
            lease.done(now)
    assert refused == 0


def test_our_own_trouble_says_nothing_about_a_backend() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    lease = admitted(lb, 1.0)
    lb.failed(lease, 1.0, Outcome.CANCELLED, sent=False)
    retry = started(lb)
    assert retry.backend is not lease.backend
    backend = lease.backend
    assert (backend.failed, backend.cancelled, backend.standing) == (0, 1, "up")
    assert lb.wakes_at == 10.0, "nor is anybody asked"


# --- attempts that fail make their backend suspect


@pytest.mark.parametrize("outcome", [Outcome.CONNECT, Outcome.RESET, Outcome.TIMEOUT])
def test_a_failed_attempt_asks_for_a_check_at_once(outcome: Outcome) -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    lease = admitted(lb, 3.0)
    lease.done(4.0, outcome)
    assert drained(lb) == [Probe(lease.backend)]


@pytest.mark.parametrize(
    "outcome", [Outcome.OK, Outcome.SERVER_ERROR, Outcome.CLIENT_GONE, Outcome.CANCELLED]
)
def test_other_ends_ask_for_none(outcome: Outcome) -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    admitted(lb, 3.0).done(4.0, outcome)
    assert drained(lb) == []


def test_a_check_at_once_that_finds_nothing_leaves_the_schedule_as_it_is() -> None:
    draws = Draws(0.5, 0.5)  # one for each of the first answers, and no more
    lb = balancer(2, health=HealthPolicy(interval=10.0, jitter=0.2), rng=draws)
    answered(lb, {}, 0.0)
    lease = admitted(lb, 3.0)
    lease.done(4.0, Outcome.TIMEOUT)
    (probe,) = drained(lb)
    lb.observed(probe.backend, 4.1, GOOD)
    assert lb.wakes_at == pytest.approx(10.0)
    assert draws.left == []


def test_a_check_at_once_that_fails_makes_checks_fast() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    lease = admitted(lb, 3.0)
    lease.done(4.0, Outcome.RESET)
    drained(lb)
    lb.observed(lease.backend, 4.1, BAD)
    assert lb.wakes_at == pytest.approx(5.1)


def test_checks_at_once_are_no_more_frequent_than_fast_ones() -> None:
    lb = checked(1)
    answered(lb, {}, 0.0)
    asked = []
    for tenth in range(1, 31):
        now = tenth / 10
        admitted(lb, now).done(now, Outcome.RESET)
        for action in drained(lb):
            asked.append(now)
            lb.observed(action.backend, now, GOOD)
    assert asked == [0.1, 1.1, 2.1]


def test_a_refused_connection_soon_after_a_check_at_once_makes_checks_fast() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    first = lb.pool.backends[0]
    for at in (3.0, 3.2):
        lease = admitted(lb, at)
        while lease.backend is not first:
            lease = admitted(lb, at)
        lease.done(at, Outcome.CONNECT)
        for action in drained(lb):
            lb.observed(action.backend, at, GOOD)
    assert lb.wakes_at == pytest.approx(4.2)


def test_the_schedule_goes_on_when_it_falls_due_while_a_check_at_once_is_out() -> None:
    lb = checked(1)
    answered(lb, {}, 0.0)
    admitted(lb, 9.0).done(9.5, Outcome.RESET)
    (probe,) = drained(lb)
    assert probed(lb, 10.0) == [], "one at a time"
    lb.observed(probe.backend, 10.5, GOOD)
    assert lb.wakes_at == 20.5


def test_refused_connections_count_as_failed_checks() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    lost = lb.pool.backends[0]
    changes = []
    for n in range(20):
        lease = admitted(lb, 3.0 + n / 100)
        if lease.backend is lost:
            lb.failed(lease, 3.0 + n / 100, Outcome.CONNECT, sent=False)
        changes += [action for action in drained(lb) if isinstance(action, Changed)]
    assert changes == [Changed(lost, "connection refused")]
    assert lost.failed == 3
    pauses = []
    for at in (4.0, 5.0, 6.0):
        lb.observed(lost, at, BAD)
        pauses.append(min(lb.wakes_at, 99.0) - at)
    lb.observed(lb.pool.backends[1], 6.0, GOOD)
    assert pauses == [1.0, 1.0, 4.0], "its return is looked for fast until checks confirm"


def test_who_waits_is_not_sent_where_a_connection_was_refused_for_the_last_time() -> None:
    lb = checked(2, max_in_flight=1, queue=QueuePolicy(limit=1))
    answered(lb, {}, 0.0)
    lost, other = lb.pool.backends
    lost.health.observe(False)
    lost.health.observe(False)
    first, _ = admitted(lb, 1.0), admitted(lb, 1.0)
    assert first.backend is lost
    waits = Request()
    assert lb.admit(waits, 1.0) is None
    lb.failed(first, 1.1, Outcome.CONNECT, sent=True)
    assert lost.standing == "down"
    assert Start not in map(type, drained(lb))
    assert lb.snapshot(1.1).waiting == 1
    assert other.active == 1


def test_a_refused_connection_does_not_take_out_the_last_usable_backend() -> None:
    lb = checked(2)
    answered(lb, {"b": BAD}, 0.0)
    for n in range(9):
        admitted(lb, 1.0 + n).done(1.0 + n, Outcome.CONNECT)
    assert lb.pool.backends[0].standing == "up"
    for at in (10.0, 11.0, 12.0):
        lb.observed(lb.pool.backends[0], at, BAD)
    assert lb.pool.backends[0].standing == "down"


@pytest.mark.parametrize("checks", ["none", "deaf to attempts"])
def test_without_checks_no_attempt_takes_a_backend_out(checks: str) -> None:
    policy = HealthPolicy(enabled=False) if checks == "none" else HealthPolicy(attempts=False)
    lb = balancer(2, health=policy)
    for backend in lb.pool.backends:
        lb.observed(backend, 0.0, GOOD)
    drained(lb)
    for n in range(20):
        lb.failed(admitted(lb, 1.0 + n), 1.0 + n, Outcome.CONNECT, sent=False)
        assert [type(action) for action in drained(lb)] == [Start]
    assert all(backend.usable for backend in lb.pool.backends)


def test_a_backend_in_maintenance_is_not_asked_for_its_old_calls() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    lease = admitted(lb, 1.0)
    lb.set_state(lease.backend, State.MAINT, 2.0)
    lease.done(3.0, Outcome.RESET)
    assert drained(lb) == []


def test_a_backend_down_at_the_start_comes_up_with_its_first_good_answer() -> None:
    lb = checked(1)
    answered(lb, {"a": BAD}, 0.0)
    assert lb.pool.empty
    assert answered(lb, {}, 1.0) == [Changed(lb.pool.backends[0], "")]
    assert not lb.pool.empty


# --- health


def test_every_backend_is_probed_at_once_and_only_once() -> None:
    lb = checked(3)
    assert lb.wakes_at == 0.0
    assert probed(lb, 0.0) == ["a", "b", "c"]
    assert lb.wakes_at == INFINITY  # nothing falls due until answers come
    assert probed(lb, 100.0) == []


def test_probes_follow_the_interval_and_quicken_while_deciding() -> None:
    lb = checked(1)
    times, answers = [], [GOOD, GOOD, BAD, BAD, BAD, BAD, GOOD, GOOD, GOOD]
    for answer in answers:
        times.append(lb.wakes_at)
        answered(lb, {"a": answer}, lb.wakes_at)
    assert times == [0, 10, 20, 21, 22, 32, 42, 43, 53]


def test_a_check_that_could_not_be_asked_says_nothing_and_comes_again_soon() -> None:
    lb = checked(1)
    answered(lb, {"a": ProbeResult(ok=True)}, 0.0)
    (backend,) = lb.pool.backends
    for now in (30.0, 31.0, 32.0, 33.0):
        assert probed(lb, now) == ["a"]
        lb.observed(backend, now, ProbeResult(ok=False, ours=True))
        assert drained(lb) == []
        assert lb.wakes_at == now + 1.0
    assert backend.healthy
    assert backend.checked_at == 0.0


def test_the_interval_runs_from_the_answer() -> None:
    lb = checked(1)
    assert probed(lb, 0.0) == ["a"]
    lb.observed(lb.pool.backends[0], 1.5, GOOD)
    assert lb.wakes_at == 11.5
    assert lb.pool.backends[0].checked_at == 1.5


@pytest.mark.parametrize(("draw", "pause"), [(0.0, 8.0), (0.5, 10.0), (0.75, 11.0)])
def test_jitter_spreads_the_interval(draw: float, pause: float) -> None:
    policy = HealthPolicy(interval=10.0, jitter=0.2)
    lb = balancer(1, health=policy, rng=Draws(draw))
    answered(lb, {}, 0.0)
    assert lb.wakes_at == pytest.approx(pause)


def test_jitter_stays_in_its_bounds() -> None:
    lb = balancer(1, health=HealthPolicy(interval=10.0, jitter=0.1))
    pauses = []
    for _ in range(500):
        at = lb.wakes_at
        answered(lb, {}, at)
        pauses.append(lb.wakes_at - at)
    assert 9.0 <= min(pauses) < 9.1
    assert 10.9 < max(pauses) <= 11.0


def test_a_change_is_told_with_its_reason() -> None:
    lb = checked(1)
    backend = lb.pool.backends[0]
    assert answered(lb, {}, 0.0) == [Changed(backend, "")]
    assert [answered(lb, {"a": BAD}, at) for at in (10.0, 11.0)] == [[], []]
    assert answered(lb, {"a": BAD}, 12.0) == [Changed(backend, "503")]
    assert backend.standing == "down"


def test_unknown_backends_are_used_only_while_none_is_up() -> None:
    lb = checked(2)
    first, second = lb.pool.backends
    assert {admitted(lb).backend for _ in range(4)} == {first, second}
    lb.observed(second, 0.0, GOOD)
    assert {admitted(lb).backend for _ in range(4)} == {second}
    for _ in range(3):
        lb.observed(second, 1.0, BAD)
    assert {admitted(lb).backend for _ in range(4)} == {first}
    lb.observed(first, 2.0, BAD)
    drained(lb)
    call = Request()
    assert lb.admit(call, 2.0) is None
    assert drained(lb) == [Refuse(call, Why.NO_BACKEND)]


def test_a_probe_lends_its_latency_until_requests_say_better() -> None:
    lb = checked(1)
    backend = lb.pool.backends[0]
    lb.observed(backend, 0.0, ProbeResult(ok=True, latency=0.4))
    assert backend.response_time == 0.4
    admitted(lb, now=1.0).done(1.4)
    lb.observed(backend, 2.0, ProbeResult(ok=True, latency=99.0))
    assert backend.response_time == pytest.approx(0.4)


def test_the_answer_about_a_backend_that_is_gone_is_ignored() -> None:
    lb = checked(2)
    gone = lb.pool.backends[0]
    probed(lb, 0.0)
    lb.remove(gone, 1.0)
    lb.observed(gone, 2.0, GOOD)
    assert list(lb.out) == [Left(gone)]
    assert lb.wakes_at == INFINITY
    assert gone.health.state is Health.UNKNOWN


def test_a_backend_that_is_gone_is_probed_no_more() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    lb.remove(lb.pool.backends[0], 5.0)
    assert probed(lb, 10.0) == ["b"]


@pytest.mark.parametrize("state", State)
def test_the_timer_forgets_a_backend_that_is_gone(state: State) -> None:
    lb = checked(1)
    answered(lb, {}, 0.0)
    backend = lb.pool.backends[0]
    lb.set_state(backend, state, 1.0)
    lb.remove(backend, 2.0)
    for _ in range(3):
        lb.wake(min(lb.wakes_at, 1e9))
    assert lb.wakes_at == INFINITY


def test_maintenance_stops_the_probes_and_its_end_resumes_them() -> None:
    lb = checked(1)
    answered(lb, {}, 0.0)
    backend = lb.pool.backends[0]
    lb.set_state(backend, State.MAINT, 5.0)
    assert [probed(lb, at) for at in (10.0, 20.0)] == [[], []]
    assert not backend.healthy
    lb.set_state(backend, State.UP, 25.0)
    assert probed(lb, 30.0) == ["a"]


def test_a_draining_backend_is_still_probed() -> None:
    lb = checked(1)
    answered(lb, {}, 0.0)
    lb.set_state(lb.pool.backends[0], State.DRAIN, 5.0)
    assert probed(lb, 10.0) == ["a"]


def test_without_health_checks_all_are_up_and_none_is_probed() -> None:
    lb = balancer(2)
    assert [backend.healthy for backend in lb.pool.backends] == [True, True]
    assert lb.wakes_at == INFINITY


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
    assert [type(action) for action in lb.out] == [Left, Joined]
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
    assert now.refused == {"queue_full": 1}
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
