"""`[[discovery]]` in the file: what may be said, and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.config import BackendTable, Scenario
from lb.config.changes import multiplied
from lb.config.discovery import DiscoveryTable
from lb.errors import ConfigError, UsageError
from tests.config.test_file import complaints

FILE = """\
[queue]
limit = 10
[tiers]
local_zone = "here"
[[discovery]]
dns = "web.internal:3000"
nameservers = ["10.0.0.2", "10.0.0.3:5353", "::1", "[::1]:54"]
interval = "2s"
[discovery.backend]
max_in_flight = 10
zone = "here"
health = { path = "/ready" }
[[discovery]]
srv = "_http._tcp.web.internal"
[[discovery]]
file = "backends.toml"
"""


def test_a_file_with_discovery_needs_no_backends_and_has_none_by_default() -> None:
    scenario = Scenario.parse(FILE, "dir/lb.toml")
    assert scenario.backends == ()
    assert scenario.setup().backends == ()
    assert [table.source for table in scenario.discovery] == [
        "dns web.internal:3000",
        "srv _http._tcp.web.internal",
        f"file {Path('dir/backends.toml')}",
    ]
    assert [table.every for table in scenario.discovery] == [2, 10, 1]
    assert Scenario(discovery=[{"file": "b.json"}]).backends == ()


def test_backends_of_the_file_stay_beside_it() -> None:
    text = FILE + '[[backend]]\naddress = "h:1"\npriority = 1\n'
    assert [row.label for row in Scenario.parse(text).backends] == ["h:1"]
    assert len(Scenario.parse("").backends) == 3, "without discovery there are defaults"


MISTAKES = {
    "no source": (
        '[[discovery]]\ninterval = "1s"\n',
        "lb.toml:1 discovery[0]",
        'no source; give dns = "NAME:PORT", srv = "NAME" or file = "PATH"',
    ),
    "two sources": (
        '[[discovery]]\ndns = "web:80"\nfile = "x"\n',
        "lb.toml:3 discovery[0].file",
        "dns is given too; write a table for each",
    ),
    "an address": (
        '[[discovery]]\ndns = "10.0.0.1:80"\n',
        "lb.toml:2 discovery[0].dns",
        "'10.0.0.1:80' is an address already; write it as [[backend]] address = \"...\"",
    ),
    "no port": (
        '[[discovery]]\ndns = "web:0"\n',
        "lb.toml:2 discovery[0].dns",
        "'web:0' has no port that backends could have",
    ),
    "a socket": (
        '[[discovery]]\ndns = "unix:/run/x"\n',
        "lb.toml:2 discovery[0].dns",
        "'unix:/run/x' has no port that backends could have",
    ),
    "no name": (
        '[[discovery]]\nsrv = "web..internal"\n',
        "lb.toml:2 discovery[0].srv",
        "'web..internal' is no name, such as web.internal",
    ),
    "no file": (
        '[[discovery]]\nfile = ""\n',
        "lb.toml:2 discovery[0].file",
        "names no file",
    ),
    "a name server by name": (
        '[[discovery]]\ndns = "web:80"\nnameservers = ["10.0.0.2",\n"ns:53"]\n',
        "lb.toml:4 discovery[0].nameservers[1]",
        "'ns:53' is no address of a name server, such as \"10.0.0.2:53\"",
    ),
    "name servers of a file": (
        '[[discovery]]\nfile = "x"\nnameservers = ["10.0.0.2"]\n',
        "lb.toml:3 discovery[0].nameservers",
        "a file is read; nobody is asked",
    ),
    "a family of the system's": (
        '[[discovery]]\nsrv = "web"\nfamily = "ipv4"\n',
        "lb.toml:3 discovery[0].family",
        "the system looks targets up; give nameservers",
    ),
    "a weight for a service": (
        '[[discovery]]\nsrv = "web"\n[discovery.backend]\nweight = 3\n',
        "lb.toml:4 discovery[0].backend.weight",
        "each SRV record says its own",
    ),
    "an address for all": (
        '[[discovery]]\nsrv = "web"\n[discovery.backend]\naddress = "h:1"\n',
        "lb.toml:4 discovery[0].backend.address",
        "unknown key; known: ",
    ),
    "the same twice": (
        '[[discovery]]\ndns = "web:80"\n[[discovery]]\nfile = "x"\n[[discovery]]\ndns = "web:80"\n',
        "lb.toml:6 discovery[2].dns",
        "is given twice, first as discovery[0]",
    ),
    "a check that reads nothing": (
        '[[discovery]]\ndns = "web:80"\n[discovery.backend.health]\nkind = "tcp"\npath = "/x"\n',
        "lb.toml:5 discovery[0].backend.health.path",
        'a check of kind "tcp" asks and reads nothing',
    ),
    "nobody at all": (
        "backend = []\n",
        "lb.toml:1 backend",
        "no backends; give at least one [[backend]], or a [[discovery]]",
    ),
}


@pytest.mark.parametrize(("text", "place", "why"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(text: str, place: str, why: str) -> None:
    (line,) = complaints(text)
    assert line.startswith(f"{place}: {why}")


def test_a_wrong_table_makes_no_other_mistakes() -> None:
    (line,) = complaints(FILE.replace("srv =", "svr ="))
    assert "discovery[1].svr: unknown key; did you mean 'srv'?" in line


def test_what_is_said_of_all_holds_where_a_backend_says_nothing() -> None:
    table = DiscoveryTable.model_validate(
        {"file": "x", "backend": {"weight": 3, "zone": "a", "health_port": 99}}
    )
    row = table.completed(BackendTable(address="h:1", zone="b", health={"port": 7}))  # type: ignore[arg-type]
    assert (row.weight, row.zone, row.health_port) == (3, "b", None)
    assert table.completed(BackendTable(address="h:1")).health_port == 99
    assert table.completed(BackendTable(address="unix:/x")).health_port is None


@pytest.mark.parametrize(
    ("source", "row", "name"),
    [
        ({"dns": "web.internal:443"}, {"address": "10.0.0.1:443"}, "web.internal"),
        ({"srv": "_web"}, {"address": "10.0.0.1:443", "name": "a.internal:443"}, "a.internal"),
        ({"file": "x"}, {"address": "10.0.0.1:443"}, None),
    ],
)
def test_a_certificate_is_for_the_name_that_led_there(
    source: dict[str, str], row: dict[str, str], name: str | None
) -> None:
    for own in (None, "other"):
        table = DiscoveryTable.model_validate({**source, "backend": {"tls": {"server_name": own}}})
        found = table.completed(BackendTable.model_validate(row))
        assert found.tls is not None
        assert found.tls.server_name == (own or name)
    plain = DiscoveryTable.model_validate(source).completed(BackendTable.model_validate(row))
    assert plain.tls is None


def test_there_is_nothing_to_simulate_where_all_are_found() -> None:
    scenario = Scenario.parse(FILE + '[traffic]\narrivals = { process = "poisson", rate = 1 }\n')
    with pytest.raises(ConfigError, match=r"no backends to simulate: .* only while lb serve runs"):
        scenario.modelled()
    with pytest.raises(UsageError, match="no backends of its own"):
        multiplied(scenario, 2)


def test_simulated_are_those_of_the_file_and_that_is_said() -> None:
    scenario = Scenario.parse(
        '[[discovery]]\nfile = "x"\n[[backend]]\naddress = "h:1"\n[backend.model]\n'
        'service = "exponential:10ms"\n[traffic]\narrivals = { process = "poisson", rate = 1 }\n'
    )
    assert scenario.notes_of_runs() == [
        "backends found by file x are none of these: lb serve finds them"
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "is not there yet"),
        ('backend = ["h:1",\n"h"]', "b.toml:2 backend[1]: 'h' is not host:port"),
        ('backend = ["h:1"]', None),
    ],
)
def test_a_watched_file_that_gives_no_backends_is_warned_of(
    tmp_path: Path, text: str | None, why: str | None
) -> None:
    if text is not None:
        (tmp_path / "b.toml").write_text(text)
    scenario = Scenario.parse('[[discovery]]\nfile = "b.toml"\n', str(tmp_path / "lb.toml"))
    told = [it.why for it in scenario.warnings() if "discovery" in it.place]
    assert bool(told) == bool(why)
    assert all(str(why) in it for it in told)
