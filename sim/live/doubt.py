"""Why a live run says nothing of its prediction: nobody was there, or the machine was busy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim.analysis.statistics import latency_metrics
from sim.live.held import Held
from sim.live.lateness import Lateness
from sim.live.line import Line, needed
from sim.live.machine import saturated
from sim.live.seen import Seen

LATE, TOO_LATE = 0.02, 0.1
"""Seconds by which a generator may be late (p99) when it misses what is predicted of trouble, and
in any case: times are judged to a second there."""
DWARFED = 20.0
"""Times the mean lateness by which latencies are off, on average, that no lateness explains: what
comes late comes in a crowd, whose waiting is ten times that at nine tenths of the capacity."""
FEWEST = 20
"""Requests below which not even a p95 is judged: the rest of a run says next to nothing."""

UNANSWERED = "not one request was answered: is the balancer running, are its backends up?"
UNNAMED = (
    "no answer names one of the backends in X-Backend-Server: is this the balancer of that file, "
    "with [server] backend_header on?"
)


def too_few(held: Held, seen: Seen) -> str:
    """Why there are too few answers for what is asked of them; nothing when there are enough.

    A run in which something else is off says that whatever their number.
    """
    count = len(seen.live.arrived)
    asked = [
        name
        for name in seen.scenario.expect.model_dump(exclude_none=True)
        if name != "mean" and count < needed(name)
    ]
    if asked:
        told = " and ".join(f"{name} takes {needed(name)}" for name in asked)
        return f"{count} answers are too few for what [expect] asks: {told}"
    if len(seen.due) < FEWEST and not any(held.misses):
        return f"{len(seen.due)} requests are too few to judge by: {FEWEST} at least"
    return ""


def doubt(held: Held, seen: Seen, again: Callable[[Seen], Held]) -> str:
    """Why this machine was too busy to judge by; nothing when it was not.

    `again` holds another run against the same prediction.
    """
    # How much work a request was is no matter of time: what backends say of it holds anywhere.
    if any(not lines["service"].ok for lines in held.backends.values() if "service" in lines):
        return ""
    if why := slow(held, seen.lateness) or busy(held, seen, again):
        return why
    return saturated(seen.measured.busy, seen.measured.stolen)


def slow(held: Held, lateness: Lateness) -> str:
    """Why this machine was too busy to judge trouble by; nothing when it was not.

    As with `busy`, it takes less to doubt a miss: what is late loses clients that have patience.
    """
    late = lateness.figures["p99"]
    if not held.trouble or not late > (LATE if any(held.misses) else TOO_LATE):
        return ""
    return f"this machine was busy: the load generator was late by {late * 1e3:.3g} ms (p99)"


def busy(held: Held, seen: Seen, again: Callable[[Seen], Held]) -> str:
    """Why this machine was too busy to judge by; nothing when it was not.

    A generator later than the verdict is exact cannot support one. One that is less late cannot
    support a miss that the same lateness of proxy and backends would explain.
    """
    lateness = seen.lateness
    lines = {"mean": held.mean, **held.latency}
    late = {name: f"{seconds * 1e3:z.3g} ms" for name, seconds in lateness.figures.items()}
    judged = {name: line.room for name, line in lines.items() if line.judged}
    served = np.nan_to_num(seen.column("late"))
    if held.mean.judged and _dwarfs(held.mean, lateness.figures["mean"] + served.mean()):
        return ""
    if not held.trouble and (worst := lateness.beyond(judged)):
        told = ", ".join(
            f"{late[name]} ({name}) where {lines[name].room * 1e3:.3g} ms would matter"
            for name in worst
        )
        return f"this machine was busy: the load generator was late by {told}"
    if any(held.misses) and (worst := Lateness(seen.live.arrived, served).beyond(judged)):
        told = ", ".join(f"{latency_metrics(served)[name] * 1e3:.3g} ms ({name})" for name in worst)
        return f"this machine was busy: its backends were late to answer by {told}"
    what = explained(held, seen, again)
    if not what:
        return ""
    return (
        f"this machine was busy: the load generator was late by {late['p50']} at p50 and "
        f"{late['p99']} at p99; balancer and backends as late would explain {what}"
    )


def _dwarfs(mean: Line, late: float) -> bool:
    """Whether latencies are off, and more than doubled, by more than lateness can do; seconds."""
    return mean.measured - mean.most > max(DWARFED * late, mean.predicted.value)


def explained(held: Held, seen: Seen, again: Callable[[Seen], Held]) -> str:
    """What is off, if balancer and backends that were as late as the generator would explain it."""
    slower = [name for name, line in held.slow.items() if not line.ok]
    farther = [name for name, far in held.far.items() if not far.ok]
    others = held.others_missed
    if not (slower or farther or others):
        return ""
    added = seen.lateness.within(seen.live.arrived, seen.live.ended)
    without = again(seen.sooner(added))
    if not all(_too_slow(held.slow[name], without.slow.get(name)) for name in slower):
        return ""
    for name in farther:
        far, less = held.far[name], without.far.get(name)
        if less is None or not far.slower > far.most >= less.slower:
            return ""
    if not others:
        return ", ".join([*slower, *farther])
    if held.trouble:
        return ""
    may_add = Lateness(seen.live.arrived, added).figures
    lines = {"mean": held.mean, **held.latency}
    return "what is off" if any(may_add[name] > line.room for name, line in lines.items()) else ""


def _too_slow(line: Line, without: Line | None) -> bool:
    """Whether it is, and would not be without what the machine may have added."""
    return line.measured > line.most and without is not None and without.measured <= line.most
