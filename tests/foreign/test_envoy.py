"""A file of ours as Envoy's: every field is one of its published schema, and says the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lb.config import Scenario
from lb.foreign import export
from lb.strategies import REGISTRY
from tests.foreign.envoy_schema import strangers

FULL = """
[server]
listen = ["127.0.0.1:18080", "unix:/run/lb.sock"]
admin = "127.0.0.1:8405"
tls = { certificate = "a.pem", key = "b.pem" }
[[listener]]
address = "unix:/run/other.sock"
mode = "0660"
[[listener]]
address = "0.0.0.0:81"
proxy_protocol = true
[access_log]
file = "stdout"
[timeouts]
attempt = "1s"
total = "5s"
drain = "3s"
[limits]
header_bytes = 10000
header_count = 50
[retries]
max = 2
on = ["connect", "reset", "server_error", 429]
budget = 0.3
[hedging]
after = "500ms"
[queue]
limit = 5
[slow_start]
duration = "5s"
aggression = 2.0
[health]
host = "x"
expect = "200,204-210"
jitter = 0.1
[tracing]
request_id = "X-Request-ID"
[outliers]
counts = ["connect"]
[[backend]]
address = "127.0.0.1:3001"
weight = 5
max_in_flight = 3
name = "a b"
tls = { server_name = "a.example", certificate = "c.pem", key = "k.pem" }
zone = "z1"
[[backend]]
address = "web.internal:3002"
max_in_flight = 3
weight = 1.5
tls = { server_name = "a.example" }
proxy_protocol = "v2"
[[backend]]
address = "[::1]:3003"
max_in_flight = 3
priority = 1
health_port = 99
"""
KEYS = ("client_ip", "header:X-Key", "cookie:sid", "path", "uri")


def written(algorithm: str, more: str = "", key: str = "client_ip") -> dict[str, Any]:
    file = Scenario.parse(f'algorithm = "{algorithm}"\nkey = "{key}"\n{more}', "lb.toml")
    text = export(file, "envoy").text
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found: dict[str, Any] = json.loads(body)
    return found


def pool(algorithm: str, more: str = "") -> dict[str, Any]:
    (found,) = written(algorithm, more)["static_resources"]["clusters"]
    cluster: dict[str, Any] = found
    return cluster


@pytest.mark.parametrize("more", ["", FULL], ids=["default", "full"])
@pytest.mark.parametrize("algorithm", REGISTRY)
def test_every_field_is_one_of_the_schema(algorithm: str, more: str) -> None:
    key = KEYS[list(REGISTRY).index(algorithm) % len(KEYS)]
    assert not list(strangers(written(algorithm, more, key)))


def test_the_checker_finds_what_is_wrong() -> None:
    assert list(strangers({"static_resource": {}}))
    assert list(strangers({"static_resources": {"clusters": [{"connect_timeout": 5}]}}))
    assert list(strangers({"static_resources": {"clusters": [{"lb_policy": "BEST"}]}}))
    assert list(strangers({"static_resources": {"clusters": {}}}))


def test_algorithms() -> None:
    assert pool("round_robin")["lb_policy"] == "ROUND_ROBIN"
    assert pool("random")["lb_policy"] == "RANDOM"
    assert pool("p2c:choices=3")["least_request_lb_config"]["choice_count"] == 3
    assert pool("maglev:table_size=251")["maglev_lb_config"] == {"table_size": 251}
    ring = pool("consistent_hash:balance_factor=1.25")
    assert ring["lb_policy"] == "RING_HASH"
    assert ring["common_lb_config"]["consistent_hashing_lb_config"] == {"hash_balance_factor": 125}
    assert "FULL_SCAN" in json.dumps(pool("least_connections"))


def test_what_decides_beside_the_algorithm_says_the_same() -> None:
    file = (
        '[panic]\nthreshold = 0.5\n[tiers]\noverprovisioning = 1.5\n[health]\nexpect = "200-204"\n'
    )
    found = pool("weighted_round_robin", file + '[[backend]]\naddress = "10.0.0.1:80"\nweight = 7')
    assert found["common_lb_config"] == {"healthy_panic_threshold": {"value": 50.0}}
    assert found["load_assignment"]["policy"] == {"overprovisioning_factor": 150}
    (check,) = found["health_checks"]
    assert check["http_health_check"]["expected_statuses"] == [{"start": "200", "end": "205"}]
    assert check["no_traffic_interval"] == check["interval"] == "30s"
    (group,) = found["load_assignment"]["endpoints"]
    assert group["lb_endpoints"][0]["load_balancing_weight"] == 7
    assert found["outlier_detection"]["consecutive_5xx"] == 5
