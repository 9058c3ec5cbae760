"""A whole file as it takes effect: read again it is the same scenario."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import Scenario, effective, effective_text
from lb.config.toml import toml
from tests.config.test_file import EXAMPLE

SHIPPED = sorted(Path("loadtests/scenarios").absolute().glob("*.toml"))
PECULIAR = {
    "checks that only connect": '[health]\nkind = "tcp"',
    "a backend's own checks": (
        '[[backend]]\naddress = "h:1"\nhealth = { interval = "100ms" }\n'
        '[[backend]]\naddress = "h:2"\nhealth = { kind = "tcp" }'
    ),
    "no budget": "[retries]\nbudget = 0.0\nmin_per_second = 0",
    "no retries": "[retries]\nmax = 0",
    "only further listeners": '[[listener]]\naddress = "127.0.0.1:1"\nproxy_protocol = true',
    "further listeners": '[server]\nlisten = ["h:1", "h:2"]\n[[listener]]\naddress = "unix:/a"',
    "algorithm with parameters": 'algorithm = "sticky:inner=p2c:choices=3,drain=10s"',
    "hedges": '[hedging]\nafter = "p95"',
    "hedges after a time": '[hedging]\nafter = "70ms"\n[retries]\non = ["connect", 503]',
    "adaptive": (
        '[queue]\nlimit = 5\ndiscipline = "adaptive"\n[[backend]]\naddress = "h:1"\n'
        'name = "ü\\"1"\nmax_in_flight = "adaptive"\ntls = { verify = false, server_name = "x" }'
    ),
    "discovery": (
        '[[discovery]]\ndns = "web:3000"\nbackend = { weight = 2, health = { kind = "tcp" } }\n'
        '[[discovery]]\nsrv = "_http._tcp.web"\n[[discovery]]\nfile = "/a/b.json"\ninterval = "2s"'
    ),
    "a proxy's doors": (
        'algorithm = { name = "sticky", inner = "p2c:choices=3" }\nkey = "cookie:home"\n'
        '[server]\nlisten = ["127.0.0.1:1", "[::1]:2", "unix:/run/a"]\nworkers = "auto"\n'
        'admin = "unix:/run/lb"\nadmin_token_file = "/token"\ntls = { certificates = [\n'
        '{ certificate = "/a.pem", key = "/b.pem" }, { certificate = "/c", key = "/d" }] }\n'
        '[[listener]]\naddress = "unix:/run/b"\nmode = "0660"\nproxy_protocol = true\n'
        '[access_log]\nformat = "{client} \\"x\\" {status}"\nsample = 0.5\n'
        '[[backend]]\naddress = "unix:/run/c"\nproxy_protocol = "v2"\ntls.server_name = "z"\n'
    ),
    "a warm-up": '[run]\nwarmup = "auto"\nduration = "3s"',
    "odd durations": '[timeouts]\nconnect = "0.0003us"\nresponse = "33.333333333s"\ntunnel = "77h"',
    "points": (
        'backend = [{ address = "h:1", model = { service = "bimodal:1ms,50ms,weights=9,1", '
        'workers = 2, usl = { contention = 0.1 }, speed = [["0s", 1.0], ["30s", 0.5]] } }]\n'
        "[traffic]\n"
        'arrivals = { process = "renewal", law = "erlang:1ms,k=3" }\nnetwork = "constant:0.2ms"'
    ),
    "users": (
        '[[backend]]\naddress = "h:1"\nmodel = { service = "constant:1ms", then = "db" }\n'
        '[[shared]]\nname = "db"\nservice = "exponential:1ms"\n'
        '[traffic]\nusers = { count = 3, think = "exponential:1s", session = 4 }\n'
        '[[fault]]\nbackend = "h:1"\nkind = "slow"\nfactor = 2\nfrom = "1s"\nto = "2s"'
    ),
}


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_file_is_the_same_again(file: Path) -> None:
    scenario = Scenario.load(file)
    again = Scenario.parse(effective_text(scenario))
    assert again == scenario
    assert again.setup() == scenario.setup()
    assert effective(again) == effective(scenario)


@pytest.mark.parametrize("text", [*PECULIAR.values(), "", EXAMPLE], ids=[*PECULIAR, "", "example"])
def test_any_file_is_the_same_again(text: str) -> None:
    scenario = Scenario.parse(text)
    written = effective_text(scenario)
    again = Scenario.parse(written)
    assert again == scenario
    assert again.setup() == scenario.setup()
    assert again.listening() == scenario.listening()
    for one, other in zip(again.backends, scenario.backends, strict=True):
        assert one.checked_by(again.health) == other.checked_by(scenario.health)
    assert tomllib.loads(written) == effective(scenario)
    assert effective_text(again) == written


def test_every_key_with_a_value_is_there() -> None:
    whole = effective(Scenario.parse(""))
    for name in Scenario.model_fields.keys() & whole.keys():
        table = getattr(Scenario(), name)
        if not isinstance(table, tuple | str) and name != "algorithm":
            said = {key for key in type(table).model_fields if getattr(table, key) is not None}
            assert set(whole[name]) == said, name
    assert [row["address"] for row in whole["backend"]] == [
        "127.0.0.1:3001",
        "127.0.0.1:3002",
        "127.0.0.1:3003",
    ]


def test_durations_have_units_and_sizes_are_bytes() -> None:
    whole = effective(Scenario.parse('[limits]\nbody = "1MiB"\n[timeouts]\nattempt = "250ms"'))
    assert whole["timeouts"]["attempt"] == "250ms"
    assert whole["timeouts"]["tunnel"] == "1h"
    assert whole["limits"]["body"] == 1024 * 1024


def test_what_is_implied_is_a_comment() -> None:
    text = effective_text(Scenario.parse('[health]\nkind = "tcp"'))
    assert '\n# path = "/health"\n' in text


def test_files_are_named_from_everywhere(tmp_path: Path) -> None:
    (tmp_path / "gaps.txt").write_text("0.1\n")
    file = tmp_path / "lb.toml"
    file.write_text('backend = [{ address = "h:1", model = { service = "empirical:gaps.txt" } }]\n')
    (row,) = effective(Scenario.load(file))["backend"]
    assert row["model"]["service"] == {"law": "empirical", "file": str(tmp_path / "gaps.txt")}


def test_lists_that_are_long_have_a_line_for_each() -> None:
    names = [f"10.0.{number}.0/24" for number in range(20)]
    text = toml({"server": {"trusted_proxies": names}})
    assert max(map(len, text.splitlines())) <= 80
    assert tomllib.loads(text) == {"server": {"trusted_proxies": names}}


VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**62), 2**62),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=5))
def test_any_data_is_read_again_as_it_was(data: dict[str, object]) -> None:
    assert tomllib.loads(toml(data)) == data
