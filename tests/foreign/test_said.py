"""Whatever a file says is in an export, or is told with its line."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from lb.config import Scenario
from lb.foreign import Exported, export
from tests.foreign.checking import complaints

GIVEN = {
    "server": {
        "admin": '"127.0.0.1:9"',
        "health_path": '"/h"',
        "stats_path": '"/s"',
        "backend_header": "false",
        "upgrades": '["other"]',
        "trusted_proxies": '["10.0.0.0/8"]',
        "half_close": "true",
    },
    "access_log": {"format": '"combined"', "file": '"/tmp/x.log"', "sample": 0.5},
    "tracing": {
        "request_id": '"X-My-Id"',
        "traceparent": "true",
        "otlp": '"http://127.0.0.1:4318/v1/traces"',
        "sample": 0.5,
        "service": '"other"',
    },
    "timeouts": dict.fromkeys(
        (
            *("connect", "header", "attempt", "response", "idle", "total"),
            *("client_idle", "drain", "tunnel"),
        ),
        '"7s"',
    ),
    "limits": {
        "request_line": 4096,
        "header_bytes": 9000,
        "header_count": 55,
        "body": 1234,
        "body_rate": 1000,
        "client_connections": 77,
    },
    "health": {
        "kind": '"tcp"',
        "path": '"/ready"',
        "host": '"x.example"',
        "port": 99,
        "expect": '"204"',
        "match": '"fine"',
        "interval": '"7s"',
        "fast_interval": '"700ms"',
        "timeout": '"700ms"',
        "rise": 7,
        "fall": 8,
        "jitter": 0.2,
    },
    "outliers": {
        "consecutive_failures": 7,
        "failure_rate": 0.7,
        "window": '"7s"',
        "min_requests": 77,
        "latency_factor": 7,
        "counts": '["reset"]',
        "eject": '"7s"',
        "max_eject": '"77s"',
        "max_share": 0.7,
    },
    "slow_start": {"duration": '"7s"', "aggression": 2},
    "retries": {
        "max": 3,
        "on": '["connect", 418]',
        "backoff": '"7ms"',
        "budget": 0.7,
        "min_per_second": 7,
        "window": '"7s"',
    },
    "hedging": {"after": '"70ms"'},
    "queue": {
        "limit": 7,
        "timeout": '"7s"',
        "discipline": '"adaptive"',
        "interval": '"77ms"',
        "max_lag": '"77ms"',
    },
    "subset": {"size": 1, "instance": 1},
    "panic": {"threshold": 0.7},
    "tiers": {"local_zone": '"b"', "overprovisioning": 2},
}
BESIDE = {
    "outliers.window": "[outliers]\nfailure_rate = 0.5",
    "slow_start.aggression": '[slow_start]\nduration = "7s"',
    "retries.min_per_second": "[retries]\nbudget = 0.2",
    "retries.window": "[retries]\nbudget = 0.2",
    "queue.interval": '[queue]\nlimit = 5\ndiscipline = "adaptive"',
    "queue.discipline": "[queue]\nlimit = 5",
    "queue.timeout": "[queue]\nlimit = 5",
    "tracing.sample": '[tracing]\notlp = "http://127.0.0.1:4318/v1/traces"',
    "tracing.service": '[tracing]\notlp = "http://127.0.0.1:4318/v1/traces"',
    "subset.instance": "[subset]\nsize = 1",
}
"""What makes a key do something."""
BACKEND = {
    "weight": 7,
    "priority": 1,
    "zone": '"b"',
    "max_in_flight": 7,
    "health_port": 99,
    "health": '{ path = "/mine" }',
    "tls": "{ verify = false }",
    "proxy_protocol": '"v2"',
}
POOL = """
algorithm = "weighted_round_robin"
[[backend]]
address = "127.0.0.1:3001"
max_in_flight = 5
[[backend]]
address = "127.0.0.1:3002"
"""
KINDS = ("haproxy", "nginx", "envoy")
KEYS = [(table, key) for table, keys in GIVEN.items() for key in keys]


def body(found: Exported) -> list[str]:
    """Without comments."""
    return [line for line in found.text.splitlines() if not line.startswith("#")]


def given(found: Exported) -> set[str]:
    return {row.key for row in found.missing if row.given}


@cache
def plain(head: str, rows: str) -> dict[str, list[str]]:
    file = Scenario.parse(f"{POOL}{rows}{head}", "lb.toml")
    return {kind: body(export(file, kind)) for kind in KINDS}


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_a_key_is_written_or_told(table: str, key: str) -> None:
    head = BESIDE.get(f"{table}.{key}", f"[{table}]") + "\n"
    rows = 'max_in_flight = 5\nzone = "b"\npriority = 1\n'
    text = f"{POOL}{rows}{head}{key} = {GIVEN[table][key]}\n"
    file = Scenario.parse(text, "lb.toml")
    for kind in KINDS:
        found = export(file, kind)
        told = f"{table}.{key}" in given(found)
        assert told or body(found) != plain(head, rows)[kind], f"{kind}: neither written nor told"


@pytest.mark.parametrize("key", BACKEND)
def test_a_key_of_a_backend_is_written_or_told(key: str) -> None:
    file = Scenario.parse(f"{POOL}{key} = {BACKEND[key]}\n", "lb.toml")
    for kind in KINDS:
        found = export(file, kind)
        told = any(name.startswith(f"backend[1].{key}") for name in given(found))
        assert told or body(found) != plain("", "")[kind], f"{kind}: neither written nor told"


TLS = "tls = { verify = false }\n"
PLAIN = '[[backend]]\naddress = "127.0.0.1:300{}"\n'


def mixed(*tls: bool, more: str = "") -> Scenario:
    rows = [PLAIN.format(number) + TLS * secure for number, secure in enumerate(tls)]
    return Scenario.parse("".join(rows) + more, "lb.toml")


def test_nginx_speaks_as_most_do_and_says_first_who_is_left_out(tmp_path: Path) -> None:
    found = export(mixed(False, False, True, more="priority = 1\n"), "nginx")
    first = found.missing[0]
    assert (first.place, first.given) == ("lb.toml:7 backend[2].tls", True)
    assert "left out" in first.why
    assert "proxy_pass http://pool;" in found.text
    assert "server 127.0.0.1:3002" not in found.text
    assert not complaints("nginx", found.text, tmp_path)
    found = export(mixed(True, False, True), "nginx")
    assert (found.missing[0].place, found.missing[0].given) == ("lb.toml:4 backend[1]", True)
    assert "proxy_pass https://pool;" in found.text
    assert "server 127.0.0.1:3001" not in found.text


def test_nginx_is_never_left_with_backups_alone() -> None:
    file = mixed(False, True, more="priority = 1\n" + PLAIN.format(2) + TLS + "priority = 1\n")
    assert "proxy_pass http://pool;" in export(file, "nginx").text


def test_nginx_verifies_one_name() -> None:
    text = "".join(
        f'[[backend]]\naddress = "{host}.example:443"\ntls = {{}}\n' for host in ("a", "b")
    )
    found = export(Scenario.parse(text, "lb.toml"), "nginx")
    assert "proxy_ssl_name a.example;" in found.text
    assert "server b.example" not in found.text
    assert "backend[1].tls" in given(found)
    same = export(Scenario.parse(text.replace("{}", '{ server_name = "x" }')), "nginx")
    assert "server b.example:443" in same.text


def test_envoy_speaks_to_each_in_its_own_way() -> None:
    found = export(mixed(False, True, False), "envoy")
    assert not [row for row in found.missing if "tls" in row.key]
    (cluster,) = json.loads("\n".join(body(found)))["static_resources"]["clusters"]
    (match,) = cluster["transport_socket_matches"]
    assert "transport_socket" not in cluster
    assert match["transport_socket"]["name"] == "envoy.transport_sockets.tls"
    (group,) = cluster["load_assignment"]["endpoints"]
    chosen = [
        row.get("metadata", {}).get("filter_metadata", {}).get("envoy.transport_socket_match")
        for row in group["lb_endpoints"]
    ]
    assert chosen == [None, match["match"], None]
