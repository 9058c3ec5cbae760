"""Envoy's cluster: the backends, how they are chosen, checked, ejected and spared."""

from __future__ import annotations

from typing import Any

from lb.aside import is_address
from lb.config import BackendTable, Scenario, host_and_port
from lb.config.values import UNIX
from lb.foreign import common
from lb.foreign.envoy.words import EXTENSIONS, TYPE, place, span
from lb.foreign.exported import Lacks
from lb.foreign.matching import Chosen

POOL = "pool"
TLS = EXTENSIONS + "transport_sockets.tls.v3"
PREVIOUS = EXTENSIONS + "retry.host.previous_hosts.v3.PreviousHostsPredicate"
HTTP_OPTIONS = EXTENSIONS + "upstreams.http.v3.HttpProtocolOptions"
LEAST_REQUEST = EXTENSIONS + "load_balancing_policies.least_request.v3.LeastRequest"
MOST_WEIGHT = 128
NO_LIMIT = 1_000_000
"""In place of limits that lb does not have; Envoy's own defaults are 1024."""
SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
CHECKED = frozenset({"port"})


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
        **_policy(file, found),
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
        row["outlier_detection"] = _outliers(file)
    if (secure := common.tls_of_all(file, lacks)) is not None:
        row["transport_socket"] = _tls(secure)
    if any(it.proxy_protocol for it in file.backends):
        row["transport_socket"] = _proxied(file, row.get("transport_socket"), lacks)
    return row


def _policy(file: Scenario, found: Chosen) -> dict[str, Any]:
    name, _, rest = found.method.partition(" ")
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
    for number, (row, weight, rank) in enumerate(
        zip(file.backends, weights, common.priorities(file), strict=True)
    ):
        endpoint: dict[str, Any] = {"address": place(row.address)}
        if row.name:
            endpoint["hostname"] = row.name
        port = row.checked_by(file.health).port
        if port:
            endpoint["health_check_config"] = {"port_value": port}
        groups.setdefault((rank, row.zone), []).append(
            {"endpoint": endpoint, "load_balancing_weight": weight}
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


def _outliers(file: Scenario) -> dict[str, Any]:
    table = file.outliers
    streak = table.consecutive_failures or 0
    answers = "server_error" in table.counts
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


def certificate(chain: str, key: str) -> dict[str, Any]:
    """A certificate and its key, by their files."""
    return {"certificate_chain": {"filename": chain}, "private_key": {"filename": key}}


def _tls(row: BackendTable) -> dict[str, Any]:
    assert row.tls is not None
    tls = row.tls
    host = tls.server_name or host_and_port(row.address)[0]
    context: dict[str, Any] = {"alpn_protocols": ["http/1.1"]}
    if tls.verify:
        match = {
            "san_type": "IP_ADDRESS" if is_address(host) else "DNS",
            "matcher": {"exact": host},
        }
        context["validation_context"] = {
            "trusted_ca": {"filename": tls.ca or SYSTEM_CA},
            "match_typed_subject_alt_names": [match],
        }
    if tls.certificate is not None:
        context["tls_certificates"] = [certificate(tls.certificate, str(tls.key))]
    config: dict[str, Any] = {TYPE: f"{TLS}.UpstreamTlsContext", "common_tls_context": context}
    if not is_address(host):
        config["sni"] = host
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def _proxied(file: Scenario, inner: dict[str, Any] | None, lacks: Lacks) -> dict[str, Any]:
    version = next(it.proxy_protocol for it in file.backends if it.proxy_protocol)
    for number, row in enumerate(file.backends):
        if row.proxy_protocol != version:
            why = f"one setting is for all: {version}"
            lacks.add(("backend", number, "proxy_protocol"), why)
    raw = {
        "name": "envoy.transport_sockets.raw_buffer",
        "typed_config": {TYPE: EXTENSIONS + "transport_sockets.raw_buffer.v3.RawBuffer"},
    }
    return {
        "name": "envoy.transport_sockets.upstream_proxy_protocol",
        "typed_config": {
            TYPE: EXTENSIONS + "transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
            "config": {"version": str(version).upper()},
            "transport_socket": inner or raw,
        },
    }
