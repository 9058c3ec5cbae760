"""Health checks, as the balancer asks for them and hears of them."""

from __future__ import annotations

import pytest

from lb.balancing import (
    Changed,
    HealthPolicy,
    Left,
    Probe,
    ProbeResult,
    Refuse,
    State,
    Why,
)
from lb.balancing.health import Health
from tests.balancing.test_balancer import (
    BAD,
    GOOD,
    INFINITY,
    admitted,
    answered,
    balancer,
    checked,
    drained,
)
from tests.balancing.test_suspects import probed
from tests.doubles import Draws, Request

# --- health


def test_every_backend_is_probed_at_once_and_only_once() -> None:
    lb = checked(3)
    assert lb.wakes_at == 0.0
    assert probed(lb, 0.0) == ["a", "b", "c"]
    assert lb.wakes_at == INFINITY  # nothing falls due until answers come
    assert probed(lb, 100.0) == []


def test_probes_follow_the_interval_and_quicken_while_deciding() -> None:
    lb = checked(2)
    answers = [GOOD, GOOD, BAD, BAD, BAD, BAD, GOOD, GOOD, GOOD]
    first = lb.pool.backends[0]
    times = []
    for answer in answers:
        while True:  # the other one is always well
            at = lb.wakes_at
            lb.wake(at)
            asked = [action.backend for action in drained(lb) if isinstance(action, Probe)]
            for backend in asked:
                lb.observed(backend, at, answer if backend is first else GOOD)
            drained(lb)
            if first in asked:
                break
        times.append(at)
    assert times == [0, 10, 20, 21, 22, 32, 42, 43, 53]


def test_while_nobody_is_usable_all_are_asked_fast() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    first, second = lb.pool.backends
    lb.set_state(second, State.MAINT, 1.0)
    for at in (10.0, 11.0, 12.0):
        answered(lb, {"a": BAD}, at)
    assert lb.pool.empty
    times = []
    for _ in range(8):  # long after it is decided
        times.append(lb.wakes_at)
        answered(lb, {"a": BAD}, lb.wakes_at)
    assert [at for at in times if at < 18.0] == [13.0, 14.0, 15.0, 16.0, 17.0]
    assert answered(lb, {}, lb.wakes_at)[:1] == []
    answered(lb, {}, lb.wakes_at)
    assert first.usable


def test_who_was_down_for_long_is_asked_soon_when_the_last_one_goes() -> None:
    lb = checked(2)
    answered(lb, {"b": BAD}, 0.0)
    for at in (1.0, 2.0):
        answered(lb, {"b": BAD}, at)
    assert lb.wakes_at == 10.0, "all is settled"
    lb.set_state(lb.pool.backends[0], State.DRAIN, 5.0)
    assert probed(lb, 6.0) == ["a", "b"]


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
