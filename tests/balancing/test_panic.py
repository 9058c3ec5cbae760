"""Panic: who is used when too few are usable, against a plain model, by table, and balanced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing import (
    Backend,
    Balancer,
    HealthPolicy,
    Outcome,
    Panicked,
    PanicPolicy,
    ProbeResult,
    Refuse,
    Settings,
    State,
    SubsetPolicy,
    Why,
)
from lb.balancing.health import Health
from lb.balancing.panic import parts
from tests.balancing.test_balancer import BAD, GOOD, admitted, answered, checked, drained
from tests.doubles import Request

REFUSED = ProbeResult(ok=False, why="refused", refused=True)


@st.composite
def backends(draw: st.DrawFn) -> Backend:
    it = Backend(Settings("h:1"), 0, HealthPolicy())
    it.state = draw(st.sampled_from([State.UP] * 5 + [State.DRAIN, State.MAINT, State.DOWN]))
    it.health.state = draw(st.sampled_from([Health.UP, Health.UP, Health.DOWN, Health.UNKNOWN]))
    it.ejected, it.draining, it.refusing = (draw(st.sampled_from([0, 0, 0, 1])) > 0 for _ in "edr")
    return it


TIERS = st.lists(st.lists(backends(), max_size=7), min_size=1, max_size=3)


def model(tiers: list[list[Backend]], factor: float, threshold: float) -> list[tuple[set, set]]:
    """Who is usable by merit in each tier, and who for want of others."""
    merit = []
    for health in (Health.UP, Health.UNKNOWN):
        merit = [
            {
                it
                for it in tier
                if it.state is State.UP and it.health.state is health
                if not it.draining and not it.ejected
            }
            for tier in tiers
        ]
        if any(merit):
            break
    known = [[it for it in tier if it.health.state is not Health.UNKNOWN] for tier in tiers]
    if not any(it.health.state is Health.UP for usable in merit for it in usable):
        known = tiers
    able = sum(
        min(1.0, factor * len(usable) / len(of))
        for usable, of in zip(merit, known, strict=True)
        if of
    )
    found = []
    for usable, of in zip(merit, known, strict=True):
        wanted = [it for it in of if it.state is State.UP and not it.draining]
        panic = able < 1 - 1e-9 and len(usable) < threshold * len(wanted)
        others = {it for it in wanted if it.health.state is not Health.UNKNOWN and not it.refusing}
        found.append((usable, others - usable if panic else set()))
    return found


@given(TIERS, st.sampled_from([1.0, 1.4, 2.0]), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_who_is_used_is_what_a_plain_model_says(
    tiers: list[list[Backend]], factor: float, threshold: float
) -> None:
    found = parts(tiers, factor, threshold)
    assert [
        (set(part.usable) - set(part.desperate), set(part.desperate)) for part in found
    ] == model(tiers, factor, threshold)
    assert [part.panic for part in found] == [bool(part.desperate) for part in found]


@given(TIERS, st.sampled_from([0.0, 0.3, 1.0]))
def test_nobody_is_used_whom_the_operator_or_it_itself_has_taken_out(
    tiers: list[list[Backend]], threshold: float
) -> None:
    found = parts(tiers, 1.4, threshold)
    for part in found:
        assert all(it.state is State.UP and not it.draining for it in part.usable)
        assert not any(it.refusing or it.health.state is Health.UNKNOWN for it in part.desperate)
    total = sum(part.share for part in found)
    assert total == pytest.approx(float(any(part.usable for part in found)))
    assert all(part.usable for part in found if part.share)


@pytest.mark.parametrize(
    ("up", "down", "threshold", "panic"),
    [
        (1, 2, 0.3, False),  # a third is more
        (3, 7, 0.3, False),  # exactly the threshold is enough
        (1, 3, 0.3, True),
        (0, 1, 0.3, True),
        (0, 3, 0.0, False),  # zero is off
        (2, 1, 1.0, True),  # 0.93 of what there is to do, and not everybody
        (3, 1, 1.0, False),  # 1.05: it can be done
    ],
)
def test_panic_by_numbers(up: int, down: int, threshold: float, panic: bool) -> None:
    tier = [Backend(Settings(f"h:{n}"), n, HealthPolicy()) for n in range(up + down)]
    for backend in tier:
        backend.health.state = Health.UP if backend.order < up else Health.DOWN
    (part,) = parts([tier], 1.4, threshold)
    assert part.panic is panic
    assert len(part.usable) == (up + down if panic else up)
    assert part.share == bool(part.usable)


def test_where_all_tiers_panic_each_has_as_much_as_it_has_backends() -> None:
    tiers = [
        [Backend(Settings(f"h:{n}"), n, HealthPolicy()) for n in range(size)] for size in (4, 8)
    ]
    for tier in tiers:
        for backend in tier:
            backend.health.state = Health.DOWN
    assert [part.share for part in parts(tiers, 1.4, 0.3)] == pytest.approx([1 / 3, 2 / 3])


# --- balanced


def panicking(n: int, threshold: float = 0.3, **more: Any) -> Balancer:
    lb = checked(n, panic=PanicPolicy(threshold), **more)
    answered(lb, {}, 0.0)
    return lb


def fails(lb: Balancer, names: str, at: float, result: ProbeResult = BAD) -> None:
    """Three failed checks of each in a row."""
    for backend in lb.pool.backends:
        if backend.name in names:
            for _ in range(3):
                lb.observed(backend, at, result)


def served(lb: Balancer, calls: int = 12) -> str:
    leases = [admitted(lb, 9.0) for _ in range(calls)]
    for lease in leases:
        lease.done(9.0)
    return "".join(sorted({lease.backend.name for lease in leases}))


def news(lb: Balancer) -> list[bool]:
    return [action.on for action in drained(lb) if isinstance(action, Panicked)]


def test_below_the_threshold_the_down_are_used_too_until_enough_are_back() -> None:
    lb = panicking(4)
    fails(lb, "ab", 1.0)
    assert (served(lb), news(lb), lb.snapshot(1.0).panic) == ("cd", [], False)
    fails(lb, "c", 1.0)
    assert (served(lb), news(lb), lb.snapshot(1.0).panic) == ("abcd", [True], True)
    rows = lb.snapshot(1.0).backends
    assert [(row.usable, row.panic, row.healthy) for row in rows] == [
        (True, True, False),
        (True, True, False),
        (True, True, False),
        (True, False, True),
    ]
    for _ in range(2):
        lb.observed(lb.pool.backends[0], 2.0, GOOD)
    assert (served(lb), news(lb), lb.snapshot(2.0).panic) == ("ad", [False], False)


def test_panic_uses_no_one_who_refuses_and_forgets_that_when_it_answers() -> None:
    lb = panicking(4)
    fails(lb, "a", 1.0, REFUSED)
    fails(lb, "bc", 1.0)
    assert served(lb) == "bcd"
    lb.observed(lb.pool.backends[0], 2.0, BAD)
    assert served(lb) == "abcd"
    lb.observed(lb.pool.backends[0], 3.0, REFUSED)
    assert served(lb) == "bcd"


def test_an_attempt_that_is_refused_ends_what_panic_hoped_for() -> None:
    lb = panicking(4)
    fails(lb, "abc", 1.0)
    while (lease := admitted(lb, 2.0)).backend.name != "a":
        lease.done(2.0)
    lease.done(2.0, Outcome.CONNECT)
    assert served(lb) == "bcd"


def test_when_all_are_down_all_are_used_and_asked_fast_and_none_counts_as_usable() -> None:
    lb = panicking(2)
    fails(lb, "ab", 1.0)
    assert served(lb) == "ab"
    assert not lb.pool.empty
    assert lb.pool.all_down
    assert lb.wakes_at == pytest.approx(2.0)


def test_when_all_refuse_calls_are_told_so_at_once() -> None:
    lb = panicking(2)
    fails(lb, "ab", 1.0, REFUSED)
    drained(lb)
    call = Request()
    assert lb.admit(call, 2.0) is None
    assert drained(lb) == [Refuse(call, Why.NO_BACKEND)]
    assert not lb.snapshot(2.0).panic


@pytest.mark.parametrize("state", [State.DRAIN, State.MAINT, State.DOWN])
def test_panic_uses_nobody_whom_the_operator_has_taken_out(state: State) -> None:
    lb = panicking(4)
    lb.set_state(lb.pool.backends[3], state, 0.5)
    fails(lb, "abc", 1.0)
    assert served(lb) == "abc"


def test_a_threshold_of_zero_is_off_and_another_setup_brings_another() -> None:
    lb = panicking(4, 0.0)
    fails(lb, "abc", 1.0)
    assert served(lb) == "d"
    lb.apply(replace(lb.setup, panic=PanicPolicy(0.3)), 2.0)
    assert (served(lb), news(lb)) == ("abcd", [True])
    lb.apply(replace(lb.setup, panic=PanicPolicy(0.0)), 3.0)
    assert (served(lb), news(lb)) == ("d", [False])


def test_who_uses_a_few_of_many_turns_to_the_others_before_it_panics() -> None:
    lb = panicking(6, subset=SubsetPolicy(3, 0))
    own = {backend.name for backend in lb.pool.backends if backend.usable}
    others = "".join(sorted(set("abcdef") - own))
    fails(lb, "".join(own), 1.0)
    assert served(lb, 30) == others
    fails(lb, "abcdef", 2.0)
    assert served(lb, 30) == "abcdef"
