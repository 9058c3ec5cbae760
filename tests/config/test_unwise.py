"""What is right in a file and unwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.config import Scenario

PAIR = '[[backend]]\naddress = "h:1"\n[[backend]]\naddress = "h:2"\n'
UNEVEN = '[[backend]]\naddress = "h:1"\nweight = 8\n[[backend]]\naddress = "h:2"\nweight = 2\n'
LIMITED = '[[backend]]\naddress = "h:1"\nmax_in_flight = 1\n'
QUIET = '[server]\nstats_path = ""\n[[listener]]\n'
INTRODUCED = 'address = "a:1"\nproxy_protocol = true\n'
MODEL = 'model = { service = "exponential:10ms" }\n'


def told(text: str) -> dict[str, str]:
    """Keys and what is said of them."""
    warnings = Scenario.parse(text, "lb.toml").warnings()
    return {it.place.partition(" ")[2]: it.why for it in warnings}


@pytest.mark.parametrize("text", ["", PAIR, "[retries]\nbudget = 0.5\n" + PAIR])
def test_nothing_is_said_of_what_is_wise(text: str) -> None:
    assert told(text) == {}


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [
        ('[server]\nlisten = "0.0.0.0:80"', "server.stats_path", "reaches 0.0.0.0:80"),
        ('[server]\nlisten = "[::]:80"', "server.stats_path", "reaches [::]:80"),
        ('[server]\nlisten = "web:80"', "server.stats_path", "reaches web:80"),
        ('[[listener]]\naddress = "10.0.0.1:80"', "server.stats_path", "reaches 10.0.0.1:80"),
        (
            '[server]\nadmin = "10.0.0.1:81"\nadmin_token_file = "token"',
            "server.admin",
            "reaches 10.0.0.1:81",
        ),
        ("[health]\nenabled = false\n" + PAIR, "health.enabled", "nobody asks how h:1, h:2 are"),
        (
            "[health]\nenabled = false\n[outliers]\nenabled = false",
            "health.enabled",
            "[outliers] takes nobody out either",
        ),
        (
            PAIR + "health = { enabled = false }",
            "backend[1].health.enabled",
            "nobody asks how h:2 is",
        ),
        ("[retries]\nbudget = 0.4\n" + PAIR, "retries.budget", "give budget = 0.5"),
        (
            'algorithm = "weighted_random"\n' + UNEVEN,
            "retries.budget",
            "the loss of h:1, which gets 0.8",
        ),
        ('[timeouts]\ntotal = "40s"', "timeouts.drain", "total allows 40 s"),
        ('[timeouts]\ndrain = "5s"', "timeouts.drain", "response allows 60 s"),
        ('[timeouts]\nconnect = "2s"\nattempt = "1s"', "timeouts.connect", "after 1 s"),
        (
            '[timeouts]\ntotal = "1s"\n[queue]\nlimit = 1\n' + LIMITED,
            "queue.timeout",
            "1 s in line",
        ),
        ('[health]\ninterval = "1s"\ntimeout = "2s"', "health.timeout", "asked less often"),
        (
            '[[backend]]\naddress = "h:1"\ntls = { verify = false }',
            "backend[0].tls.verify",
            "on the way to h:1",
        ),
        (
            '[server]\ntrusted_proxies = ["10.0.0.0/8", "::/0"]',
            "server.trusted_proxies[1]",
            "::/0 is everybody",
        ),
        (
            QUIET + 'address = "[::]:80"\nproxy_protocol = true',
            "listener[0].proxy_protocol",
            "whoever reaches [::]:80 says who it is",
        ),
        (
            QUIET + f'{INTRODUCED}proxy_from = ["10.0.0.0/8", "0.0.0.0/0"]',
            "listener[0].proxy_from[1]",
            "0.0.0.0/0 is everybody",
        ),
    ],
)
def test_what_is_unwise_is_said_with_its_place(text: str, key: str, part: str) -> None:
    found = told(text)
    assert list(found) == [key]
    assert part in found[key]


@pytest.mark.parametrize(
    "text",
    [
        '[server]\nlisten = "0.0.0.0:80"\nstats_path = ""',
        '[server]\nlisten = ["[::1]:80", "127.0.0.2:80", "localhost:80", "unix:/run/lb"]',
        '[server]\nadmin = "unix:/run/lb.admin"',
        '[[listener]]\naddress = "unix:/run/lb"\nproxy_protocol = true',
        QUIET + f'{INTRODUCED}proxy_from = ["10.0.0.0/8"]',
        'algorithm = "random"\n' + UNEVEN,  # which goes by no weights
        "[retries]\nmax = 0\nbudget = 0.1\n" + PAIR,
        '[retries]\nbudget = 0.1\n[[backend]]\naddress = "h:1"',
        '[timeouts]\ntotal = "20s"',
        '[timeouts]\ndrain = "60s"',
        '[health]\ninterval = "1s"',
    ],
)
def test_what_is_not_is_not(text: str) -> None:
    assert told(text) == {}


@pytest.mark.parametrize(("rate", "said"), [(20, False), (200, True)])
def test_where_little_comes_the_floor_of_the_budget_is_enough(rate: int, said: bool) -> None:
    traffic = f'[traffic]\narrivals = {{ process = "poisson", rate = {rate} }}\n'
    rows = PAIR.replace("\n[[", f"\n{MODEL}[[") + MODEL
    assert bool(told("[retries]\nbudget = 0.1\n" + rows + traffic)) is said


def test_they_come_in_the_order_of_the_file() -> None:
    text = '[health]\nenabled = false\n[server]\nlisten = "0.0.0.0:1"'
    assert [it.place for it in Scenario.parse(text, "lb.toml").warnings()] == [
        "lb.toml:2 health.enabled",
        "lb.toml:3 server.stats_path",
    ]


@pytest.mark.parametrize(("mode", "said"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_secret_that_others_may_read_is_told(tmp_path: Path, mode: int, said: bool) -> None:
    for name in ("token", "key.pem"):
        (tmp_path / name).touch(mode)
        (tmp_path / name).chmod(mode)
    file = tmp_path / "lb.toml"
    file.write_text(
        '[server]\nadmin = "127.0.0.1:0"\nadmin_token_file = "token"\n'
        'tls = { certificate = "cert.pem", key = "key.pem" }\n'
    )
    found = [it.place.partition(" ")[2] for it in Scenario.load(file).warnings()]
    assert sorted(found) == (["server.admin_token_file", "server.tls.key"] if said else [])
