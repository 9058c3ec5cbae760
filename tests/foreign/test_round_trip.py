"""What is exported and read back is exported as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.config import Scenario
from lb.foreign import export, load
from lb.strategies import REGISTRY

FILE = """
[server]
listen = ["127.0.0.1:18080", "[::]:81"]
workers = 2
[[listener]]
address = "unix:/run/x.sock"
[timeouts]
connect = "250ms"
drain = "5s"
idle = "7s"
[limits]
body = 1000
client_connections = 500
[retries]
max = 2
on = ["connect", "reset", 503]
[queue]
limit = 5
[slow_start]
duration = "5s"
[health]
host = "x.example"
expect = "200,204-210"
match = 'a"b'
jitter = 0.1
[[backend]]
address = "127.0.0.1:3001"
weight = 5
max_in_flight = 3
name = "a"
[[backend]]
address = "127.0.0.1:3002"
max_in_flight = 3
weight = 1.5
tls = { server_name = "a.example", ca = "/ca.pem" }
[[backend]]
address = "[::1]:3003"
max_in_flight = 3
"""
BACKUP = FILE + "priority = 1\n"
KEYS = ("client_ip", "header:X-Key", "cookie:sid", "path", "uri")


def bare(text: str) -> list[str]:
    """Without comments."""
    return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("kind", ["haproxy", "nginx"])
@pytest.mark.parametrize("name", sorted(REGISTRY.keys() - {"sticky"}))
def test_there_and_back_and_there_again(kind: str, name: str, tmp_path: Path) -> None:
    key = KEYS[sorted(REGISTRY).index(name) % len(KEYS)]
    more = BACKUP if kind == "haproxy" else FILE
    file = Scenario.parse(f'algorithm = "{name}"\nkey = "{key}"\n{more}')
    there = export(file, kind)
    path = tmp_path / "other.conf"
    path.write_text(there.text)
    back = load(path)
    assert bare(export(back.scenario, kind).text) == bare(there.text)
    assert Scenario.parse(back.text).setup() == back.scenario.setup(), "the text says the same"


@pytest.mark.parametrize("kind", ["haproxy", "nginx"])
def test_what_comes_back_is_the_pool(kind: str, tmp_path: Path) -> None:
    file = Scenario.parse(f'algorithm = "least_connections"\n{FILE}')
    path = tmp_path / "other.conf"
    path.write_text(export(file, kind).text)
    back = load(path).scenario
    assert back.algorithm.name == "least_connections"
    rows = [(it.address, it.weight, it.max_in_flight) for it in back.backends]
    expected = [("127.0.0.1:3001", 10, 3), ("127.0.0.1:3002", 3, 3), ("[::1]:3003", 2, 3)]
    if kind == "nginx":
        del expected[1]  # it alone speaks TLS
    assert rows == expected
    assert (back.retries.max, back.retries.on) == (2, ("connect", "reset", 503))
    assert (back.timeouts.connect, back.timeouts.drain, back.timeouts.idle) == (0.25, 5, 7)
    assert (back.limits.body, back.limits.client_connections) == (1000, 500)
    assert back.server.workers == 2


def test_a_cookie_sticks_there_and_back(tmp_path: Path) -> None:
    algorithm = '{ name = "sticky", inner = "p2c:choices=3" }'
    file = Scenario.parse(f'algorithm = {algorithm}\nkey = "cookie:sid"\n{BACKUP}')
    path = tmp_path / "haproxy.cfg"
    path.write_text(export(file, "haproxy").text)
    back = load(path).scenario
    assert (back.algorithm.name, back.key) == ("sticky", "cookie:sid")
    assert back.algorithm.settings["inner"] == "p2c:choices=3,replacement=true"
    assert back.health.match == 'a"b'
    assert back.slow_start.duration == 5
    assert back.queue.limit == 5


@pytest.mark.parametrize("key", [it for it in KEYS if not it.startswith("cookie")])
def test_a_table_sticks_there_and_back(key: str, tmp_path: Path) -> None:
    head = f'algorithm = "sticky:inner=random,table=500"\nkey = "{key}"\n'
    path = tmp_path / "haproxy.cfg"
    path.write_text(export(Scenario.parse(head + FILE), "haproxy").text)
    back = load(path)
    assert back.scenario.key == key
    assert back.scenario.algorithm.name == "sticky"
    assert back.scenario.algorithm.settings == {"inner": "random", "table": 500}
    assert [row.directive.split()[0] for row in back.missing if "stick" in row.directive] == [
        "stick-table"
    ]


def test_each_server_is_checked_by_its_own_name_there_and_back(tmp_path: Path) -> None:
    file = Scenario.parse('backend = ["127.0.0.1:3001", "127.0.0.1:3002"]\n')
    path = tmp_path / "haproxy.cfg"
    path.write_text(export(file, "haproxy").text)
    assert load(path).scenario.health.host is None


@pytest.mark.parametrize("kind", ["haproxy", "nginx"])
def test_whose_word_counts_comes_back(kind: str, tmp_path: Path) -> None:
    networks = ["10.0.0.0/8", "2001:db8::/32"]
    more = f"trusted_proxies = {networks}\n"
    file = Scenario.parse(FILE.replace("workers = 2\n", f"workers = 2\n{more}"))
    path = tmp_path / "other.conf"
    found = export(file, kind)
    path.write_text(found.text)
    assert list(load(path).scenario.server.trusted_proxies) == networks
    assert "server.trusted_proxies" not in [row.key for row in found.missing]


@pytest.mark.parametrize(
    "text",
    [
        "listen a\n mode http\n option forwardfor\n server x b:80\n",
        (
            "server { location / { proxy_pass http://u; "
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }"
        ),
    ],
)
def test_who_believes_everybody_is_told_that_lb_does_not(text: str, tmp_path: Path) -> None:
    path = tmp_path / "other.conf"
    path.write_text(text)
    why = "what clients say is dropped, but for those of trusted_proxies"
    assert why in [row.why for row in load(path).missing]


def test_who_may_say_who_a_client_is_comes_back(tmp_path: Path) -> None:
    rows = '[[listener]]\naddress = "127.0.0.1:82"\nproxy_protocol = true\nproxy_from = ["::1"]\n'
    file = Scenario.parse(FILE.replace("[timeouts]", f"{rows}[timeouts]"))
    path = tmp_path / "haproxy.cfg"
    path.write_text(export(file, "haproxy").text)
    found = [it for it in load(path).scenario.listening() if it.proxy_protocol]
    assert [(it.address, it.proxy_from) for it in found] == [("127.0.0.1:82", ("::1",))]


@pytest.mark.parametrize("kind", ["haproxy", "nginx"])
def test_the_field_of_an_id_comes_back(kind: str, tmp_path: Path) -> None:
    file = Scenario.parse(FILE + '[tracing]\nrequest_id = "X-Id"\n')
    path = tmp_path / "other.conf"
    path.write_text(export(file, kind).text)
    back = load(path)
    assert back.scenario.tracing.request_id == "X-Id"
    assert not [row for row in back.missing if "X-Id" in row.directive]


def test_all_certificates_come_back_with_their_keys(tmp_path: Path) -> None:
    names = [f"{tmp_path}/{it}.pem" for it in "ab"]
    Path(f"{names[0]}.key").touch()
    pairs = ", ".join(f'{{ certificate = "{it}", key = "{it}.key" }}' for it in names)
    tls = f'[server.tls]\nmin_version = "1.3"\ncertificates = [{pairs}]\n'
    path = tmp_path / "haproxy.cfg"
    path.write_text(
        export(Scenario.parse(FILE.replace("[timeouts]", f"{tls}[timeouts]")), "haproxy").text
    )
    (found, *_) = [it.tls for it in load(path).scenario.listening() if it.tls]
    assert found.min_version == "1.3"
    assert [pair[1:] for pair in found.pairs()] == [
        (names[0], f"{names[0]}.key"),
        (names[1], names[1]),
    ]


@pytest.mark.parametrize("upgrades", [["websocket", "a.b+c"], [], ["*"]])
def test_upgrades_come_back(upgrades: list[str], tmp_path: Path) -> None:
    more = f"workers = 2\nupgrades = {upgrades}\n"
    path = tmp_path / "nginx.conf"
    path.write_text(export(Scenario.parse(FILE.replace("workers = 2\n", more)), "nginx").text)
    assert list(load(path).scenario.server.upgrades) == upgrades


def test_without_the_field_nothing_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text("server { location / { proxy_pass http://u; } }")
    assert load(path).scenario.server.upgrades == ()
