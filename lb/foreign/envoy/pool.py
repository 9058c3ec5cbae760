"""Envoy's cluster: the backends, how they are chosen, checked, ejected and spared."""

from __future__ import annotations

from typing import Any

from lb.aside import is_address
from lb.config import BackendTable, Scenario, host_and_port
from lb.config.values import UNIX
from lb.foreign import common
from lb.foreign.envoy.sockets import sockets
from lb.foreign.envoy.words import EXTENSIONS, TYPE, place, span
from lb.foreign.exported import Lacks
from lb.foreign.matching import Chosen

POOL = "pool"
PREVIOUS = EXTENSIONS + "retry.host.previous_hosts.v3.PreviousHostsPredicate"
HTTP_OPTIONS = EXTENSIONS + "upstreams.http.v3.HttpProtocolOptions"
LEAST_REQUEST = EXTENSIONS + "load_balancing_policies.least_request.v3.LeastRequest"
WARMS = ("ROUND_ROBIN", "LEAST_REQUEST")
"""Policies that have a slow start."""
MOST_WEIGHT = 128
NO_LIMIT = 1_000_000
"""In place of limits that lb does not have; Envoy's own defaults are 1024."""
CHECKED = frozenset({"port"})
COUNTED = (
    {"connect", "reset", "timeout"},
    {"connect", "reset", "timeout", "server_error"},
)
"""What it can take for a failure, in our words."""


def cluster(file: Scenario, found: Chosen, lacks: Lacks) -> dict[str, Any]:
    """The pool."""
    named = [
        not row.address.startswith(UNIX) and not is_address(host_and_port(row.address)[0])
        for row in file.backends
    ]
    row: dict[str, Any] = {
        "name": POOL,
        "type": "STRICT_DNS" if any(named) else "STATIC",
        "connect_timeout": span(file.timeouts.connect),
        **_policy(file, found, lacks),
        "common_lb_config": _common(file, found),
        "load_assignment": _endpoints(file, found, lacks),
        "circuit_breakers": _limits(file, lacks),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                TYPE: HTTP_OPTIONS,
                "common_http_protocol_options": {"idle_timeout": span(file.timeouts.idle)},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }
    if file.health.enabled:
        row["health_checks"] = [_check(file, lacks)]
    if file.outliers.enabled:
        row["outlier_detection"] = _outliers(file, lacks)
    return {**row, **sockets(file).cluster()}


def _policy(file: Scenario, found: Chosen, lacks: Lacks) -> dict[str, Any]:
    name, _, rest = found.method.partition(" ")
    if file.slow_start.duration and name not in WARMS:
        lacks.add(("slow_start", "duration"), f"{name} knows no slow start")
    ramp: dict[str, Any] = {}
    if file.slow_start.duration:
        ramp["slow_start_config"] = {
            "slow_start_window": span(file.slow_start.duration),
            "aggression": {
                "default_value": file.slow_start.aggression,
                "runtime_key": "lb.aggression",
            },
            "min_weight_percent": {"value": 5},
        }
    if rest == "full scan":
        return {
            "load_balancing_policy": {
                "policies": [
                    {
                        "typed_extension_config": {
                            "name": "envoy.load_balancing_policies.least_request",
                            "typed_config": {
                                TYPE: LEAST_REQUEST,
                                "selection_method": "FULL_SCAN",
                                **ramp,
                            },
                        }
                    }
                ]
            }
        }
    row: dict[str, Any] = {"lb_policy": name}
    if name == "LEAST_REQUEST":
        row["least_request_lb_config"] = {"choice_count": max(2, int(rest.split()[-1])), **ramp}
    elif name == "ROUND_ROBIN" and ramp:
        row["round_robin_lb_config"] = ramp
    elif name == "MAGLEV":
        row["maglev_lb_config"] = {"table_size": found.settings.get("table_size", 65537)}
    elif name == "RING_HASH":
        row["ring_hash_lb_config"] = {"minimum_ring_size": 160 * len(file.backends)}
    return row


def _common(file: Scenario, found: Chosen) -> dict[str, Any]:
    row: dict[str, Any] = {
        "healthy_panic_threshold": {"value": round(100 * file.panic.threshold, 6)}
    }
    factor = found.settings.get("balance_factor")
    if factor:
        bound = {"hash_balance_factor": round(100 * float(str(factor)))}
        row["consistent_hashing_lb_config"] = bound
    return row


def _endpoints(file: Scenario, found: Chosen, lacks: Lacks) -> dict[str, Any]:
    weights = common.weights(file, found, MOST_WEIGHT, lacks)
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    ways = sockets(file)
    for number, (row, weight, rank) in enumerate(
        zip(file.backends, weights, common.priorities(file), strict=True)
    ):
        endpoint: dict[str, Any] = {"address": place(row.address)}
        if row.name:
            endpoint["hostname"] = row.name
        if check := _own_check(file, row):
            endpoint["health_check_config"] = check
        groups.setdefault((rank, row.zone), []).append(
            {"endpoint": endpoint, "load_balancing_weight": weight, **ways.endpoint(number)}
        )
        if isinstance(row.max_in_flight, str):
            lacks.add(("backend", number, "max_in_flight"), "no limit is found out: none is set")
    rows = []
    for (rank, zone), endpoints in sorted(groups.items(), key=lambda one: one[0]):
        group: dict[str, Any] = {"priority": rank} if rank else {}
        if zone:
            group["locality"] = {"zone": zone}
        rows.append({**group, "lb_endpoints": endpoints})
    factor = round(100 * file.tiers.overprovisioning)
    return {
        "cluster_name": POOL,
        "policy": {"overprovisioning_factor": factor},
        "endpoints": rows,
    }


def _own_check(file: Scenario, row: BackendTable) -> dict[str, Any]:
    """Where one endpoint is checked, and by which name: its own, unless the file says another."""
    table = row.checked_by(file.health)
    if not table.enabled:
        return {}
    check: dict[str, Any] = {"port_value": table.port} if table.port else {}
    if table.kind == "http" and table.host is None:
        own = common.ascii_address(row.address).removesuffix(":80")
        check["hostname"] = "localhost" if row.address.startswith(UNIX) else own
    return check


def _limits(file: Scenario, lacks: Lacks) -> dict[str, Any]:
    limits = {it.max_in_flight for it in file.backends}
    threshold: dict[str, Any] = {
        "max_connections": NO_LIMIT,
        "max_pending_requests": NO_LIMIT,
        "max_requests": NO_LIMIT,
        "max_retries": NO_LIMIT,
    }
    retries = file.retries
    if retries.max and retries.budget is not None:
        threshold.pop("max_retries")
        threshold["retry_budget"] = {
            "budget_percent": {"value": round(100 * retries.budget, 6)},
            "min_retry_concurrency": max(1, round(retries.min_per_second)),
        }
        lacks.add(("retries", "budget"), "it is a share of the requests in flight, not of a window")
    row: dict[str, Any] = {"thresholds": [threshold]}
    numbers = [it for it in limits if isinstance(it, int)]
    if numbers:
        number = next(
            at for at, it in enumerate(file.backends) if isinstance(it.max_in_flight, int)
        )
        if len(limits) > 1:
            why = f"one limit is for all: {max(numbers)}, the highest"
            lacks.add(("backend", number, "max_in_flight"), why)
        threshold["max_pending_requests"] = max(1, file.queue.limit)
        row["per_host_thresholds"] = [{"max_connections": max(numbers)}]
        lacks.add(("queue", "timeout"), "a request waits until its own limit, timeouts.total")
    return row


def _check(file: Scenario, lacks: Lacks) -> dict[str, Any]:
    for number, key in common.own_health(file, CHECKED):
        lacks.add(("backend", number, "health", key), "checks ask all endpoints the same")
    table = file.health
    row: dict[str, Any] = {
        "timeout": span(table.timeout),
        "interval": span(table.interval),
        "no_traffic_interval": span(table.interval),
        "unhealthy_interval": span(table.interval),
        "unhealthy_threshold": table.fall,
        "healthy_threshold": table.rise,
    }
    if table.jitter:
        row["interval_jitter_percent"] = round(100 * table.jitter)
    if table.match is not None:
        lacks.add(("health", "match"), "bodies of answers to checks are not searched")
    if "fast_interval" in table.model_fields_set:
        lacks.add(("health", "fast_interval"), "checks come no faster while a change is decided")
    if table.kind == "tcp":
        return {**row, "tcp_health_check": {}}
    statuses = []
    for part in table.expect.split(", "):
        low, _, high = part.partition("-")
        statuses.append({"start": low, "end": str(int(high or low) + 1)})
    http: dict[str, Any] = {"path": table.path, "expected_statuses": statuses}
    if table.host:
        http["host"] = table.host
    return {**row, "http_health_check": http}


def _outliers(file: Scenario, lacks: Lacks) -> dict[str, Any]:
    table = file.outliers
    streak = table.consecutive_failures or 0
    answers = "server_error" in table.counts
    if "counts" in table.model_fields_set and set(table.counts) not in COUNTED:
        lacks.add(("outliers", "counts"), "it tells only answers of 5xx from failures of its own")
    row: dict[str, Any] = {
        "interval": span(1.0),
        "base_ejection_time": span(table.eject),
        "max_ejection_time": span(table.max_eject),
        "max_ejection_percent": round(100 * table.max_share),
        "enforcing_success_rate": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_consecutive_5xx": 100 if streak and answers else 0,
    }
    if streak and answers:
        row["consecutive_5xx"] = streak
    if streak and not answers:
        row["split_external_local_origin_errors"] = True
        row["consecutive_local_origin_failure"] = streak
    if table.failure_rate:
        row["failure_percentage_threshold"] = round(100 * table.failure_rate)
        row["enforcing_failure_percentage"] = 100
        row["failure_percentage_request_volume"] = table.min_requests
        row["failure_percentage_minimum_hosts"] = 2
    return row
