"""Health as a table: answers in, states out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing.health import Health, HealthMachine, HealthPolicy

STORIES = {
    # answers (+ or -), then the state and whether a change is being decided after each
    "the first answer decides, up": ("+", "u"),
    "the first answer decides, down": ("-", "D"),
    "three failures in a row take it out": ("+---", "uUUd"),
    "two failures are not enough": ("+--+", "uUUu"),
    "a success between starts the count anew": ("+--+--+---", "uUUuUUuUUd"),
    "out, two successes bring it back": ("+---++", "uUUdDu"),
    "out, one success is not enough": ("+---+-+-", "uUUdDDDD"),
    "a failure between starts the count anew": ("+---+-++", "uUUdDDDu"),
    "found down, it may just be starting": ("---", "DDd"),
    "found down, the first success brings it up": ("-+", "Du"),
    "found down and never up, however long": ("-----+", "DDdddu"),
    "found down, up, and down again like any other": ("-+---+-++", "DuUUdDDDu"),
    "down for good, it is asked slowly": ("+------", "uUUdddd"),
    "after one success it must be confirmed down again": ("+---+---", "uUUdDDDd"),
    "up, down, up, down": ("+---++---", "uUUdDuUUd"),
}


@pytest.mark.parametrize(("answers", "expected"), STORIES.values(), ids=STORIES)
def test_states_follow_answers(answers: str, expected: str) -> None:
    """u and d are settled up and down; U and D the same with a change being decided."""
    machine = HealthMachine(HealthPolicy(rise=2, fall=3, interval=30, fast_interval=1))
    for answer, then in zip(answers, expected, strict=True):
        before = machine.state
        changed = machine.observe(answer == "+", 0.0)
        assert machine.state is (Health.UP if then in "uU" else Health.DOWN)
        assert changed == (machine.state is not before)
        assert machine.deciding == then.isupper()
        assert machine.pause == (1 if then.isupper() else 30)


def test_nothing_is_known_at_first() -> None:
    assert HealthMachine(HealthPolicy()).state is Health.UNKNOWN


@pytest.mark.parametrize(("rise", "fall"), [(1, 1), (1, 4), (3, 1), (2, 3), (5, 5)])
def test_a_change_takes_exactly_rise_or_fall_answers(rise: int, fall: int) -> None:
    machine = HealthMachine(HealthPolicy(rise=rise, fall=fall))
    machine.observe(True, 0.0)
    assert [machine.observe(False, 0.0) for _ in range(fall)] == [False] * (fall - 1) + [True]
    assert [machine.observe(True, 0.0) for _ in range(rise)] == [False] * (rise - 1) + [True]


def test_what_is_counted_and_when_it_changed() -> None:
    machine = HealthMachine(HealthPolicy(rise=2, fall=2))
    told = []
    for now, (ok, checked) in enumerate(
        [(True, True), (False, False), (False, True), (False, True), (True, True), (True, True)]
    ):
        machine.observe(ok, float(now), f"answer {now}", checked=checked)
        told.append((machine.checks, machine.failed, machine.went_down, machine.changed_at))
    assert told == [
        (1, 0, 0, 0.0),
        (1, 0, 0, 0.0),  # an attempt is no check
        (2, 1, 1, 2.0),
        (3, 2, 1, 2.0),
        (4, 2, 1, 2.0),
        (5, 2, 1, 5.0),
    ]
    assert machine.change == "answer 5"


def test_before_the_first_answer_nothing_has_changed() -> None:
    machine = HealthMachine(HealthPolicy())
    assert (machine.changed_at, machine.change, machine.went_down) == (None, "", 0)


# --- laws

POLICIES = st.builds(
    HealthPolicy,
    rise=st.integers(1, 5),
    fall=st.integers(1, 5),
    first_rise=st.integers(1, 3),
    interval=st.just(30.0),
    fast_interval=st.just(1.0),
)
ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60)


@given(POLICIES, ANSWERS)
def test_a_state_changes_only_by_as_many_answers_in_a_row_as_the_policy_says(
    policy: HealthPolicy, answers: list[tuple[bool, bool]]
) -> None:
    """Whatever is said between: the last ones all agree, and there are enough of them."""
    machine = HealthMachine(policy)
    said: list[bool] = []
    been_up = False
    since = 0  # answers since the last change
    for number, (ok, checked) in enumerate(answers):
        before = machine.state
        changed = machine.observe(ok, float(number), checked=checked)
        said.append(ok)
        since += 1
        if before is Health.UNKNOWN:
            needed = 1
        elif before is Health.UP:
            needed = policy.fall
        else:
            needed = policy.rise if been_up else policy.first_rise
        against = before is not (Health.UP if ok else Health.DOWN)
        in_a_row = since >= needed and all(it is ok for it in said[-needed:])
        assert changed == (against and in_a_row)
        assert machine.state is ((Health.UP if ok else Health.DOWN) if changed else before)
        if changed:
            since, been_up = 0, been_up or ok
            assert machine.changed_at == number


@given(POLICIES, ANSWERS)
def test_the_books_of_checks_balance(
    policy: HealthPolicy, answers: list[tuple[bool, bool]]
) -> None:
    machine = HealthMachine(policy)
    downs = 0
    for number, (ok, checked) in enumerate(answers):
        downs += machine.observe(ok, float(number), checked=checked) and not ok
    assert machine.checks == sum(checked for _, checked in answers)
    assert machine.failed == sum(checked and not ok for ok, checked in answers)
    assert machine.went_down == downs


@given(POLICIES, ANSWERS, st.booleans())
def test_answers_that_agree_for_long_settle_it(
    policy: HealthPolicy, answers: list[tuple[bool, bool]], last: bool
) -> None:
    machine = HealthMachine(policy)
    for ok, checked in answers:
        machine.observe(ok, 0.0, checked=checked)
    for _ in range(policy.rise + 2 * policy.fall + policy.first_rise):
        machine.observe(last, 1.0)
    assert machine.state is (Health.UP if last else Health.DOWN)
    assert not machine.deciding
    assert machine.pause == policy.interval


@given(POLICIES, ANSWERS)
def test_a_contradiction_is_always_followed_fast(
    policy: HealthPolicy, answers: list[tuple[bool, bool]]
) -> None:
    machine = HealthMachine(policy)
    for ok, checked in answers:
        machine.observe(ok, 0.0, checked=checked)
        if machine.state is not (Health.UP if ok else Health.DOWN):
            assert machine.deciding
            assert machine.pause == policy.fast_interval
