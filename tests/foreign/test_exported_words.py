"""Names, paths and keys as other balancers read them, and what they have no word for."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.config import Scenario
from lb.foreign import export, load
from tests.foreign.checking import complaints
from tests.foreign.test_envoy import written

SERVERS = """
[[backend]]
address = "127.0.0.1:3001"
name = 'a "b" #1'
[[backend]]
address = "127.0.0.1:3002"
"""


def file(more: str = "", head: str = "", servers: str = SERVERS) -> Scenario:
    return Scenario.parse(f"{head}\n{more}\n{servers}", "lb.toml")


def told(scenario: Scenario, kind: str) -> dict[str, str]:
    return {row.key: row.why for row in export(scenario, kind).missing}


ODD = """
[server]
health_path = '''/it's"1"'''
upgrades = ["a.b+c", "x$y"]
[health]
path = '''/it's?a="b"&c=#$1'''
match = '''^\\d+ "it's" $HOME #1$'''
[tracing]
request_id = "X'Id"
[access_log]
file = "{log}"
"""


@pytest.mark.parametrize("kind", ["haproxy", "nginx"])
def test_odd_letters_are_quoted(kind: str, tmp_path: Path) -> None:
    log = f"{tmp_path}/a log #1;" if kind == "nginx" else "syslog:/dev/a log;"
    said = complaints(kind, export(file(ODD.format(log=log)), kind).text, tmp_path)
    assert not said, said


@pytest.mark.parametrize(
    ("kind", "algorithm", "key"),
    [
        ("haproxy", "sticky", "header:X'Y"),
        ("haproxy", "sticky", "header:X-Y"),
        ("haproxy", "consistent_hash", "cookie:a-b.c"),
        ("nginx", "consistent_hash", "header:X_Y"),
        ("nginx", "consistent_hash", "header:X.Y"),
        ("nginx", "consistent_hash", "cookie:a-b.c"),
    ],
)
def test_odd_keys_are_taken(kind: str, algorithm: str, key: str, tmp_path: Path) -> None:
    text = export(file(head=f'algorithm = "{algorithm}"\nkey = "{key}"'), kind).text
    said = complaints(kind, text, tmp_path)
    assert not said, said


def test_a_pattern_comes_back_as_it_was(tmp_path: Path) -> None:
    more = "[health]\nmatch = '''^\\d+ \"it's\" $HOME #1$'''"
    path = tmp_path / "haproxy.cfg"
    path.write_text(export(file(more), "haproxy").text)
    assert load(path).scenario.health.match == '^\\d+ "it\'s" $HOME #1$'


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("header:X-User", 'map $http_x_user $lb_key { "" $remote_addr; default $http_x_user; }'),
        ("header:X_User", "underscores_in_headers on;"),
        (
            "cookie:a-b",
            (
                "map $http_cookie $lb_key { default $remote_addr; "
                '"~(?:^|; *)a\\-b=(?<lb_value>[^;]+)" $lb_value; }'
            ),
        ),
    ],
)
def test_who_lacks_the_key_has_its_address_in_nginx(key: str, line: str, tmp_path: Path) -> None:
    found = export(file(head=f'algorithm = "consistent_hash"\nkey = "{key}"'), "nginx")
    assert line in (it.strip() for it in found.text.splitlines())
    assert "hash $lb_key consistent;" in found.text
    path = tmp_path / "nginx.conf"
    path.write_text(found.text)
    back = load(path)
    assert back.scenario.key.lower().replace("_", "-") == key.lower().replace("_", "-")
    assert not [row for row in back.missing if "map" in row.directive]


@pytest.mark.parametrize(
    ("kind", "head", "key", "why"),
    [
        ("nginx", 'algorithm = "consistent_hash:balance_factor=1.25"', "algorithm", "balance_fac"),
        ("haproxy", 'algorithm = "p2c"', "algorithm", "the same one may be drawn twice; shares"),
        ("haproxy", 'algorithm = "p2c:replacement=true"', "algorithm", "shares are those of"),
        ("envoy", 'algorithm = "p2c:choices=1"', "algorithm", "a table without a key: drawn"),
        ("nginx", 'algorithm = "p2c:choices=3"', "algorithm", "two are drawn, not 3"),
        ("haproxy", 'algorithm = "maglev"\nkey = "uri"', "algorithm", "maglev is not known; uri"),
        ("haproxy", 'algorithm = "sticky:drain=5s"', "algorithm.drain", "clients stay with a"),
        (
            "haproxy",
            'algorithm = "consistent_hash"\nkey = "header:X"',
            "key",
            "whoever lacks it is placed in turn, not by its address",
        ),
        (
            "nginx",
            'algorithm = "consistent_hash"\nkey = "header:X.Y"',
            "key",
            "no header of such a name can be read; clients' addresses are hashed",
        ),
        (
            "nginx",
            'algorithm = "consistent_hash"\n[server]\ntrusted_proxies = ["10.0.0.0/8"]',
            "key",
            "clients behind one of trusted_proxies all have its address",
        ),
        ("haproxy", "[health]\njitter = 0.9", "health.jitter", "50% of the interval at most"),
        ("haproxy", "", "health.host", "checks say the same Host to all servers: lb, unless"),
    ],
)
def test_what_there_is_no_word_for_is_told(kind: str, head: str, key: str, why: str) -> None:
    assert told(file(head=head), kind)[key].startswith(why)


def test_names_are_looked_up_once_and_written_in_ascii() -> None:
    found = export(file(servers='[[backend]]\naddress = "bücher.example:80"\n'), "haproxy")
    assert "xn--bcher-kva.example:80 weight" in found.text
    assert "init-addr last,libc,none" in found.text
    assert found.missing[0].why == "names are looked up when it starts, and not again"


def test_files_are_written_by_their_whole_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tls = '[server.tls]\ncertificate = "c.pem"\nkey = "c.pem.key"\n'
    scenario = Scenario.parse(f"{tls}{SERVERS}", "conf/lb.toml")
    assert f"crt {tmp_path}/conf/c.pem " in export(scenario, "haproxy").text
    assert f"ssl_certificate_key {tmp_path}/conf/c.pem.key;" in export(scenario, "nginx").text
    assert f'"filename": "{tmp_path}/conf/c.pem"' in export(scenario, "envoy").text


def test_a_certificate_for_an_address() -> None:
    """HAProxy and nginx look for names alone, so a right certificate would be refused."""
    tls = '[backend.tls]\nca = "/ca.pem"\n'
    scenario = file(servers=f'[[backend]]\naddress = "127.0.0.1:1"\nhealth_port = 2\n{tls}')
    found = export(scenario, "haproxy")
    assert "verify required ca-file /ca.pem" in found.text
    assert "verifyhost" not in found.text
    assert "port 2 check-ssl" in found.text
    assert found.missing[0].key == "backend[0].tls.server_name"
    assert "backend[0].tls.server_name" in told(scenario, "nginx")


def test_checks_say_the_host_that_lb_would() -> None:
    servers = '[[backend]]\naddress = "a.example:80"\n[[backend]]\naddress = "127.0.0.1:3002"\n'
    assert "hdr Host %[srv_name]" in export(file(servers=servers), "haproxy").text
    cluster = written("round_robin")["static_resources"]["clusters"][0]
    checks = [
        it["endpoint"]["health_check_config"]["hostname"]
        for group in cluster["load_assignment"]["endpoints"]
        for it in group["lb_endpoints"]
    ]
    assert checks[0] == "127.0.0.1:3001"
