"""What workers have counted, put together: those who are there, those who were, and the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lb.balancing import BackendView, Snapshot
from lb.measures import Report, merged
from lb.measures.report import COUNTS

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
    views = (
        replace(view, connections=0, cancelled=view.cancelled + view.connections)
        for view in snapshot.backends
    )
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
            backends=tuple(views),
        ),
    )


def together(
    seen: Snapshot, build: str, reports: Sequence[Report], former: Report | None
) -> Report:
    """Of all workers, with what the main process has `seen`; `former` is left by the dead."""
    there = {(view.name, view.address): view for view in seen.backends}
    every = [_of(report, there) for report in reports] or [Report(build, seen)]
    whole = merged(every)
    if former is not None:
        whole = merged([whole, _like(_of(former, there), whole)])
    order = {view.name: place for place, view in enumerate(seen.backends)}
    told = [_checked(view, there) for view in whole.snapshot.backends]
    names = {view.name for view in told}
    told += [view for view in seen.backends if view.name not in names]
    told.sort(key=lambda view: order[view.name])
    return replace(whole, snapshot=replace(whole.snapshot, backends=tuple(told)))


def _like(former: Report, live: Report) -> Report:
    """What the dead have counted, of backends that are as they are now."""
    counted = {view.name: view for view in former.snapshot.backends}
    views = (
        replace(
            view,
            **{name: getattr(counted[view.name], name) for name in COUNTS},
            max_in_flight=None if view.max_in_flight is None else 0,
            response_time=None,
        )
        for view in live.snapshot.backends
        if view.name in counted
    )
    return replace(former, snapshot=replace(former.snapshot, backends=tuple(views)))


def _of(report: Report, there: Mapping[tuple[str, str], BackendView]) -> Report:
    """The same without the backends that are not there any more."""
    snapshot = report.snapshot
    views = tuple(view for view in snapshot.backends if (view.name, view.address) in there)
    return replace(report, snapshot=replace(snapshot, backends=views))


def _checked(view: BackendView, there: Mapping[tuple[str, str], BackendView]) -> BackendView:
    known = there[view.name, view.address]
    return replace(view, **{name: getattr(known, name) for name in CHECKED})
