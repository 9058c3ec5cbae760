"""`[health]` and `[backend.health]`: what they say, and what they cannot mean."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from lb.balancing import HealthPolicy, Settings
from lb.config import HealthTable, Scenario
from tests.config.test_mistakes import complaints


@pytest.mark.parametrize(
    ("expect", "well", "ill"),
    [
        ('"200-299"', {200, 250, 299}, {199, 300}),
        ('"200,204"', {200, 204}, {201, 203, 205}),
        ('" 200 , 300-302"', {200, 300, 302}, {201, 299, 303}),
        ('["200-299", 401]', {200, 299, 401}, {300, 400, 402}),
        ("204", {204}, {200, 205}),
        ('["204"]', {204}, {200}),
    ],
)
def test_expected_statuses_are_one_a_range_or_several(
    expect: str, well: set[int], ill: set[int]
) -> None:
    health = Scenario.parse(f"[health]\nexpect = {expect}\n").health
    assert all(health.expects(status) for status in well)
    assert not any(health.expects(status) for status in ill)
    assert HealthTable(expect=health.expect) == HealthTable(expect=health.expect.split(", "))


FILE = """\
[health]
interval = "10s"
expect = "200"
match = "ready"
[[backend]]
address = "a:1"
[[backend]]
address = "b:1"
health_port = 9000
[[backend]]
address = "c:1"
[backend.health]
kind = "tcp"
interval = "200ms"
fall = 5
[[backend]]
address = "d:1"
[backend.health]
enabled = false
"""


def test_a_backend_has_the_files_checks_but_for_what_it_names() -> None:
    scenario = Scenario.parse(FILE)
    a, b, c, d = (row.checked_by(scenario.health) for row in scenario.backends)
    assert a is scenario.health
    assert (b.port, b.interval, b.expect, b.match) == (9000, 10.0, "200", "ready")
    assert (c.kind, c.interval, c.fast_interval, c.fall, c.rise) == ("tcp", 0.2, 0.2, 5, 2)
    assert (d.enabled, d.interval, a.enabled) == (False, 10.0, True)


def test_only_what_decides_goes_into_a_setup_and_only_where_it_differs() -> None:
    setup = Scenario.parse(FILE).setup()
    assert setup.health == HealthPolicy(interval=10.0)
    assert [row.health for row in setup.backends] == [
        None,
        None,
        HealthPolicy(interval=0.2, fast_interval=0.2, fall=5),
        HealthPolicy(interval=10.0, enabled=False),
    ]
    for row in setup.backends:
        assert Settings.from_dict(**asdict(row)) == row


def test_while_deciding_checks_are_never_slower_than_else() -> None:
    def fast(text: str) -> float:
        return Scenario.parse("[health]\n" + text).health.fast_interval

    assert fast("") == 1.0
    assert fast('interval = "250ms"') == 0.25
    assert fast('interval = "250ms"\nfast_interval = "300ms"') == 0.3, "as the file says"


def test_a_text_to_be_found_is_a_regular_expression() -> None:
    assert Scenario.parse("[health]\nmatch = 'a+\\.b'\n").health.match == r"a+\.b"


MISTAKES = {
    "one status of a list": (
        '[health]\nexpect = [200,\n"3xx"]\n',
        "lb.toml:3 health.expect[1]",
        "'3xx' is no status or range of them, such as \"200-299\"",
    ),
    "one status of a text": (
        '[health]\nexpect = "200, 299-204"\n',
        "lb.toml:2 health.expect",
        "'299-204' ends before it begins",
    ),
    "no status": ("[health]\nexpect = []\n", "lb.toml:2 health.expect", "such as"),
    "a status that is none": (
        "[health]\nexpect = [true]\n",
        "lb.toml:2 health.expect[0]",
        "should be a status",
    ),
    "a bad expression": (
        "[health]\nmatch = 'ready('\n",
        "lb.toml:2 health.match",
        r"for the text itself write 'ready\('",
    ),
    "nothing to be found": ('[health]\nmatch = ""\n', "lb.toml:2 health.match", "leave it out"),
    "a host that is none": (
        '[health]\nhost = "a b"\n',
        "lb.toml:2 health.host",
        "such as",
    ),
    "a port too high": (
        '[[backend]]\naddress = "a:1"\nhealth_port = 70000\n',
        "lb.toml:3 backend[0].health_port",
        "port 70000 is not between 1 and 65535",
    ),
    "a port too low": ("[health]\nport = 0\n", "lb.toml:2 health.port", "port 0 is not"),
    "two ports": (
        '[[backend]]\naddress = "a:1"\nhealth_port = 1\nhealth.port = 2\n',
        "lb.toml:3 backend[0].health_port",
        "give one of them",
    ),
    "a kind that is none": (
        '[health]\nkind = "udp"\n',
        "lb.toml:2 health.kind",
        "none of: http, tcp",
    ),
    "an answer that is not read": (
        '[health]\nkind = "tcp"\nmatch = "ready"\n',
        "lb.toml:3 health.match",
        'kind = "http" does',
    ),
    "an answer that one does not read": (
        '[health]\nkind = "tcp"\n[[backend]]\naddress = "a:1"\nhealth = { path = "/up" }\n',
        "lb.toml:5 backend[0].health.path",
        'kind = "http" does',
    ),
    "a key of one backend": (
        '[[backend]]\naddress = "a:1"\n[backend.health]\nintervall = "1s"\n',
        "lb.toml:4 backend[0].health.intervall",
        "did you mean 'interval'",
    ),
    "two answers at one path": (
        '[server]\nhealth_path = "/lb"\nstats_path = "/lb"\n',
        "lb.toml:3 server.stats_path",
        "'/lb' is health_path too",
    ),
    "two answers at a path by default": (
        '[server]\nhealth_path = "/lb-stats"\n',
        "lb.toml:2 server.health_path",
        "'/lb-stats' is stats_path too",
    ),
}


@pytest.mark.parametrize(("text", "where", "what"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place(text: str, where: str, what: str) -> None:
    (problem,) = complaints(text)
    place, _, why = problem.partition(": ")
    assert place == where
    assert what in why


def test_neither_path_may_be_there() -> None:
    server = Scenario.parse('[server]\nhealth_path = ""\nstats_path = ""\n').server
    assert (server.health_path, server.stats_path) == ("", "")


def test_every_wrong_status_of_a_list_is_told() -> None:
    assert len(complaints('[health]\nexpect = ["a", 200, "b"]\n')) == 2
