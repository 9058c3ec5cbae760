"""Where the file says to listen, and how: its forms, and what cannot be meant."""

from __future__ import annotations

import pytest

from lb.config import Listener, Scenario
from lb.errors import ConfigError

ONE = 'backend = ["a:1"]\n'


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Scenario.parse(ONE + text, "lb.toml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("", ["127.0.0.1:8080"]),
        ('[server]\nlisten = "[::1]:80"', ["[::1]:80"]),
        ('[server]\nlisten = ["a:80", "unix:/run/lb.sock"]', ["a:80", "unix:/run/lb.sock"]),
        ('[[listener]]\naddress = "a:81"', ["a:81"]),
        ('[server]\nlisten = "a:80"\n[[listener]]\naddress = "a:81"', ["a:80", "a:81"]),
        ('[server]\nlisten = ["a:0", "a:0"]', ["a:0", "a:0"]),
    ],
)
def test_all_places_to_listen_in_their_order(text: str, addresses: list[str]) -> None:
    assert [one.address for one in Scenario.parse(ONE + text).listening()] == addresses


def test_each_listener_speaks_in_its_own_way_and_names_files_beside_the_file() -> None:
    text = """
[server]
listen = "a:443"
[server.tls]
certificate = "own.pem"
key = "/keys/own.key"
[[listener]]
address = "unix:/run/lb.sock"
proxy_protocol = true
mode = "0660"
"""
    first, second = Scenario.parse(ONE + text, "/etc/lb/lb.toml").listening()
    assert first.tls is not None
    assert first.tls.pairs() == [((), "/etc/lb/own.pem", "/keys/own.key")]
    assert (first.tls.min_version, first.place) == ("1.2", ("server", "tls"))
    assert second == Listener("unix:/run/lb.sock", True, 0o660)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nlisten = []", "lb.toml:3 server.listen: names no address"),
        ("[server]\nlisten = 80", "lb.toml:3 server.listen: should be an address in quotes or a"),
        ('[server]\nlisten = ["a:1", "b"]', "lb.toml:3 server.listen[1]: 'b' is not host:port"),
        (
            '[server]\nlisten = "::1:80"',
            "server.listen: '::1:80' is not host:port; write \"[::1]:80\"",
        ),
        ('[server]\nlisten = "unix:lb.sock"', "names no file from the root on"),
        ('[server]\nlisten = "unix:/a b"', "is no path of a socket"),
        (f'[server]\nlisten = "unix:/{"a" * 107}"', "too long for a socket: 108 of 107 bytes"),
        (
            '[server]\nlisten = "a:1"\n[[listener]]\naddress = "a:1"',
            "lb.toml:5 listener[0].address: a:1 is given twice",
        ),
        ('[server]\nlisten = ["a:1", "a:1"]', "lb.toml:3 server.listen: a:1 is given twice"),
        ("[server.tls]", "lb.toml:2 server.tls.certificate: missing; give certificate and key"),
        (
            '[server.tls]\ncertificate = "a.pem"',
            "lb.toml:3 server.tls.certificate: has no key; give both",
        ),
        (
            '[server.tls]\ncertificate = "a"\nkey = "a"\n[[listener]]\naddress = "a:1"',
            "lb.toml:2 server.tls: nobody speaks it",
        ),
        (
            '[server.tls]\ncertificate = "a"\nkey = "a"\nmin_version = "1.1"',
            "lb.toml:5 server.tls.min_version: ",
        ),
        ('[[listener]]\naddress = "a:1"\nmode = "0660"', "listener[0].mode: is for Unix sockets"),
        ('[[listener]]\naddress = "unix:/a"\nmode = "rw"', "'rw' is no mode of a file"),
        (
            '[[listener]]\naddress = "a:1"\nproxy_from = ["10.0.0.0/8"]',
            "listener[0].proxy_from: is for proxy_protocol = true",
        ),
        (
            '[[listener]]\naddress = "a:1"\nproxy_protocol = true\nproxy_from = ["10.0.0.1/8"]',
            "listener[0].proxy_from[0]: 10.0.0.1/8 has host bits set",
        ),
        (
            '[[listener]]\naddress = "unix:/a"\nproxy_protocol = true\nproxy_from = ["10.0.0.0/8"]',
            "listener[0].proxy_from: clients of a Unix socket have no address",
        ),
    ],
)
def test_what_cannot_be_meant_of_a_listener_is_said_in_one_line(text: str, said: str) -> None:
    (problem,) = problems(text)
    assert said in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('proxy_protocol = "v3"', "backend[0].proxy_protocol"),
        ('[backend.tls]\nca = "a"\nverify = false', "tls.ca: nothing is verified"),
        ('[backend.tls]\nkey = "a"', "tls.key: has no certificate; give both"),
        ("tls = {}", "tls.server_name: missing; a Unix socket has no name"),
        ("health_port = 1", "health_port: unix:/run/a.sock has no ports"),
        ("[backend.health]\nport = 1", "health.port: unix:/run/a.sock has no ports"),
        ("[health]\nport = 1", "health.port: unix:/run/a.sock has no ports"),
    ],
)
def test_what_cannot_be_meant_of_a_backend_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Scenario.parse(f'[[backend]]\naddress = "unix:/run/a.sock"\n{text}', "lb.toml")
    (problem,) = caught.value.problems
    assert said in problem
