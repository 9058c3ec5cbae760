"""A scenario as a load test is asked to send it: in steps, with other users, or a shorter one."""

from __future__ import annotations

import math

from lb.config import Profile, Scenario, Sine, Traffic
from lb.errors import UsageError
from lb.units import duration, seconds

Steps = tuple[tuple[float, int], ...]
"""Times, and from each on how many requests per second, or users."""


def arranged(
    scenario: Scenario,
    steps: Steps | None = None,
    users: int | None = None,
    length: float | None = None,
) -> Scenario:
    """The scenario with other steps, another number of users, or `length` seconds at most.

    Only arrivals that come by chance one by one can follow steps: a Poisson process or a profile.
    Raises UsageError.
    """
    traffic, run = scenario.offered(), scenario.run
    if users is not None and traffic.users is not None:
        if traffic.users.steps is not None or steps is not None:
            raise UsageError("--users: the steps say how many there are; leave one of them out")
        people = traffic.users.model_copy(update={"count": users})
        traffic = traffic.model_copy(update={"users": people})
    if steps is not None:
        traffic = _stepped(traffic, steps)
    if length is not None and (run.duration is None or length < run.duration):
        run = run.model_copy(update={"duration": length})
    changed = scenario.model_copy(update={"traffic": traffic, "run": run})
    return changed.standing_at(scenario)


def _stepped(traffic: Traffic, steps: Steps) -> Traffic:
    if (users := traffic.users) is not None:
        most = max(count for _, count in steps)
        people = users.model_copy(update={"count": most, "steps": steps})
        return traffic.model_copy(update={"users": people})
    process = traffic.arrivals
    assert process is not None
    if process.process not in ("poisson", "profile"):
        why = "only poisson arrivals, a profile, or users can come in steps"
        raise UsageError(f"--steps: the arrivals of this file are {process.process}; {why}")
    points = [[duration(at), float(rate)] for at, rate in steps]
    profile = Profile.model_validate({"process": "profile", "points": points, "shape": "step"})
    return traffic.model_copy(update={"arrivals": profile})


def read_steps(text: str) -> tuple[Steps, float]:
    """`50:10s,100:20s`: times and how many from each on, and when the last of them ends.

    Raises UsageError.
    """
    steps: list[tuple[float, int]] = []
    at = 0.0
    for step in text.split(","):
        count, _, lasts = step.partition(":")
        try:
            number, length = int(count), seconds(lasts)
        except ValueError:
            number, length = 0, 0.0
        if number < 1 or length <= 0:
            raise UsageError(
                f"--steps {text!r}: {step!r} is no step: how many, a colon, how long, "
                "as in 50:10s,100:20s"
            )
        steps.append((at, number))
        at += length
    return tuple(steps), at


def offered_at(scenario: Scenario, at: float) -> float:
    """Requests per second, or users, that a scenario offers at a time; its mean where chance says.

    A trace and bursts go by their mean.
    """
    traffic = scenario.offered()
    if traffic.users is not None:
        return traffic.users.present(at)
    process = traffic.arrivals
    if isinstance(process, Profile):
        piece = next((p for p in process.pieces if p.since <= at < p.until), None)
        return 0.0 if piece is None else piece.first + piece.slope * (at - piece.since)
    if isinstance(process, Sine):
        turn = 2 * math.pi * at / process.period
        return process.rate * (1 + process.amplitude * math.sin(turn))
    return scenario.rate


def stepped(scenario: Scenario) -> bool:
    """Whether what is offered changes with time as the file says."""
    traffic = scenario.offered()
    if traffic.users is not None:
        return traffic.users.steps is not None
    return isinstance(traffic.arrivals, Profile | Sine)
