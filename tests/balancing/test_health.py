"""Health as a table: answers in, states out."""

from __future__ import annotations

import pytest

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
        changed = machine.observe(answer == "+")
        assert machine.state is (Health.UP if then in "uU" else Health.DOWN)
        assert changed == (machine.state is not before)
        assert machine.deciding == then.isupper()
        assert machine.pause == (1 if then.isupper() else 30)


def test_nothing_is_known_at_first() -> None:
    assert HealthMachine(HealthPolicy()).state is Health.UNKNOWN


@pytest.mark.parametrize(("rise", "fall"), [(1, 1), (1, 4), (3, 1), (2, 3), (5, 5)])
def test_a_change_takes_exactly_rise_or_fall_answers(rise: int, fall: int) -> None:
    machine = HealthMachine(HealthPolicy(rise=rise, fall=fall))
    machine.observe(True)
    assert [machine.observe(False) for _ in range(fall)] == [False] * (fall - 1) + [True]
    assert [machine.observe(True) for _ in range(rise)] == [False] * (rise - 1) + [True]
