"""Short forms of the file, and scenarios that are built in code."""

from __future__ import annotations

import pytest

from lb.config import BackendTable, Scenario, law_flag
from lb.errors import ConfigError, UsageError
from lb.strategies import spec
from tests.config.test_file import EXAMPLE, complaints

# --- short forms, and scenarios built in code

LONG = """\
[[backend]]
address = "h:1"
weight = 2
[backend.model]
service = { law = "lognormal", mean = "20ms", cv = 1.5 }
[[backend]]
address = "h:2"
[backend.model]
service = { law = "exponential", mean = "10ms" }
[traffic]
arrivals = { process = "poisson", rate = 100 }
[timeouts]
connect = "250ms"
[run]
warmup = "2s"
"""


def test_short_forms_say_the_same() -> None:
    short, long = (
        Scenario.parse(f"algorithm = {text}")
        for text in ('"p2c:choices=3"', '{ name = "p2c", choices = 3 }')
    )
    assert short.setup().algorithm == long.setup().algorithm == "p2c"
    row = spec("p2c")
    assert row.configure(short.algorithm.settings) == row.configure(long.algorithm.settings)
    short = 'backend = ["h:1*2", "h:2"]\n'
    rows = [row.model_copy(update={"model": None}) for row in Scenario.parse(LONG).backends]
    assert list(Scenario.parse(short).backends) == rows
    model = '[[backend]]\naddress = "h:1"\n[backend.model]\nservice = '
    assert Scenario.parse(f'{model}"lognormal:20ms,cv=1.5"') == Scenario.parse(
        f'{model}{{ law = "lognormal", mean = "20ms", cv = 1.5 }}'
    )


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('backend = ["h:1",\n"h"]\n', "lb.toml:2 backend[1]", "is not host:port"),
        ('backend = [\n"h:1*0"]\n', "lb.toml:2 backend[0]", "weight '0'"),
        ('backend = "h:1"\n', "lb.toml:1 backend", "a list"),
        ("backend = [1]\n", "lb.toml:1 backend[0]", "a table"),
        (
            '[traffic]\narrivals = { process = "poisson", rate = 1 }\nnetwork = "exponental:1ms"\n',
            "lb.toml:3 traffic.network",
            "did you mean 'exponential'?",
        ),
        (
            '[traffic]\narrivals = { process = "poisson", rate = 1 }\nnetwork = "lognormal:1ms"\n',
            "lb.toml:3 traffic.network.cv",
            "missing",
        ),
    ],
)
def test_a_mistake_in_a_short_form_has_its_place(text: str, where: str, what: str) -> None:
    (problem,) = complaints(text)
    assert problem.startswith(f"{where}: ")
    assert what in problem


def test_a_scenario_is_built_in_code_from_the_tables_of_the_file() -> None:
    built = Scenario(
        backends=[
            {"address": "h:1", "weight": 2, "model": {"service": "lognormal:20ms,cv=1.5"}},
            BackendTable(address="h:2", model={"service": "exponential:10ms"}),
        ],
        traffic={"arrivals": {"process": "poisson", "rate": 100}},
        timeouts={"connect": "250ms"},
        run={"warmup": 2},
    )
    assert built == Scenario.parse(LONG)


def test_numbers_are_seconds_in_code_but_not_in_a_file() -> None:
    assert Scenario(timeouts={"connect": 0.25}).timeouts.connect == 0.25
    (problem,) = complaints("[timeouts]\nconnect = 0.25\n")
    assert "a number and a unit" in problem
    with pytest.raises(UsageError, match="a number and a unit"):
        law_flag("exponential:0.02")


@pytest.mark.parametrize("text", ["", EXAMPLE, LONG], ids=["default", "example", "long"])
def test_what_a_scenario_says_of_itself_builds_it_again(text: str) -> None:
    scenario = Scenario.parse(text)
    assert Scenario(**scenario.model_dump()) == scenario
    assert Scenario(**scenario.model_dump(by_alias=True)) == scenario


def test_a_mistake_in_code_is_told_by_its_key() -> None:
    with pytest.raises(ConfigError) as error:
        Scenario(backends=["h:1", {"adress": "h:2"}], algorithm="p2")
    assert sorted(error.value.problems) == [
        "algorithm.name: unknown algorithm 'p2': did you mean 'p2c'?",
        "backends[1].address: missing",
        "backends[1].adress: unknown key; did you mean 'address'?",
    ]
    with pytest.raises(ConfigError, match=r"^backend\[0\]\.model: missing"):
        Scenario(backends=["h:1"]).modelled()
