"""A file of ours as HAProxy's and nginx's: they take it, and it says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.config import Scenario
from lb.errors import ConfigError, UsageError
from lb.foreign import export
from lb.foreign.matching import KINDS
from lb.foreign.weights import whole
from lb.strategies import REGISTRY
from tests.foreign.checking import complaints

POOL = """
algorithm = {algorithm}
key = "{key}"
[server]
listen = "unix:{socket}"
[queue]
limit = 5
[slow_start]
duration = "5s"
[health]
match = 'o"k'
[[backend]]
address = "127.0.0.1:3001"
weight = 5
max_in_flight = 3
name = "a b"
[[backend]]
address = "127.0.0.1:3002"
max_in_flight = 3
weight = 1.5
[[backend]]
address = "[::1]:3003"
max_in_flight = 3
priority = 1
"""


def pool(
    algorithm: str = '"round_robin"',
    key: str = "client_ip",
    more: str = "",
    socket: str = "/run/lb.sock",
) -> Scenario:
    text = POOL.format(algorithm=algorithm, key=key, socket=socket)
    return Scenario.parse(text + more, "lb.toml")


def lines(text: str) -> list[str]:
    """Without comments and indentation."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


KEYS = ("client_ip", "header:X-Key", "cookie:sid", "path", "uri")
CASES = [(name, KEYS[number % len(KEYS)]) for number, name in enumerate(REGISTRY)]


@pytest.mark.parametrize(("algorithm", "key"), [*CASES, *(("maglev", key) for key in KEYS)])
def test_they_take_every_algorithm(algorithm: str, key: str, tmp_path: Path) -> None:
    for kind in ("haproxy", "nginx"):
        text = export(pool(f'"{algorithm}"', key, socket=f"{tmp_path}/s"), kind).text
        said = complaints(kind, text, tmp_path)
        assert not said, said


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_names_all_of_ours_but_the_one_that_holds_another(kind: str) -> None:
    assert KINDS[kind].keys() == REGISTRY.keys() - {"sticky"}
    for match in KINDS[kind].values():
        assert match.ours.partition(":")[0] in REGISTRY


@pytest.mark.parametrize(
    ("kind", "algorithm", "written", "ours"),
    [
        ("haproxy", '"p2c"', "balance random(2)", "p2c:choices=2,replacement=true"),
        ("haproxy", '"p2c:choices=3"', "balance random(3)", "p2c:choices=3,replacement=true"),
        ("haproxy", '"round_robin"', "balance roundrobin", "round_robin"),
        (
            "haproxy",
            '"weighted_round_robin"',
            "balance roundrobin",
            "weighted_round_robin:sequence=fwrr",
        ),
        (
            "haproxy",
            '"weighted_round_robin:sequence=static"',
            "balance static-rr",
            "weighted_round_robin:sequence=static",
        ),
        (
            "haproxy",
            '"least_connections"',
            "balance leastconn",
            "least_connections:load=idle_first",
        ),
        ("haproxy", '"maglev"', "balance source", "consistent_hash"),
        (
            "haproxy",
            '{ name = "consistent_hash", balance_factor = 1.25 }',
            "hash-balance-factor 125",
            "consistent_hash",
        ),
        ("nginx", '"p2c"', "random two least_conn;", "p2c:choices=2"),
        ("nginx", '"least_connections"', "least_conn;", "least_connections:load=before"),
        ("nginx", '"consistent_hash"', "hash $remote_addr consistent;", "consistent_hash"),
        ("nginx", '"ip_hash"', "ip_hash;", "ip_hash"),
        ("nginx", '{ name = "sticky", inner = "p2c" }', "random two least_conn;", "p2c:choices=2"),
    ],
)
def test_the_method_and_what_it_is_in_our_words(
    kind: str, algorithm: str, written: str, ours: str
) -> None:
    found = export(pool(algorithm), kind)
    assert written in lines(found.text)
    assert found.algorithm == ours


def test_what_only_looks_alike_is_told() -> None:
    found = export(pool('"peak_ewma"'), "haproxy")
    assert found.method == "balance random(2)"
    (told,) = (row for row in found.missing if row.key == "algorithm")
    assert told.given
    assert told.place == "lb.toml:2 algorithm"
    assert "latencies" in told.why
    assert f"- {told.key}: " in found.text


@pytest.mark.parametrize(
    ("kind", "sequence", "told"),
    [
        *(("haproxy", "smooth", True), ("haproxy", "edf", True), ("haproxy", "fwrr", False)),
        *(("haproxy", "static", False), ("nginx", "smooth", False), ("nginx", "static", True)),
    ],
)
def test_another_order_of_turns_is_told(kind: str, sequence: str, told: bool) -> None:
    found = export(pool(f'"weighted_round_robin:sequence={sequence}"'), kind)
    odd = [row.why for row in found.missing if row.key == "algorithm"]
    assert odd == ["another order within a period, the same shares"] * told
    assert found.differs == "", "our words say which"


@pytest.mark.parametrize(
    ("kind", "load", "told"),
    [
        *(("haproxy", "after", True), ("haproxy", "idle_first", False)),
        *(("nginx", "after", True), ("nginx", "before", False), ("nginx", "idle_first", True)),
    ],
)
def test_another_way_to_count_what_is_in_flight_is_told(kind: str, load: str, told: bool) -> None:
    found = export(pool(f'"least_connections:load={load}"'), kind)
    odd = [row.why for row in found.missing if row.key == "algorithm"]
    assert bool(odd) == told
    assert all("ties" in why for why in odd)


def test_defaults_that_hold_are_told_behind_what_the_file_says() -> None:
    found = export(pool(more='[hedging]\nafter = "50ms"\n'), "nginx")
    order = [row.given for row in found.missing]
    assert order == sorted(order, reverse=True)
    keys = {row.key: row.given for row in found.missing}
    assert keys["hedging.after"]
    assert not keys["panic.threshold"]
    assert "lb.toml:26 hedging.after" in {row.place for row in found.missing}


def test_limits_of_servers_and_the_line_before_them() -> None:
    text = lines(export(pool(), "haproxy").text)
    full = "http-request deny deny_status 503 if { be_conn_free(pool) le 0 } { queue(pool) ge 5 }"
    assert full in text
    assert "maxconn 3" in next(line for line in text if line.startswith("server a_b "))
    assert "max_conns=3" in export(pool(), "nginx").text


def test_clients_hear_the_address_of_the_backend() -> None:
    text = lines(export(pool(), "haproxy").text)
    assert "http-response set-header X-Backend-Server 127.0.0.1:3001 if { srv_id 1 }" in text
    silent = export(pool(more="[tracing]\n"), "nginx").text
    assert "add_header X-Backend-Server" in silent
    quiet = Scenario.parse("[server]\nbackend_header = false\n")
    assert "add_header X-Backend-Server" not in export(quiet, "nginx").text
    assert "http-response del-header X-Backend-Server" in lines(export(quiet, "haproxy").text)


def test_weights_are_whole_numbers_in_the_same_proportions() -> None:
    assert whole([1, 5], 256) == ([1, 5], 0)
    assert whole([1.0, 2.5], 256) == ([2, 5], 0)
    assert whole([1, 1], 256, fine=True) == ([256, 256], 0)
    numbers, off = whole([1e-6, 1], 256)
    assert numbers == [1, 256]
    assert off > 1


def test_backups_where_the_method_takes_none_are_out() -> None:
    found = export(pool('"consistent_hash"'), "nginx")
    assert "server [::1]:3003 weight=2 max_conns=3 max_fails=5 fail_timeout=10s down;" in lines(
        found.text
    )
    assert "backend[2].priority" in {row.key for row in found.missing}


def test_what_is_not_known_and_what_is_not_there() -> None:
    with pytest.raises(UsageError, match="did you mean 'haproxy'"):
        export(pool(), "haprxy")
    found = Scenario.parse('[[discovery]]\ndns = "web.internal:80"\n', "lb.toml")
    with pytest.raises(ConfigError, match=r"lb\.toml:1 discovery: .*name some \[\[backend\]\]"):
        export(found, "nginx")
