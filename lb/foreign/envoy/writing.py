"""Envoy's static configuration of a pool: JSON, which is YAML as well, below a comment.

Every name is that of the published v3 schema (envoy.config.bootstrap.v3.Bootstrap).
"""

from __future__ import annotations

import json
from typing import Any

from lb.config import Scenario
from lb.config.values import AUTO
from lb.foreign import common, gaps, said
from lb.foreign.envoy import pool, sockets
from lb.foreign.envoy.words import HCM, HTTP, ROUTER, TYPE, place, span, typed
from lb.foreign.exported import Exported, Lacks, preface
from lb.foreign.matching import Chosen, chosen

KIND = "envoy"
POOL = pool.POOL
SAFE = "GET|HEAD|OPTIONS|TRACE|PUT|DELETE"
"""Methods that lb tries again (RFC 9110, 9.2.2)."""
RETRIED = {
    "connect": ("connect-failure", "refused-stream"),
    "reset": ("reset",),
    "timeout": (),  # what per_try_timeout ends is tried again in any case
    "server_error": ("5xx",),
}


def exported(file: Scenario) -> Exported:
    """The file as Envoy's. Raises ConfigError where no backend is named."""
    common.somebody(file)
    lacks = Lacks(file)
    found = chosen(KIND, file.algorithm)
    common.algorithm(file, found, lacks)
    if file.algorithm.name == "sticky":
        lacks.add(("algorithm", "name"), "clients do not stick: newcomers and all are placed alike")
    static = {
        "listeners": _listeners(file, found, lacks),
        "clusters": [pool.cluster(file, found, lacks)],
    }
    data: dict[str, Any] = {"static_resources": static}
    if file.server.admin is not None:
        data["admin"] = {"address": place(file.server.admin)}
    gaps.tell(file, lacks, gaps.ENVOY)
    said.rest(file, KIND, lacks)
    common.discovered(file, lacks)
    missing = lacks.all()
    count = "" if file.server.workers == AUTO else f" --concurrency {file.server.workers}"
    title = f"Written by lb export envoy; run it with: envoy -c FILE.yaml{count}"
    lines = [f"# {line}".rstrip() for line in preface(title, missing)]
    text = "\n".join([*lines, json.dumps(data, indent=2)]) + "\n"
    return Exported(
        KIND,
        text,
        found.method.replace("{key}", file.key),
        found.ours,
        found.match.differs,
        missing,
    )


def _listeners(file: Scenario, found: Chosen, lacks: Lacks) -> list[dict[str, Any]]:
    rows = []
    for number, one in enumerate(file.listening()):
        filters: list[dict[str, Any]] = []
        if one.proxy_protocol:
            name = "envoy.filters.listener.proxy_protocol"
            filters.append(
                {"name": name, "typed_config": typed("listener.proxy_protocol.v3.ProxyProtocol")}
            )
        if one.proxy_from:
            lacks.add((*one.place[:-1], "proxy_from"), "whoever connects may send PROXY headers")
        address = place(one.address)
        if one.mode is not None:
            address["pipe"]["mode"] = one.mode
        chain: dict[str, Any] = {"filters": [_manager(file, found, lacks)]}
        if one.tls is not None:
            chain["transport_socket"] = {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    TYPE: f"{sockets.TLS}.DownstreamTlsContext",
                    "common_tls_context": {
                        "tls_params": {
                            "tls_minimum_protocol_version": _version(one.tls.min_version)
                        },
                        "alpn_protocols": ["http/1.1"],
                        "tls_certificates": [
                            sockets.certificate(certificate, key)
                            for _, certificate, key in one.tls.pairs()
                        ],
                    },
                },
            }
        row: dict[str, Any] = {"name": f"clients{number + 1}", "address": address}
        if filters:
            row["listener_filters"] = filters
        rows.append({**row, "filter_chains": [chain]})
    return rows


def _version(version: str) -> str:
    return f"TLSv{version.replace('.', '_')}"


def _manager(file: Scenario, found: Chosen, lacks: Lacks) -> dict[str, Any]:
    times = file.timeouts
    options: dict[str, Any] = {"idle_timeout": span(times.client_idle)}
    if "header_count" in file.limits.model_fields_set:
        options["max_headers_count"] = file.limits.header_count
    manager: dict[str, Any] = {
        TYPE: HCM,
        "stat_prefix": "lb",
        "codec_type": "HTTP1",
        "common_http_protocol_options": options,
        "request_headers_timeout": span(times.header),
        "stream_idle_timeout": span(times.response),
        "use_remote_address": not file.server.trusted_proxies,
        "route_config": _routes(file, found, lacks),
        "http_filters": [*_own_health(file), {"name": HTTP + "router", "typed_config": ROUTER}],
    }
    if "drain" in times.model_fields_set:
        manager["drain_timeout"] = span(times.drain)
    if "header_bytes" in file.limits.model_fields_set:
        manager["max_request_headers_kb"] = max(1, min(8192, file.limits.header_bytes // 1024))
    if file.server.upgrades == ("*",):
        lacks.add(("server", "upgrades"), "only websocket is passed on")
    names = ["websocket"] if file.server.upgrades == ("*",) else list(file.server.upgrades)
    if names:
        manager["upgrade_configs"] = [{"upgrade_type": name} for name in names]
    if file.tracing.request_id.lower() == "x-request-id":
        manager["generate_request_id"] = True
        manager["preserve_external_request_id"] = True
    elif file.tracing.request_id:
        lacks.add(("tracing", "request_id"), "the field is always X-Request-ID")
    if file.access_log is not None:
        manager["access_log"] = [_log(file, lacks)]
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _own_health(file: Scenario) -> list[dict[str, Any]]:
    """`/lb-health` by the share of the pool that is usable."""
    if not file.server.health_path:
        return []
    check = {
        **typed("http.health_check.v3.HealthCheck"),
        "pass_through_mode": False,
        "cluster_min_healthy_percentages": {POOL: {"value": 1}},
        "headers": [{"name": ":path", "string_match": {"exact": file.server.health_path}}],
    }
    return [{"name": HTTP + "health_check", "typed_config": check}]


def _routes(file: Scenario, found: Chosen, lacks: Lacks) -> dict[str, Any]:
    times = file.timeouts
    action: dict[str, Any] = {
        "cluster": POOL,
        "timeout": "0s" if times.total is None else span(times.total),
        "idle_timeout": span(times.response),
    }
    if retry := _retries(file, lacks):
        action["retry_policy"] = retry
    after = file.hedging.after
    if isinstance(after, float):
        action["hedge_policy"] = {"hedge_on_per_try_timeout": True}
        action["retry_policy"] = {**action.get("retry_policy", {}), "per_try_timeout": span(after)}
        action["retry_policy"].setdefault("num_retries", 1)
        action["retry_policy"].setdefault("retry_on", "connect-failure")
    if found.match.keyed:
        action["hash_policy"] = _hashed(file.key)
    host: dict[str, Any] = {
        "name": "all",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": action}],
    }
    if file.server.backend_header:
        header = {"key": "X-Backend-Server", "value": "%UPSTREAM_REMOTE_ADDRESS%"}
        action_of = "OVERWRITE_IF_EXISTS_OR_ADD"
        host["response_headers_to_add"] = [{"header": header, "append_action": action_of}]
    return {"name": "all", "virtual_hosts": [host]}


def _hashed(key: str) -> list[dict[str, Any]]:
    """What is hashed; whoever lacks that has its address."""
    kind, _, name = key.partition(":")
    address = {"connection_properties": {"source_ip": True}}
    if kind == "client_ip":
        return [address]
    if kind == "cookie":
        return [{"cookie": {"name": name}, "terminal": True}, address]
    if kind == "header":
        return [{"header": {"header_name": name}, "terminal": True}, address]
    header: dict[str, Any] = {"header_name": ":path"}
    if kind == "path":
        header["regex_rewrite"] = {"pattern": {"regex": "\\?.*$"}, "substitution": ""}
    return [{"header": header}]


def _retries(file: Scenario, lacks: Lacks) -> dict[str, Any]:
    table = file.retries
    if not table.max or table.budget == table.min_per_second == 0:
        return {}
    words: list[str] = []
    statuses: list[int] = []
    for outcome in table.on:
        if isinstance(outcome, str):
            words += RETRIED[outcome]
        else:
            statuses.append(int(outcome))
    if "timeout" in table.on and file.timeouts.attempt is None:
        lacks.add(("retries", "on"), "silence of a backend ends the request: no timeouts.attempt")
    if statuses:
        words.append("retriable-status-codes")
    policy: dict[str, Any] = {
        "retry_on": ",".join(words) or "retriable-headers",
        "num_retries": table.max,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {TYPE: pool.PREVIOUS},
            }
        ],
        "host_selection_retry_max_attempts": 5,
        "retriable_request_headers": [
            {"name": ":method", "string_match": {"safe_regex": {"regex": SAFE}}}
        ],
        "retry_back_off": {
            "base_interval": span(max(table.backoff, 1e-3)),
            "max_interval": span(max(10 * table.backoff, 1e-3)),
        },
    }
    if statuses:
        policy["retriable_status_codes"] = statuses
    if file.timeouts.attempt is not None:
        policy["per_try_timeout"] = span(file.timeouts.attempt)
    return policy


def _log(file: Scenario, lacks: Lacks) -> dict[str, Any]:
    log = file.access_log
    assert log is not None
    if log.sample < 1:
        lacks.add(("access_log", "sample"), "all requests are logged")
    if log.syslog is not None:
        lacks.add(("access_log", "file"), "it knows no syslog; here to stdout")
    lacks.add(("access_log", "format"), "lines are JSON of its own, which lb calibrate reads")
    path = {"stderr": "/dev/stderr", "stdout": "/dev/stdout"}.get(log.file, log.file)
    fields = {
        "start_time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(:PATH)%",
        "response_code": "%RESPONSE_CODE%",
        "response_flags": "%RESPONSE_FLAGS%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "duration": "%DURATION%",
        "upstream_host": "%UPSTREAM_HOST%",
        "response_duration": "%RESPONSE_DURATION%",
        "upstream_request_attempt_count": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    }
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            TYPE: "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": "/dev/stdout" if log.syslog is not None else path,
            "log_format": {"json_format": fields},
        },
    }
