"""The panels of the Grafana dashboard, in the order they stand: what is asked of `/metrics`."""

from __future__ import annotations

from typing import NamedTuple

OURS = 'instance=~"$instance"'
OF = f'{OURS}, backend=~"$backend"'
BAD = f'{OURS}, outcome!="ok"'
SERVER = "http_server_request_duration_seconds"
EXPIRY = "lb_certificate_expiry_timestamp_seconds"
CLIENT = "http_client_request_duration_seconds"


class Query(NamedTuple):
    """One expression, and what its lines are called."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """One panel, in the order they stand."""

    title: str
    about: str
    unit: str
    width: int
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    stacked: bool = False


class Row(NamedTuple):
    """A heading."""

    title: str


def rate(metric: str, by: str = "", of: str = OURS) -> str:
    """Per second, added up."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{{of}}}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "", of: str = OURS) -> str:
    """Of a histogram's good answers."""
    grouped = f"le, {by}" if by else "le"
    buckets = rate(f"{metric}_bucket", grouped, f'{of}, outcome="ok"')
    return f"histogram_quantile({share}, {buckets})"


def gauge(metric: str, by: str = "", of: str = OURS) -> str:
    """As it is, added up."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} ({metric}{{{of}}})"


QUANTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
BACKEND = "{{backend}}"
PANELS: tuple[Panel | Row, ...] = (
    Panel("Requests", "Now.", "reqps", 4, (Query(rate("lb_requests_total"), ""),), "stat"),
    Panel(
        "p99",
        "Of good answers, as clients see them.",
        "s",
        4,
        (Query(quantile(0.99, SERVER), ""),),
        "stat",
    ),
    Panel(
        "Errors",
        "Share of all requests.",
        "percentunit",
        4,
        (
            Query(
                f"({rate(f'{SERVER}_count', of=BAD)} or vector(0)) / {rate(f'{SERVER}_count')}",
                "",
            ),
        ),
        "stat",
    ),
    Panel(
        "Backends up",
        "Healthy, not ejected and wanted.",
        "short",
        4,
        (Query(gauge("lb_backend_up"), "up"), Query(f"count (lb_backend_up{{{OURS}}})", "of")),
        "stat",
    ),
    Panel(
        "In flight", "Attempts.", "short", 4, (Query(gauge("lb_backend_in_flight"), ""),), "stat"
    ),
    Panel("Waiting", "In line.", "short", 4, (Query(gauge("lb_waiting"), ""),), "stat"),
    Row("Clients"),
    Panel(
        "Requests by outcome",
        "What became of them, as clients see it.",
        "reqps",
        8,
        (Query(rate(f"{SERVER}_count", "outcome"), "{{outcome}}"),),
        stacked=True,
    ),
    Panel(
        "Latency",
        "From a request's head to the last byte of its answer.",
        "s",
        8,
        tuple(Query(quantile(share, SERVER), name) for share, name in QUANTILES),
    ),
    Panel(
        "Errors by status",
        "Answers that were no good ones.",
        "reqps",
        8,
        (
            Query(
                rate(
                    f"{SERVER}_count",
                    "http_response_status_code, outcome",
                    BAD,
                ),
                "{{http_response_status_code}} {{outcome}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        "Refused by the balancer",
        "Requests that it told no by itself.",
        "reqps",
        8,
        (Query(rate("lb_refused_total", "reason"), "{{reason}}"),),
    ),
    Panel(
        "Line",
        "Requests that wait for a backend, and those whose clients left.",
        "short",
        8,
        (
            Query(gauge("lb_waiting"), "waiting"),
            Query(rate("lb_left_line_total"), "left, per second"),
        ),
    ),
    Panel(
        "Clients",
        "Connections.",
        "short",
        8,
        (Query(gauge("lb_clients", "instance"), "{{instance}}"),),
    ),
    Row("Backends"),
    Panel(
        "Attempts",
        "Per second.",
        "reqps",
        8,
        (Query(rate("lb_attempts_total", "backend", OF), BACKEND),),
        stacked=True,
    ),
    *(
        Panel(
            f"{name} by backend",
            "Of good attempts, from the pick to the last byte.",
            "s",
            8,
            (Query(quantile(share, CLIENT, "backend", OF), BACKEND),),
        )
        for share, name in QUANTILES
    ),
    Panel(
        "Failed attempts",
        "Per second.",
        "reqps",
        8,
        (Query(rate("lb_attempts_total", "backend", f'{OF}, outcome="failed"'), BACKEND),),
    ),
    Panel(
        "In flight by backend",
        "Connecting included.",
        "short",
        8,
        (Query(gauge("lb_backend_in_flight", "backend", OF), BACKEND),),
    ),
    Panel(
        "Backend up",
        "1 while it is healthy, not ejected and wanted.",
        "short",
        8,
        (Query(f"min by (backend) (lb_backend_up{{{OF}}})", BACKEND),),
        "state-timeline",
    ),
    Panel(
        "Ejections",
        "In the interval.",
        "short",
        8,
        (
            Query(
                f"sum by (backend) (increase(lb_ejections_total{{{OF}}}[$__rate_interval]))",
                BACKEND,
            ),
        ),
    ),
    Panel(
        "Connections",
        "To backends.",
        "short",
        8,
        (
            Query(
                gauge("http_client_open_connections", "http_connection_state", OF),
                "{{http_connection_state}}",
            ),
        ),
    ),
    Row("The balancer itself"),
    Panel(
        "Retries and hedges",
        "Per second.",
        "reqps",
        8,
        (
            Query(rate("lb_retries_total"), "retries"),
            Query(rate("lb_hedges_total"), "hedges"),
            Query(rate("lb_retries_refused_total", "reason"), "not retried: {{reason}}"),
        ),
    ),
    Panel(
        "Retry budget",
        "Retries and hedges that may be made at present.",
        "short",
        8,
        (Query(gauge("lb_retry_budget", "instance"), "{{instance}}"),),
    ),
    Panel(
        "Event loop lag",
        "Of the latest worker.",
        "s",
        8,
        (Query(f"max by (instance) (lb_event_loop_lag_seconds{{{OURS}}})", "{{instance}}"),),
    ),
    Panel(
        "Descriptors",
        "Open files and sockets.",
        "short",
        8,
        (Query(gauge("lb_open_descriptors", "instance"), "{{instance}}"),),
    ),
    Panel(
        "Workers",
        "Processes that serve.",
        "short",
        8,
        (Query(gauge("lb_workers", "instance"), "{{instance}}"),),
    ),
    Panel(
        "Certificates",
        "How long they are good for yet.",
        "s",
        8,
        (
            Query(
                f"min by (certificate) ({EXPIRY}{{{OURS}}}) - time()",
                "{{certificate}}",
            ),
        ),
    ),
    Panel(
        "Dropped",
        "Lines and spans that found no room, per second.",
        "short",
        8,
        (Query(rate("lb_dropped_total", "kind"), "{{kind}}"),),
    ),
)
