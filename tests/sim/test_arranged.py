"""A scenario in steps, with other users, or for a shorter time."""

from __future__ import annotations

import re

import pytest

from lb.errors import UsageError
from sim import Scenario
from sim.live.arranged import arranged, offered_at, read_steps, stepped

HEAD = """\
[[backend]]
address = "b:0"
[backend.model]
service = "exponential:1ms"
[run]
duration = "60s"
[traffic]
"""
POISSON = Scenario.parse(HEAD + 'arrivals = { process = "poisson", rate = 10 }')
USERS = Scenario.parse(HEAD + 'users = { count = 4, think = "exponential:1s" }')
STEPS, ENDS = read_steps("50:10s,100:500ms")


def test_steps_are_times_and_how_many_from_there_on() -> None:
    assert STEPS == ((0.0, 50), (10.0, 100))
    assert ENDS == 10.5


@pytest.mark.parametrize("text", ["", "50", "50:", "0:10s", "x:10s", "50:10", "50:10s,", "5:0s"])
def test_what_is_no_step_is_said(text: str) -> None:
    wrong = text.rsplit(",", maxsplit=1)[-1]
    with pytest.raises(UsageError, match=re.escape(f"{wrong!r} is no step")):
        read_steps(text)


@pytest.mark.parametrize("file", [POISSON, USERS])
def test_both_kinds_of_load_follow_steps(file: Scenario) -> None:
    changed = arranged(file, STEPS, length=ENDS)
    assert [offered_at(changed, at) for at in (0.0, 9.9, 10.0, 99.0)] == [50, 50, 100, 100]
    assert stepped(changed)
    assert not stepped(file)
    assert changed.run.duration == 10.5
    assert changed.changing


def test_users_may_be_others_and_a_run_no_longer_than_its_file_says() -> None:
    changed = arranged(USERS, users=7, length=90.0)
    assert offered_at(changed, 0.0) == 7
    assert changed.run.duration == 60.0
    assert arranged(POISSON, users=7).traffic == POISSON.traffic


def test_a_course_is_followed() -> None:
    ramp = 'arrivals = { process = "profile", points = [["0s", 10], ["10s", 30]] }'
    sine = 'arrivals = { process = "sine", rate = 20, amplitude = 0.5, period = "4s" }'
    assert offered_at(Scenario.parse(HEAD + ramp), 5.0) == 20.0
    assert offered_at(Scenario.parse(HEAD + sine), 1.0) == pytest.approx(30.0)


def test_what_cannot_come_in_steps_is_said() -> None:
    paced = Scenario.parse(HEAD + 'arrivals = { process = "deterministic", rate = 10 }')
    with pytest.raises(UsageError, match="the arrivals of this file are deterministic; only"):
        arranged(paced, STEPS)
    for file in (USERS, arranged(USERS, STEPS)):
        with pytest.raises(UsageError, match="the steps say how many there are"):
            arranged(file, STEPS if file is USERS else None, users=3)
