"""A second attempt beside one that takes long: when, where, who wins, and what is learnt."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing import Balancer, Cancel, HedgePolicy, Lease, Outcome, QueuePolicy, RetryPolicy
from lb.balancing.hedges import BEYOND, LEAST, Latencies, quantile
from lb.balancing.lease import rival_of
from tests.balancing.test_balancer import INFINITY, admitted, balancer, drained, started
from tests.doubles import Request


def hedging(n: int = 3, after: float | str = 0.5, **more: Any) -> Balancer:
    lb = balancer(n, hedging=HedgePolicy(after=after), **more)
    assert lb.hedging
    return lb


def raced(lb: Balancer, **call: Any) -> tuple[Lease, Lease]:
    """An attempt that was admitted at time 0, and its hedge."""
    lease = admitted(lb, **call)
    lb.wake(lb.wakes_at)
    hedge = started(lb)
    assert hedge.call is lease.call
    return lease, hedge


def counts(lb: Balancer) -> tuple[int, int]:
    now = lb.snapshot(9.0)
    return now.hedged, now.hedges_won


def test_an_attempt_that_takes_long_gets_another_one_beside_it() -> None:
    lb = hedging()
    lease, hedge = raced(lb)
    assert hedge.started_at == 0.5
    assert hedge.backend is not lease.backend
    assert rival_of(lease) is hedge
    assert rival_of(hedge) is lease
    assert lease.call.tried == ()
    assert counts(lb) == (1, 0)
    now = lb.snapshot(0.5)
    assert now.requests + now.retried + now.hedged == sum(b.picked for b in now.backends)


@pytest.mark.parametrize("hedge_wins", [True, False])
def test_the_first_answer_wins_and_only_its_latency_teaches(hedge_wins: bool) -> None:
    lb = hedging()
    lease, hedge = raced(lb)
    winner, loser = (hedge, lease) if hedge_wins else (lease, hedge)
    lb.answered(winner, 0.7)
    assert drained(lb) == [Cancel(loser)]
    loser.done(0.7, Outcome.CANCELLED)
    winner.done(0.9, first_byte=0.7)
    assert loser.backend.response_time is None
    assert (loser.backend.cancelled, loser.backend.failed) == (1, 0)
    assert winner.backend.response_time == pytest.approx(0.7 - winner.started_at)
    assert counts(lb) == (1, int(hedge_wins))
    assert rival_of(lease) is rival_of(hedge) is None
    assert lb.wakes_at == INFINITY or not _rings(lb, 99.0)


def _rings(lb: Balancer, now: float) -> list[Any]:
    lb.wake(now)
    return drained(lb)


def test_what_has_its_answer_in_time_is_not_hedged() -> None:
    lb = hedging()
    lease = admitted(lb)
    lb.answered(lease, 0.4)
    assert _rings(lb, 5.0) == [], "though its body is still on its way"
    lease.done(6.0, first_byte=0.4)
    assert counts(lb) == (0, 0)


@pytest.mark.parametrize("first", [True, False])
def test_a_failure_beside_another_attempt_is_not_the_call_s(first: bool) -> None:
    lb = hedging(n=4)
    lease, hedge = raced(lb)
    broken, other = (lease, hedge) if first else (hedge, lease)
    lb.failed(broken, 0.6, Outcome.RESET, sent=True)
    assert drained(lb) == []
    assert broken.backend.failed == 1
    assert rival_of(other) is None
    lb.failed(other, 0.7, Outcome.RESET, sent=True)
    (refusal,) = drained(lb)
    assert refusal.why is Outcome.RESET, "a hedge that failed was the extra attempt"
    assert lb.snapshot(1.0).retry_refused["max"] == 1


def test_both_fail_and_a_third_is_asked() -> None:
    lb = hedging(n=3, retries=RetryPolicy(max=2))
    lease, hedge = raced(lb)
    for attempt in (hedge, lease):
        lb.failed(attempt, 0.7, Outcome.RESET, sent=True)
    retry = started(lb)
    assert retry.backend not in (lease.backend, hedge.backend)
    assert counts(lb) == (1, 0)


@pytest.mark.parametrize("first", [True, False])
def test_an_answer_to_be_tried_elsewhere_leaves_the_call_to_the_other_attempt(first: bool) -> None:
    lb = hedging(retries=RetryPolicy(on=(503,)))
    lease, hedge = raced(lb)
    declined, other = (lease, hedge) if first else (hedge, lease)
    assert lb.declined(declined, 0.6, 503)
    assert drained(lb) == []
    assert declined.backend.failed == 1
    lb.answered(other, 0.7)
    assert drained(lb) == []
    other.done(0.8, first_byte=0.7)
    assert counts(lb) == (1, 0), "nobody was overtaken"


def test_an_attempt_that_is_alone_again_may_be_hedged_when_its_own_time_is_up() -> None:
    lb = hedging(n=4)
    lease, hedge = raced(lb)
    lb.wake(0.9)
    assert drained(lb) == []
    lb.failed(lease, 0.95, Outcome.RESET, sent=True)
    lb.wake(1.0)
    second = started(lb)
    assert second.backend not in (lease.backend, hedge.backend)
    assert rival_of(second) is hedge


def test_two_at_once_are_enough() -> None:
    lb = hedging(n=4)
    raced(lb)
    assert _rings(lb, 50.0) == []
    assert counts(lb) == (1, 0)


@pytest.mark.parametrize(
    ("reason", "n", "more"),
    [
        ("budget", 3, {"retries": RetryPolicy(budget=0.1, min_per_second=0.0)}),
        ("no_backend", 1, {}),
        ("no_backend", 2, {"max_in_flight": 1}),
    ],
)
def test_a_hedge_that_may_not_be_is_counted(reason: str, n: int, more: dict[str, Any]) -> None:
    lb = hedging(n=n, **more)
    admitted(lb)
    if "max_in_flight" in more:
        admitted(lb)
    assert _rings(lb, 0.5) == []
    refused = lb.snapshot(1.0).hedge_refused
    assert set(refused) == {"budget", "no_backend"}
    assert refused[reason] >= 1
    assert counts(lb) == (0, 0)


def test_hedges_and_retries_draw_from_one_budget() -> None:
    lb = hedging(n=3, retries=RetryPolicy(budget=0.0, min_per_second=0.1, window=10.0))
    raced(lb)
    lb.failed(admitted(lb, 0.6), 0.7, Outcome.RESET, sent=True)
    assert lb.snapshot(1.0).retry_refused["budget"] == 1


def test_what_may_not_be_sent_twice_is_not_hedged() -> None:
    lb = hedging()
    admitted(lb, idempotent=False)
    assert lb.wakes_at == INFINITY
    raced(lb)


def test_time_in_line_does_not_count_and_hedges_do_not_jump_it() -> None:
    lb = hedging(n=2, max_in_flight=1, queue=QueuePolicy(limit=2, timeout=9.0))
    first, _ = admitted(lb), admitted(lb)
    for _ in range(2):
        assert lb.admit(Request(), 0.1) is None
    assert _rings(lb, 0.5) == []
    first.done(0.6)
    waited = started(lb)
    assert waited.started_at == 0.6
    assert _rings(lb, 1.0) == []


def test_calls_that_waited_are_hedged_as_others_are() -> None:
    lb = hedging(n=2, max_in_flight=1, queue=QueuePolicy(limit=2, timeout=9.0))
    first, second = admitted(lb), admitted(lb)
    assert lb.admit(Request(), 0.1) is None
    first.done(0.2)
    waited = started(lb)
    second.done(0.3)
    assert lb.wakes_at <= 0.7
    lb.wake(0.7)
    hedge = started(lb)
    assert hedge.call is waited.call


def test_many_at_once_fall_due_in_their_order() -> None:
    lb = hedging(n=6)
    leases = [admitted(lb, now / 10) for now in range(5)]
    leases[1].done(0.3)
    lb.failed(leases[2], 0.3, Outcome.CLIENT_GONE, sent=True)
    drained(lb)
    for lease in (leases[0], leases[3], leases[4]):
        assert lb.wakes_at == pytest.approx(lease.started_at + 0.5)
        lb.wake(lb.wakes_at)
        assert started(lb).call is lease.call
    assert _rings(lb, 9.0) == []


def test_hedging_may_be_switched_on_and_off() -> None:
    lb = balancer(3)
    assert not lb.hedging
    first = admitted(lb)
    setup = lb.setup
    lb.apply(replace(setup, hedging=HedgePolicy(after=0.5)), 0.1)
    assert lb.hedging
    assert lb.wakes_at == INFINITY, "who was there before is left alone"
    second = admitted(lb, 0.2)
    lb.apply(setup, 0.3)
    assert not lb.hedging
    assert _rings(lb, 5.0) == []
    for lease in (first, second):
        lb.answered(lease, 6.0)
        lease.done(6.0)


# --- quantiles


@pytest.mark.parametrize(
    ("name", "share"),
    [("p95", 0.95), ("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("p99.9", 0.999), ("p05", 0.05)],
)
def test_names_of_quantiles(name: str, share: float) -> None:
    assert quantile(name) == share


@pytest.mark.parametrize("name", ["p", "p5", "p00", "95", "p9999", "P95", "p-95", "p101", "p100.5"])
def test_what_is_no_name_of_one(name: str) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        quantile(name)


@given(
    st.lists(st.floats(0, 10), min_size=100, max_size=100),
    st.sampled_from([0.5, 0.9, 0.95]),
)
def test_the_first_estimate_is_the_quantile_of_what_was_seen(
    seconds: list[float], share: float
) -> None:
    latencies, least = Latencies(share), round(BEYOND / (1 - share))
    for it in seconds[: least - 1]:
        latencies.add(it)
        assert latencies.quantile == math.inf
    latencies.add(seconds[least - 1])
    value, seen = latencies.quantile, seconds[:least]
    assert sum(x <= value for x in seen) >= share * least
    assert value == LEAST or sum(x < value for x in seen) < share * least


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
def test_the_estimate_follows_the_latencies(share: float) -> None:
    rng, latencies = Random(3), Latencies(share)
    for mean in (0.02, 0.2, 0.01):
        for _ in range(20_000):
            latencies.add(rng.expovariate(1 / mean))
        beyond = 0
        for _ in range(20_000):
            seconds = rng.expovariate(1 / mean)
            beyond += seconds > latencies.quantile
            latencies.add(seconds)
        assert beyond / 20_000 == pytest.approx(1 - share, rel=0.1)


def test_a_jump_to_ten_times_the_latency_is_followed_within_120() -> None:
    latencies = Latencies(0.95)
    for _ in range(200):
        latencies.add(0.01)
    for _ in range(120):
        assert latencies.quantile < 0.1
        latencies.add(0.1)
    latencies.add(0.1)
    latencies.add(0.1)
    latencies.add(0.1)
    assert latencies.quantile == pytest.approx(0.1, rel=0.05)


def calls(lb: Balancer, seconds: list[float], slow: float, rng: Random) -> int:
    """Calls one after the other, each taking as long as `seconds` says; how many were hedged."""
    now = 0.0
    for took in seconds:
        lease = admitted(lb, now)
        ends = now + took
        attempts = {lease: ends}
        while lb.wakes_at < ends:
            at = max(lb.wakes_at, now)
            lb.wake(at)
            for action in drained(lb):
                attempts[action.lease] = at + slow * rng.random()
        winner = min(attempts, key=lambda it: attempts[it])
        now = attempts[winner]
        lb.answered(winner, now)
        for action in drained(lb):
            action.lease.done(now, Outcome.CANCELLED)
        winner.done(now)
        now += 1e-6
    return counts(lb)[0]


def test_nothing_is_hedged_before_a_quantile_is_known() -> None:
    lb = hedging(after="p95")
    for _ in range(99):
        lease = admitted(lb)
        assert lb.wakes_at == INFINITY
        lb.answered(lease, 1.0)
        lease.done(1.0)
    lease = admitted(lb, 2.0)
    lb.answered(lease, 3.0)
    lease.done(3.0)
    admitted(lb, 4.0)
    assert lb.wakes_at == 5.0


def test_only_calls_that_can_be_hedged_are_learnt_from() -> None:
    lb = hedging(after="p50")
    for n in range(10):
        lease = admitted(lb, idempotent=False)
        lb.answered(lease, 100.0 + n)
        lease.done(100.0 + n)
    admitted(lb, 200.0)
    assert lb.wakes_at == INFINITY


def test_hedges_do_not_make_the_quantile_sink() -> None:
    """A hedge that wins has not made its call a fast one: about one in twenty is hedged, always."""
    rng = Random(5)
    lb = hedging(after="p95", retries=RetryPolicy(budget=1.0))
    seconds = [rng.expovariate(10.0) for _ in range(20_000)]
    assert 0.045 < calls(lb, seconds, 0.01, rng) / len(seconds) < 0.055
