"""What people write in a haproxy.cfg or an nginx.conf, and what of it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.errors import ConfigError
from lb.foreign import load
from lb.foreign.haproxy.words import split, word
from lb.foreign.imported import Imported


def read(at: Path, text: str) -> Imported:
    path = at / "other"
    path.write_text(text)
    return load(path)


def test_defaults_hold_where_they_are_named(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
defaults web
  mode http
  timeout connect 4s
defaults slow from web
  timeout server 9s
defaults tcp
  mode tcp
backend pool from slow
  server a 10.0.0.1:80
""",
    )
    assert (found.scenario.timeouts.connect, found.scenario.timeouts.response) == (4, 9)


@pytest.mark.parametrize(
    ("bind", "addresses"),
    [
        (":::80", ["0.0.0.0:80", "[::]:80"]),
        (":::80 v6only", ["[::]:80"]),
        ("*:80", ["0.0.0.0:80"]),
        ("127.0.0.1:80-82", ["127.0.0.1:80", "127.0.0.1:81", "127.0.0.1:82"]),
    ],
)
def test_where_haproxy_listens(bind: str, addresses: list[str], tmp_path: Path) -> None:
    text = f"listen a\n mode http\n bind {bind}\n server x 10.0.0.1:80\n"
    assert [it.address for it in read(tmp_path, text).scenario.listening()] == addresses


def test_what_is_said_of_a_template_holds_for_all_that_it_finds(tmp_path: Path) -> None:
    words = "check weight 5 maxconn 7 resolve-prefer ipv4"
    text = (
        f"backend a\n mode http\n option httpchk GET /up\n server-template t 3 web.x:80 {words}\n"
    )
    found = read(tmp_path, text)
    (table,) = found.scenario.discovery
    assert (table.dns, table.family, table.backend.max_in_flight) == ("web.x:80", "ipv4", 7)
    assert found.scenario.health.enabled
    assert found.scenario.health.path == "/up"
    assert [row.why for row in found.missing] == [
        "without option redispatch the same server is tried; lb tries another",
        "every address of web.x:80 is a backend, however many",
    ]


def test_a_server_without_a_place_of_its_own_is_left_out(tmp_path: Path) -> None:
    rows = "server x :8080\n server y 10.0.0.1:80\n server z abns@s\n server v ::1:80\n"
    found = read(tmp_path, f"backend a\n mode http\n {rows}")
    assert [it.address for it in found.scenario.backends] == ["10.0.0.1:80", "[::1]:80"]
    assert [row.directive for row in found.missing if "left out" in row.why] == [
        "server x :8080",
        "server z abns@s",
    ]


def test_certificates_lie_where_their_base_is(tmp_path: Path) -> None:
    text = """
global
  crt-base /etc/certs/
  ca-base /etc/ca
listen a
  mode http
  bind :443 ssl crt site.pem
  server x b:443 ssl verify required ca-file own.pem
  server y c:443 ssl verify required ca-file /whole.pem
"""
    found = read(tmp_path, text).scenario
    (listener,) = found.listening()
    assert listener.tls is not None
    assert listener.tls.certificate == "/etc/certs/site.pem"
    assert [it.tls and it.tls.ca for it in found.backends] == ["/etc/ca/own.pem", "/whole.pem"]


def test_the_environment_is_looked_into_in_double_quotes_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HERE", 'a "b"')
    monkeypatch.delenv("NOWHERE", raising=False)
    line = """ "${HERE}" '$HERE' "\\$HERE" "${NOWHERE-10.0.0.1}:80" "$NOWHERE" $HERE # "$HERE" """
    assert split(line) == ['a "b"', "$HERE", "$HERE", "10.0.0.1:80", "$NOWHERE", "$HERE"]


@pytest.mark.parametrize("text", ["a", "a b", "it's", 'a"b"', "$x", "#", "\\", "", "é ''"])
def test_a_word_is_quoted_so_that_it_is_one(text: str) -> None:
    assert split(f"a {word(text)} b") == ["a", text, "b"]


def test_what_nginx_says_around_its_servers_holds_in_them(tmp_path: Path) -> None:
    text = """
http {
  ssl_certificate /a.pem; ssl_certificate_key /a.key; ssl_protocols TLSv1.3;
  set_real_ip_from 10.0.0.0/8; set_real_ip_from unix:; real_ip_header X-Forwarded-For;
  client_max_body_size 0;
  server {
    listen [::]:443 ssl ipv6only=off;
    client_max_body_size 0;
    allow 10.0.0.0/8;
    location / { proxy_pass https://u:8443; }
  }
}
"""
    found = read(tmp_path, text)
    file = found.scenario
    assert [it.address for it in file.listening()] == ["0.0.0.0:443", "[::]:443"]
    assert {(it.tls.certificate, it.tls.min_version) for it in file.listening() if it.tls} == {
        ("/a.pem", "1.3")
    }
    assert file.server.trusted_proxies == ("10.0.0.0/8",)
    assert file.limits.body is None
    assert [row.why for row in found.missing] == [
        "unix: is no network that trusted_proxies could name",
        "clients are not told apart by their addresses",
    ]


def test_a_cookie_of_its_own_stands_in_front_of_the_method(tmp_path: Path) -> None:
    servers = "server b:80; server c:80; sticky cookie srv expires=1h;"
    found = read(tmp_path, f"upstream a {{ least_conn; {servers} }}\n")
    file = found.scenario
    assert (file.algorithm.name, file.key) == ("sticky", "cookie:srv")
    assert str(file.algorithm.settings["inner"]).startswith("least_connections")
    assert [row.why for row in found.missing] == [
        "the cookie is for the whole site, until the browser is closed"
    ]
    file = read(tmp_path, f"upstream a {{ ip_hash; {servers} }}\n").scenario
    assert file.algorithm.settings["inner"] == "round_robin"


def test_what_is_not_http_is_no_pool(tmp_path: Path) -> None:
    stream = "stream { upstream db { server d:1; } server { listen 1; proxy_pass db; } }"
    found = read(tmp_path, f"{stream}\nupstream a {{ server b:80; }}\n")
    assert [it.address for it in found.scenario.backends] == ["b:80"]
    assert [str(row) for row in found.missing] == [
        f"{tmp_path}/other:1 stream: lb balances HTTP alone"
    ]


def test_older_versions_of_tls_are_told(tmp_path: Path) -> None:
    tls = "ssl_certificate a; ssl_certificate_key b; ssl_protocols TLSv1 TLSv1.2;"
    found = read(
        tmp_path, f"server {{ listen 443 ssl; {tls} location / {{ proxy_pass http://u; }} }}"
    )
    assert "TLS 1.2 is the oldest that is spoken" in [row.why for row in found.missing]


def test_checks_hold_though_the_first_server_has_none(tmp_path: Path) -> None:
    text = """
backend a
  mode http
  option httpchk GET /x
  http-check expect status 204
  timeout check 7s
  server a 10.0.0.1:80
  server b 10.0.0.2:80 check
"""
    found = read(tmp_path, text).scenario
    health = found.health
    assert (health.enabled, health.path, health.expect, health.timeout) == (True, "/x", "204", 7)
    first, second = (it.checked_by(health) for it in found.backends)
    assert (first.enabled, second.enabled) == (False, True)


@pytest.mark.parametrize(
    "line",
    [
        f"hash-balance-factor {'9' * 400}",
        f"timeout connect {'9' * 400}",
        f"timeout connect {'9' * 305}d",
        f"retries {'9' * 400}",
    ],
)
def test_numbers_that_are_too_large_are_told(line: str, tmp_path: Path) -> None:
    text = f"backend a\n mode http\n balance source\n {line}\n server a 10.0.0.1:80\n"
    with pytest.raises(ConfigError, match=r"other:4 .*letters is too large"):
        read(tmp_path, text)
    with pytest.raises(ConfigError, match=r"other:2 .*letters is too large"):
        read(tmp_path, f"global\n spread-checks {'9' * 400}\n{text}")


def test_a_bind_whose_certificates_are_in_a_list_is_no_plain_one(tmp_path: Path) -> None:
    binds = " bind *:80\n bind *:443 ssl crt-list /etc/x\n"
    found = read(tmp_path, f"listen a\n mode http\n{binds} server x 10.0.0.1:80\n")
    assert [it.address for it in found.scenario.listening()] == ["0.0.0.0:80"]
    assert "*:443 is left out" in next(it.why for it in found.missing if "443" in it.directive)


@pytest.mark.parametrize(("let_in", "told"), [("on", True), ("off", False)])
def test_a_key_that_has_two_spellings_in_nginx_is_told(
    let_in: str, told: bool, tmp_path: Path
) -> None:
    found = read(
        tmp_path,
        f"""
events {{}}
http {{
  underscores_in_headers {let_in};
  upstream a {{ hash $http_x_a_b consistent; server 10.0.0.1:80; }}
  server {{ listen 80; location / {{ proxy_pass http://a; }} }}
}}
""",
    )
    assert found.scenario.key == "header:x-a-b"
    assert any("underscores" in it.directive for it in found.missing) == told
