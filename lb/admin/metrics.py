"""What each metric is, and where in a report it comes from.

OpenTelemetry's names where it has some, in their Prometheus spelling. Nothing is kept for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

from lb import __version__
from lb.admin.exposition import Family, Sample
from lb.balancing import BackendView
from lb.balancing.departures import Counts, joined
from lb.measures import BOUNDS, Durations, Report


def _one(read: Callable[[Report], float]) -> Callable[[Report], Iterable[Sample]]:
    return lambda report: [("", (), read(report))]


def _by(
    label: str, read: Callable[[Report], Mapping[str, float]]
) -> Callable[..., Iterable[Sample]]:
    return lambda report: [("", ((label, key),), n) for key, n in sorted(read(report).items())]


def _each(read: Callable[[BackendView], float | None]) -> Callable[[Report], Iterable[Sample]]:
    def samples(report: Report) -> Iterator[Sample]:
        for backend in report.snapshot.backends:
            value = read(backend)
            if value is not None:
                yield "", (("backend", backend.name),), value

    return samples


def _counted(*rows: tuple[str, Callable[[Counts], int]]) -> Callable[[Report], Iterable[Sample]]:
    """By backend and by outcome, if it has a name.

    They go on where another backend of that name has left off.
    """

    def samples(report: Report) -> Iterator[Sample]:
        snapshot = report.snapshot
        present = {backend.name: backend.counts for backend in snapshot.backends}
        for name, counts in joined([present, snapshot.departed]).items():
            for outcome, read in rows:
                labels = (("backend", name), ("outcome", outcome))
                yield "", labels if outcome else labels[:1], read(counts)

    return samples


def _states(report: Report) -> Iterator[Sample]:
    for backend in report.snapshot.backends:
        yield "", (("backend", backend.name), ("state", backend.state)), 1


def _connections(report: Report) -> Iterator[Sample]:
    for backend in report.snapshot.backends:
        found = report.connections.get(backend.name)
        busy, idle = (0, 0) if found is None else (found.busy, found.idle)
        for state, count in (("active", busy), ("idle", idle)):
            yield "", (("backend", backend.name), ("http_connection_state", state)), count


def _durations(read: Callable[[Report], Durations]) -> Callable[[Report], Iterable[Sample]]:
    bounds = [*map(repr, BOUNDS), "+Inf"]

    def samples(report: Report) -> Iterator[Sample]:
        for series, durations in sorted(read(report).items()):
            labels = (
                ("backend", series.backend),
                ("http_response_status_code", str(series.status) if series.status else ""),
                ("outcome", series.outcome),
            )
            counts = durations.cumulative()
            for bound, count in zip(bounds, counts, strict=True):
                yield "_bucket", (*labels, ("le", bound)), count
            yield "_sum", labels, durations.sum
            yield "_count", labels, counts[-1]

    return samples


def _build(report: Report) -> Iterator[Sample]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield "", (("version", __version__), ("build", report.build), ("python", python)), 1


def _refused(report: Report) -> Mapping[str, int]:
    return {**report.snapshot.refused, **report.refused}


def _up(backend: BackendView) -> bool:
    return backend.healthy and not backend.ejected


FAMILIES = (
    Family(
        "http_server_request_duration_seconds",
        "histogram",
        "From a request's head to the last byte of its answer.",
        _durations(lambda report: report.server),
    ),
    Family(
        "http_client_request_duration_seconds",
        "histogram",
        "Of attempts at backends, from the pick to the last byte.",
        _durations(lambda report: report.client),
    ),
    Family(
        "http_client_open_connections",
        "gauge",
        "Connections to backends.",
        _connections,
    ),
    Family("lb_build_info", "gauge", "What runs.", _build),
    Family(
        "lb_start_time_seconds",
        "gauge",
        "When the oldest process that serves began, in seconds since 1970.",
        lambda report: (
            [("", (), min(it.started_at for it in report.workers))] if report.workers else []
        ),
    ),
    Family("lb_workers", "gauge", "Processes that serve.", _one(lambda it: len(it.workers))),
    Family(
        "lb_clients",
        "gauge",
        "Clients connected.",
        _one(lambda it: sum(worker.clients for worker in it.workers)),
    ),
    Family(
        "lb_open_descriptors",
        "gauge",
        "Open files and sockets of the processes that serve.",
        _one(lambda it: sum(worker.descriptors for worker in it.workers)),
    ),
    Family(
        "lb_event_loop_lag_seconds",
        "gauge",
        "How late the latest event loop was when it was looked at last.",
        _one(lambda it: it.lag),
    ),
    Family("lb_requests_total", "counter", "Requests.", _one(lambda it: it.snapshot.requests)),
    Family(
        "lb_refused_total",
        "counter",
        "Requests that the balancer told no by itself.",
        _by("reason", _refused),
    ),
    Family(
        "lb_connections_refused_total",
        "counter",
        "Connections of clients that came to nothing before any HTTP.",
        _by("reason", lambda it: it.connections_refused),
    ),
    Family(
        "lb_left_line_total",
        "counter",
        "Requests whose clients left while they waited for a backend.",
        _one(lambda it: it.snapshot.left_line),
    ),
    Family(
        "lb_retries_total",
        "counter",
        "Attempts that followed one which failed.",
        _one(lambda it: it.snapshot.retried),
    ),
    Family(
        "lb_retries_refused_total",
        "counter",
        "Attempts that failed and were not followed by another.",
        _by("reason", lambda it: it.snapshot.retry_refused),
    ),
    Family(
        "lb_retry_budget",
        "gauge",
        "Retries and hedges that may be made at present.",
        _one(lambda it: it.snapshot.retry_budget),
    ),
    Family(
        "lb_backing_off",
        "gauge",
        "Requests between two tries.",
        _one(lambda it: it.snapshot.backing_off),
    ),
    Family(
        "lb_hedges_total",
        "counter",
        "Attempts beside another one that took long.",
        _one(lambda it: it.snapshot.hedged),
    ),
    Family(
        "lb_hedges_won_total",
        "counter",
        "Hedges that answered first.",
        _one(lambda it: it.snapshot.hedges_won),
    ),
    Family(
        "lb_hedges_refused_total",
        "counter",
        "Attempts that took long and got none beside them.",
        _by("reason", lambda it: it.snapshot.hedge_refused),
    ),
    Family(
        "lb_waiting",
        "gauge",
        "Requests that wait for a backend.",
        _one(lambda it: it.snapshot.waiting),
    ),
    Family(
        "lb_panic",
        "gauge",
        "1 while so few backends are usable that others are used as well.",
        _one(lambda it: it.snapshot.panic),
    ),
    Family(
        "lb_shedding_ratio",
        "gauge",
        "Share of the requests that is refused because the event loop is late.",
        _one(lambda it: it.snapshot.shedding),
    ),
    Family("lb_ejections_total", "counter", "Ejections.", _counted(("", lambda it: it.ejections))),
    Family(
        "lb_ejections_withheld_total",
        "counter",
        "Ejections that were due while as many were out as may be.",
        _one(lambda it: it.snapshot.ejections_withheld),
    ),
    Family(
        "lb_backend_up",
        "gauge",
        "1 while its checks say it is up, it is not ejected, and the operator wants it up.",
        _each(_up),
    ),
    Family("lb_backend_state", "gauge", "1 for the state that it is in.", _states),
    Family("lb_backend_weight", "gauge", "As configured.", _each(lambda it: it.weight)),
    Family(
        "lb_backend_effective_weight",
        "gauge",
        "What slow start leaves of it at present.",
        _each(lambda it: it.effective_weight),
    ),
    Family("lb_backend_in_flight", "gauge", "Attempts.", _each(lambda it: it.connections)),
    Family(
        "lb_backend_max_in_flight",
        "gauge",
        "As many may be at present; absent without a limit.",
        _each(lambda it: it.max_in_flight),
    ),
    Family(
        "lb_backend_response_time_seconds",
        "gauge",
        "Smoothed, to the first byte; absent before the first.",
        _each(lambda it: it.response_time),
    ),
    Family(
        "lb_attempts_total",
        "counter",
        "Attempts that have ended.",
        _counted(
            ("succeeded", lambda it: it.succeeded),
            ("failed", lambda it: it.failed),
            ("gone", lambda it: it.gone),
            ("cancelled", lambda it: it.cancelled),
        ),
    ),
    Family(
        "lb_health_checks_total",
        "counter",
        "Answers and failures of checks.",
        _counted(
            ("ok", lambda it: it.checks - it.checks_failed),
            ("failed", lambda it: it.checks_failed),
            ("lost", lambda it: it.checks_lost),
        ),
    ),
    Family(
        "lb_backend_downs_total",
        "counter",
        "How often its health went down.",
        _counted(("", lambda it: it.went_down)),
    ),
    Family(
        "lb_certificate_expiry_timestamp_seconds",
        "gauge",
        "When a certificate ends to be good, in seconds since 1970.",
        _by("certificate", lambda it: it.certificates),
    ),
    Family(
        "lb_dropped_total",
        "counter",
        "What was to be told and found no room.",
        _by("kind", lambda it: it.dropped),
    ),
)
