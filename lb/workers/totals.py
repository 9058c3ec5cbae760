"""What workers have counted, put together: those who are there, those who were, and the checks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lb.balancing import BackendView, Snapshot
from lb.measures import Report, merged

CHECKED = (
    "weight",
    "priority",
    "zone",
    "last_check",
    "why",
    "checks",
    "checks_failed",
    "checks_lost",
    "went_down",
    "last_change",
    "change",
)
"""What only the main process knows of a backend: it has the checks, and the whole numbers."""


def left_by(report: Report) -> Report:
    """What stays of the report of a process that is no more: counts.

    What was under way in it counts as ended from here.
    """
    snapshot = report.snapshot
    return replace(
        report,
        workers=(),
        connections={},
        certificates={},
        snapshot=replace(
            snapshot,
            retry_budget=0.0,
            backing_off=0,
            waiting=0,
            left_line=snapshot.left_line + snapshot.waiting,
            panic=False,
            shedding=0.0,
            backends=tuple(map(_left_by, snapshot.backends)),
        ),
    )


def _left_by(view: BackendView) -> BackendView:
    """One that is no worse than what others say."""
    return replace(
        view,
        usable=True,
        panic=False,
        connections=0,
        cancelled=view.cancelled + view.connections,
        max_in_flight=0,
        response_time=None,
        ejected=False,
        ejected_for=None,
    )


def together(
    seen: Snapshot, build: str, reports: Sequence[Report], former: Sequence[Report]
) -> Report:
    """Of all workers, with what the main process has `seen`; `former` are those of the dead."""
    there = {(view.name, view.address): view for view in seen.backends}
    every = [_of(report, there.keys()) for report in (*reports, *former)]
    if not reports:
        every.insert(0, Report(build, seen))
    whole = merged(every)
    order = {view.name: place for place, view in enumerate(seen.backends)}
    backends = sorted(whole.snapshot.backends, key=lambda view: order[view.name])
    told = tuple(_checked(view, there) for view in backends)
    names = {view.name for view in told}
    told += tuple(view for view in seen.backends if view.name not in names)
    return replace(whole, snapshot=replace(whole.snapshot, backends=told))


def _of(report: Report, there: Collection[tuple[str, str]]) -> Report:
    """The same without the backends that are not there any more."""
    snapshot = report.snapshot
    views = tuple(view for view in snapshot.backends if (view.name, view.address) in there)
    return replace(report, snapshot=replace(snapshot, backends=views))


def _checked(view: BackendView, there: Mapping[tuple[str, str], BackendView]) -> BackendView:
    known = there[view.name, view.address]
    return replace(view, **{name: getattr(known, name) for name in CHECKED})
