"""Why a live run says nothing of its prediction: nobody was there, or the machine was busy."""

from __future__ import annotations

from collections.abc import Mapping

from sim.analysis.record import Record
from sim.analysis.statistics import latency_metrics
from sim.live.lateness import Lateness
from sim.live.line import Line

LATE, TOO_LATE = 0.02, 0.1
"""Seconds by which a generator may be late (p99) when it misses what is predicted of trouble, and
in any case: times are judged to a second there."""

UNANSWERED = "not one request was answered: is the balancer running, are its backends up?"
UNNAMED = (
    "no answer names one of the backends in X-Backend-Server: is this the balancer of that file, "
    "with [server] backend_header on?"
)


def slow(trouble: Mapping[str, Line], lateness: Lateness) -> str:
    """Why this machine was too busy to judge trouble by; nothing when it was not.

    As with `busy`, it takes less to doubt a miss: what is late loses clients that have patience.
    """
    late = lateness.figures["p99"]
    missed = any(not line.ok for line in trouble.values())
    if not late > (LATE if missed else TOO_LATE):
        return ""
    return f"this machine was busy: the load generator was late by {late * 1e3:.3g} ms (p99)"


def busy(
    latency: Mapping[str, Line], others_missed: bool, mean: Line, live: Record, lateness: Lateness
) -> str:
    """Why this machine was too busy to judge by; nothing when it was not.

    A generator later than the verdict is exact cannot support one. One that is less late cannot
    support a miss that the same lateness of proxy and backends would explain.
    """
    lines = {"mean": mean, **latency}
    late = {name: f"{seconds * 1e3:z.3g} ms" for name, seconds in lateness.figures.items()}
    if worst := lateness.beyond({name: line.room for name, line in lines.items() if line.judged}):
        told = ", ".join(
            f"{late[name]} ({name}) where {lines[name].room * 1e3:.3g} ms would matter"
            for name in worst
        )
        return f"this machine was busy: the load generator was late by {told}"
    added = lateness.within(live.arrived, live.ended)
    without = latency_metrics(live.latency - added)
    may_add = latency_metrics(added)
    missed = {name: line for name, line in latency.items() if not line.ok}
    explained = all(
        line.measured > line.most and without[name] <= line.most for name, line in missed.items()
    )
    if not (missed or others_missed) or not explained:
        return ""
    if others_missed and not any(may_add[name] > line.room for name, line in lines.items()):
        return ""
    what = ", ".join(missed) or "what is off"
    return (
        f"this machine was busy: the load generator was late by {late['p50']} at p50 and "
        f"{late['p99']} at p99; balancer and backends as late would explain {what}"
    )
