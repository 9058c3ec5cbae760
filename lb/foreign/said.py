"""What a file says and a writer has no words for: nothing that is given goes unmentioned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lb.config import Scenario
from lb.config.places import Place
from lb.foreign.exported import Lacks
from lb.foreign.gaps import ALL, CHECKS, ENVOY, HAPROXY, NGINX, Rule

TABLES = (
    *("server", "access_log", "tracing", "timeouts", "limits", "health", "outliers"),
    *("slow_start", "retries", "hedging", "queue", "subset", "panic", "tiers"),
)
EVERYBODY = frozenset(
    {
        *("server.listen", "server.tls", "server.workers", "server.backend_header"),
        *("server.upgrades", "server.trusted_proxies", "server.half_close", "server.model"),
        *("access_log.format", "access_log.file", "access_log.sample", "access_log.errors"),
        *("tracing.request_id", "timeouts.connect", "timeouts.header", "timeouts.response"),
        *("timeouts.idle", "timeouts.client_idle", "timeouts.drain", "limits.header_bytes"),
        *("limits.header_count", "limits.body", "health.enabled", "outliers.enabled"),
        *("outliers.consecutive_failures", "retries.max", "retries.on", "panic.threshold"),
    }
)
"""Keys that all writers read."""
CHECKED = ("kind", "path", "host", "port", "expect", "match", "interval", "fast_interval")
HEALTH = frozenset(f"health.{key}" for key in (*CHECKED, "timeout", "rise", "fall", "jitter"))
WRITTEN: Mapping[str, frozenset[str]] = {
    "haproxy": EVERYBODY
    | HEALTH
    | {
        *("timeouts.tunnel", "limits.client_connections", "slow_start.duration", "queue.limit"),
        *("queue.timeout", "server.health_path", "outliers.counts"),
    },
    "nginx": EVERYBODY | {"limits.request_line", "outliers.eject"},
    "envoy": EVERYBODY
    | HEALTH
    | {
        *("timeouts.total", "timeouts.attempt", "server.admin", "server.health_path"),
        *("outliers.eject", "outliers.max_eject", "outliers.max_share", "outliers.counts"),
        *("outliers.min_requests", "slow_start.duration", "slow_start.aggression"),
        *("retries.backoff", "retries.budget", "retries.min_per_second", "queue.limit"),
        *("queue.timeout", "tiers.overprovisioning"),
    },
}
"""Keys that each reads, or tells of itself."""
RULES: Mapping[str, tuple[Rule, ...]] = {"haproxy": HAPROXY, "nginx": NGINX, "envoy": ENVOY}
WHY: Mapping[str, str] = {
    "outliers.window": "shares of failures are not looked at over a time of one's choice",
    "outliers.min_requests": "shares of failures are not looked at",
    "outliers.max_eject": "whoever fails again is not out for longer",
    "outliers.max_share": "all servers may be out at once",
    "outliers.counts": "what counts is what proxy_next_upstream names",
    "retries.min_per_second": "retries have no budget",
    "retries.window": "retries have no budget over a time",
    "queue.timeout": "nobody waits in line",
    "queue.interval": "the line has one limit of time",
    "slow_start.aggression": "there is no slow start",
    "subset.instance": "all backends are used",
    "tracing.sample": "spans are configured there in a way of its own",
    "tracing.service": "spans are configured there in a way of its own",
    "server.admin_token_file": "it has no control plane that asks for a token",
}


def rest(file: Scenario, kind: str, lacks: Lacks) -> None:
    """Take down each key that is given, is not written, and was not told yet."""
    ruled = {".".join(map(str, place)) for place, _, _ in (*RULES[kind], *ALL)}
    known = WRITTEN[kind] | ruled
    for name in TABLES:
        table = getattr(file, name)
        if table is None or not getattr(table, "enabled", True):
            continue
        for key in _given(table):
            if f"{name}.{key}" not in known:
                why = CHECKS if name == "health" else WHY.get(f"{name}.{key}", "has no equivalent")
                lacks.add((name, key), why)
    _backends(file, kind, lacks)


def _backends(file: Scenario, kind: str, lacks: Lacks) -> None:
    zone = False
    for number, row in enumerate(file.backends):
        place: Place = ("backend", number)
        if kind == "nginx":
            if row.health_port is not None:
                lacks.add((*place, "health_port"), CHECKS)
            if row.health is not None and row.checked_by(file.health).enabled:
                lacks.add((*place, "health"), CHECKS)
        if kind == "envoy" and not file.health.enabled and row.health is not None:
            lacks.add((*place, "health"), "checks are of all endpoints, and [health] has them off")
        if kind != "envoy" and row.zone and not zone:
            zone = True
            lacks.add((*place, "zone"), "zones are not known")


def _given(table: object) -> Iterable[str]:
    return sorted(getattr(table, "model_fields_set", ()))
