"""What must add up in every run, to the last digit: conservation, Little's law, utilisation law.

These hold for each sample path, whatever is random in it (Little, "A proof for the queuing formula
L = lambda W", 1961; Stidham & El-Taha, "Sample-path analysis of queueing systems", 1999). A record
for which they do not is wrong, and nothing is to be said of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from lb.config import Model, Scenario
from sim.analysis.record import Record, mean_inside, occupancy, time_average
from sim.model.arrivals import Schedule
from sim.model.laws import Floats, shape

ROUNDING = 1e-11
"""Of the length of a run, that each time in a sum may be off."""
WINDOW = 2_000
"""Attempts within which Little's law is looked at: all of them would have to be sorted by time."""


class Unbalanced(AssertionError):
    """The simulator has made a mistake: what does not add up."""


def audit(
    scenario: Scenario, schedule: Schedule | None, record: Record, *, whole: bool = True
) -> None:
    """Raise Unbalanced unless `record` adds up. `whole`: look at the utilisation law, too.

    It takes a sort: the first replication answers for the others, which are made alike.
    """
    slack = ROUNDING * max(float(record.ended.max(initial=0.0)), 1.0)
    problems = [*_conservation(record), *_in_order(record, slack), *_littles_law(record, slack)]
    if whole and schedule is not None and not problems and _plain(scenario, record, schedule):
        problems += _utilisation_law(scenario, schedule, record, slack)
    if problems:
        raise Unbalanced(f"the simulation does not add up: {'; '.join(problems)}")


def _conservation(record: Record) -> Iterator[str]:
    """Every request ends once: with a good answer, or for a reason."""
    ends = record.completed + record.failed
    if record.requests != ends:
        yield f"{record.requests} requests came and {ends} ended"
    reasons = sum(record.refused.values())
    if record.failed != reasons:
        yield f"{record.failed} requests failed, for {reasons} reasons"


def _in_order(record: Record, slack: float) -> Iterator[str]:
    """Each request is sent, is at its backend, leaves it and is answered, in this order."""
    columns = ("arrived", "started", "reached", "left", "ended")
    for before, after in pairwise(columns):
        first, second = getattr(record, before), getattr(record, after)
        if first is second:  # nothing takes time there
            continue
        wrong = int(np.count_nonzero(first > second + slack))
        if wrong:
            yield f"{wrong} requests {after} before they {before}"
    lost = record.lost
    wrong = int(np.count_nonzero((lost.started > lost.ended) | (lost.reached > lost.left)))
    if wrong:
        yield f"{wrong} attempts without an answer ended before they began"


def _littles_law(record: Record, slack: float) -> Iterator[str]:
    """In the middle of the run: the number in flight over time is what attempts spend there."""
    started, ended = record.in_flight()
    if not len(started):
        return
    first = len(record.started) // 2
    since = float(record.started[first]) if len(record.started) else 0.0
    last = min(first + WINDOW, len(record.started) - 1)
    until = float(record.started[last]) if len(record.started) else 0.0
    if until <= since:
        return
    here = (started < until) & (ended > since)
    path = occupancy(np.clip(started[here], since, until), np.clip(ended[here], since, until))
    numbers = time_average(*path, since, until)
    stays = mean_inside(started[here], ended[here], since, until)
    if abs(numbers - stays) * (until - since) > slack * max(int(np.count_nonzero(here)), 1):
        yield f"{numbers:.9g} were in flight, and attempts stayed as long as {stays:.9g} would"
    came = int(np.count_nonzero((started >= since) & (started < until)))
    went = int(np.count_nonzero((ended >= since) & (ended < until)))
    before, after = (
        int(np.count_nonzero(started < at) - np.count_nonzero(ended < at)) for at in (since, until)
    )
    if before + came - went != after:
        yield f"{before} were in flight, {came} came, {went} went, and {after} were left"


def _plain(scenario: Scenario, record: Record, schedule: Schedule) -> bool:
    """Whether backends do nothing but the work of requests that all succeed at once."""
    return (
        not scenario.faults
        and not scenario.shared
        and len(schedule) == record.completed
        and not len(record.lost.backend)
        and all(_works_steadily(model) for _, model in scenario.modelled())
    )


def _works_steadily(model: Model) -> bool:
    return model.usl is None and model.speed is None and model.accept == "shared"


def _utilisation_law(
    scenario: Scenario, schedule: Schedule, record: Record, slack: float
) -> Iterator[str]:
    """Workers are busy exactly as long as the work that was sent to them takes."""
    for order, (backend, model) in enumerate(scenario.modelled()):
        rows = record.answered_by(order)
        if not len(rows):
            continue
        sizes = schedule.sizes[schedule.shapes.index(shape(model.service)), rows]
        work = sizes * model.service.mean
        entered, left = record.reached[rows], record.left[rows]
        if model.discipline == "fifo" and model.workers == 1:
            busy = _busy_alone(entered, left)
        else:
            times, inside = occupancy(entered, left)
            until = float(times[-1])
            busy = time_average(times, np.minimum(inside, model.workers), 0.0, until) * until
        if abs(busy - float(work.sum())) > slack * len(rows):
            yield f"{backend.label} was busy for {busy:.9g} s with {work.sum():.9g} s of work"


def _busy_alone(entered: Floats, left: Floats) -> float:
    """Of one worker who takes requests in turn: each begins when it came and the last has left."""
    turn = np.argsort(left, kind="stable")
    left, began = left[turn], entered[turn]
    began[1:] = np.maximum(began[1:], left[:-1])
    return float((left - began).sum())
