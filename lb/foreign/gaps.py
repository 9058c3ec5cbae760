"""Keys of a file that other balancers have no equivalent for, and why, as tables."""

from __future__ import annotations

from collections.abc import Callable

from lb.config import Scenario
from lb.config.places import Place
from lb.foreign.common import priorities
from lb.foreign.exported import Lacks

Rule = tuple[Place, Callable[[Scenario], bool], str]
"""A key, whether it does something in a file, and why it has no equivalent."""


def _given(table: str, key: str) -> Callable[[Scenario], bool]:
    return lambda file: key in getattr(file, table).model_fields_set


ALL: tuple[Rule, ...] = (
    (("subset", "size"), lambda file: file.subset.size is not None, "all backends are used"),
    (
        ("queue", "discipline"),
        lambda file: file.queue.discipline != "fifo",
        "whoever waits longest is served first",
    ),
    (("queue", "max_lag"), _given("queue", "max_lag"), "nobody is refused for a late event loop"),
    (
        ("outliers", "latency_factor"),
        lambda file: file.outliers.enabled and file.outliers.latency_factor is not None,
        "nobody is ejected for being slow",
    ),
    (
        ("tracing", "otlp"),
        lambda file: bool(file.tracing.otlp),
        "spans are configured there in a way of its own",
    ),
    (
        ("tracing", "traceparent"),
        lambda file: file.tracing.traceparent,
        "it is passed on as it came, and not made",
    ),
    (
        ("server", "stats_path"),
        lambda file: bool(file.server.stats_path),
        "its statistics have pages of their own",
    ),
    (("server", "half_close"), lambda file: file.server.half_close, "what it does is its own"),
    (
        ("limits", "body_rate"),
        lambda file: file.limits.body_rate is not None,
        "a body that trickles in is judged by its silences alone",
    ),
)
"""None of them has these."""
CHECKS = "there are no health checks in the open-source one; failures of requests count alone"
_NEITHER: tuple[Rule, ...] = (
    (
        ("hedging", "after"),
        lambda file: file.hedging.after is not None,
        "there is one attempt at a time",
    ),
    (
        ("timeouts", "total"),
        lambda file: file.timeouts.total is not None,
        "there is no limit of a whole request",
    ),
    (
        ("tiers", "local_zone"),
        lambda file: bool(file.tiers.local_zone),
        "zones are not known; write those elsewhere as priority = 1",
    ),
    (
        ("retries", "budget"),
        lambda file: file.retries.max > 0,
        "retries are as many as fail, whatever their share",
    ),
)
"""HAProxy and nginx have none of these."""
HAPROXY: tuple[Rule, ...] = (
    *_NEITHER,
    (("limits", "header_count"), _given("limits", "header_count"), "the limit is tune.http.maxhdr"),
    (
        ("outliers", "failure_rate"),
        lambda file: file.outliers.enabled and bool(file.outliers.failure_rate),
        "only failures in a row take a server out, whatever becomes of the others",
    ),
    (
        ("outliers", "eject"),
        lambda file: file.outliers.enabled and bool(file.outliers.consecutive_failures),
        "a server is out until its checks find it well, not for a time",
    ),
    (
        ("outliers", "max_share"),
        lambda file: file.outliers.enabled and bool(file.outliers.consecutive_failures),
        "all servers may be out at once",
    ),
    (
        ("panic", "threshold"),
        lambda file: file.panic.threshold > 0,
        "servers that are down are never used",
    ),
    (
        ("tiers", "overprovisioning"),
        lambda file: any(priorities(file)),
        "backups are used when all others are down, and not before",
    ),
    (
        ("slow_start", "aggression"),
        lambda file: bool(file.slow_start.duration) and file.slow_start.aggression != 1,
        "weights rise in a straight line",
    ),
    (
        ("timeouts", "attempt"),
        lambda file: file.timeouts.attempt is not None,
        "`timeout server` is the limit until the first byte as well",
    ),
    (
        ("server", "admin"),
        lambda file: file.server.admin is not None,
        "control is a `stats socket`, which is not written",
    ),
    (
        ("limits", "request_line"),
        _given("limits", "request_line"),
        "a head has one limit, tune.bufsize",
    ),
    (
        ("server", "upgrades"),
        lambda file: file.server.upgrades != ("*",),
        "a connection may be upgraded to whatever client and server agree on",
    ),
)
NGINX: tuple[Rule, ...] = (
    *_NEITHER,
    (("limits", "header_count"), _given("limits", "header_count"), "only the bytes are limited"),
    (("health", "enabled"), lambda file: file.health.enabled, CHECKS),
    (
        ("outliers", "consecutive_failures"),
        lambda file: file.outliers.enabled and bool(file.outliers.consecutive_failures),
        "failures within fail_timeout count, in a row or not, whatever becomes of the others",
    ),
    (
        ("outliers", "failure_rate"),
        lambda file: file.outliers.enabled and bool(file.outliers.failure_rate),
        "shares of failures are not looked at",
    ),
    (
        ("panic", "threshold"),
        lambda file: file.panic.threshold > 0,
        "servers that have failed are used when all have, and not before",
    ),
    (
        ("tiers", "overprovisioning"),
        lambda file: any(priorities(file)),
        "backups are used when all others have failed, and not before",
    ),
    (
        ("retries", "backoff"),
        _given("retries", "backoff"),
        "the next server is tried at once, the same one not again",
    ),
    (
        ("slow_start", "duration"),
        lambda file: file.slow_start.duration > 0,
        "slow_start is not in the open-source one",
    ),
    (
        ("queue", "limit"),
        lambda file: file.queue.limit > 0,
        "nobody waits: queue is not in the open-source one; 502 when all are full",
    ),
    (
        ("timeouts", "attempt"),
        lambda file: file.timeouts.attempt is not None,
        "proxy_read_timeout is the limit until the first byte as well",
    ),
    (
        ("timeouts", "tunnel"),
        _given("timeouts", "tunnel"),
        "tunnels have the limits of answers, proxy_read_timeout",
    ),
    (("server", "admin"), lambda file: file.server.admin is not None, "it has no control plane"),
    (
        ("server", "health_path"),
        lambda file: bool(file.server.health_path),
        "how many servers are usable is not told",
    ),
    (
        ("limits", "client_connections"),
        _given("limits", "client_connections"),
        "worker_connections counts those to servers as well: twice as many are written",
    ),
)
ENVOY: tuple[Rule, ...] = (
    (
        ("outliers", "consecutive_failures"),
        lambda file: file.outliers.enabled and bool(file.outliers.consecutive_failures),
        "a streak ejects whatever becomes of the others",
    ),
    (
        ("outliers", "failure_rate"),
        lambda file: file.outliers.enabled and bool(file.outliers.failure_rate),
        "it is the share itself, not what exceeds the others'",
    ),
    (
        ("retries", "budget"),
        lambda file: file.retries.max > 0 and file.retries.budget is None,
        "retries are as many as fail, whatever their share",
    ),
    (
        ("tiers", "local_zone"),
        lambda file: bool(file.tiers.local_zone),
        "it routes by zones only where it is told of all its own instances",
    ),
    (
        ("hedging", "after"),
        lambda file: isinstance(file.hedging.after, str),
        "it hedges after a time, not after a quantile",
    ),
    (
        ("timeouts", "attempt"),
        lambda file: file.timeouts.attempt is not None and not file.retries.max,
        "without retries a try has no limit of its own",
    ),
    (
        ("timeouts", "tunnel"),
        _given("timeouts", "tunnel"),
        "tunnels have the limits of answers",
    ),
    (
        ("limits", "body"),
        lambda file: file.limits.body is not None,
        "only its buffer filter limits bodies, and holds them back",
    ),
    (
        ("limits", "client_connections"),
        _given("limits", "client_connections"),
        "connections are limited by its overload manager",
    ),
    (
        ("limits", "request_line"),
        _given("limits", "request_line"),
        "a head has one limit, max_request_headers_kb",
    ),
    (
        ("server", "trusted_proxies"),
        lambda file: bool(file.server.trusted_proxies),
        "X-Forwarded-For is trusted, whoever says it",
    ),
    (
        ("server", "admin_token_file"),
        lambda file: file.server.admin_token_file is not None,
        "its admin asks for no token",
    ),
)


def tell(file: Scenario, lacks: Lacks, rules: tuple[Rule, ...]) -> None:
    """Take down all of `rules`, and of those for all, that do something in `file`."""
    for place, does, why in (*rules, *ALL):
        if does(file):
            lacks.add(place, why)
