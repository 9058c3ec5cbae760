"""What workers have counted, put together: those who are there, those who were, and the checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from lb.balancing import BackendView, Snapshot
from lb.balancing.departures import Counts, forgotten, joined
from lb.measures import Report, merged
from lb.measures.report import COUNTS
from lb.measures.requests import served_by, tried_at

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
            departed={name: _ended(counts) for name, counts in snapshot.departed.items()},
        ),
    )


def left(former: Report | None, report: Report, seen: Snapshot) -> Report:
    """The same of all who are no more, with the last of them."""
    latest = left_by(report)
    return as_it_is(latest if former is None else merged([former, latest]), seen)


def _ended(counts: Counts) -> Counts:
    return replace(counts, connections=0, cancelled=counts.cancelled + counts.connections)


def together(
    seen: Snapshot, build: str, reports: Sequence[Report], former: Report | None
) -> Report:
    """Of all workers, with what the main process has `seen`; `former` is left by the dead."""
    there = {(view.name, view.address): view for view in seen.backends}
    every = [as_it_is(report, seen) for report in reports] or [Report(build, seen)]
    whole = merged(every)
    if former is not None:
        whole = merged([whole, _like(as_it_is(former, seen), whole)])
    order = {view.name: place for place, view in enumerate(seen.backends)}
    told = [_checked(view, there) for view in whole.snapshot.backends]
    names = {view.name for view in told}
    told += [view for view in seen.backends if view.name not in names]
    told.sort(key=lambda view: order[view.name])
    departed = _departed(whole.snapshot.departed, seen.departed)
    return replace(whole, snapshot=replace(whole.snapshot, backends=tuple(told), departed=departed))


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
    told = {view.name for view in live.snapshot.backends}
    return _moved(former, tuple(views), [it for it in counted.values() if it.name not in told])


def as_it_is(report: Report, seen: Snapshot) -> Report:
    """The same, where backends that are not there any more count as departed, and nobody is named
    whom the main process, which has `seen`, does not know any more.
    """
    there = {(view.name, view.address) for view in seen.backends}
    views = report.snapshot.backends
    stay = [view for view in views if (view.name, view.address) in there]
    report = _moved(report, stay, [it for it in views if (it.name, it.address) not in there])
    departed = report.snapshot.departed
    known = {view.name for view in seen.backends} | seen.departed.keys()
    return replace(
        report,
        server=served_by(report.server, known),
        client=tried_at(report.client, known),
        snapshot=replace(report.snapshot, departed=forgotten(departed, departed.keys() - known)),
    )


def _moved(report: Report, stay: Iterable[BackendView], go: Iterable[BackendView]) -> Report:
    """The same with some backends among the departed."""
    snapshot = report.snapshot
    departed = joined([snapshot.departed, *({view.name: view.counts} for view in go)])
    return replace(report, snapshot=replace(snapshot, backends=tuple(stay), departed=departed))


def _departed(counted: Mapping[str, Counts], seen: Mapping[str, Counts]) -> dict[str, Counts]:
    """What workers have counted, and the checks of the main process."""
    none = Counts()
    return {
        name: replace(
            counted.get(name, none),
            checks=seen.get(name, none).checks,
            checks_failed=seen.get(name, none).checks_failed,
            checks_lost=seen.get(name, none).checks_lost,
            went_down=seen.get(name, none).went_down,
        )
        for name in {**seen, **counted}
    }


def _checked(view: BackendView, there: Mapping[tuple[str, str], BackendView]) -> BackendView:
    known = there[view.name, view.address]
    return replace(view, **{name: getattr(known, name) for name in CHECKED})
