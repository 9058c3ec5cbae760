"""Cells of a sweep: what each one simulates, what it depends on, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lb.config import Scenario
from lb.errors import ConfigError, UsageError
from sim.fit.grid import Cell, cells, shown, told

MODEL = {"service": "exponential:20ms", "workers": 2}
ROWS = [
    {"address": "a:1", "name": "one", "model": MODEL},
    {"address": "b:2", "model": {**MODEL, "workers": 4}},
]


def file(**tables: Any) -> Scenario:
    traffic = {
        "arrivals": {"process": "poisson", "rate": 150.0},
        "keys": {"law": "zipf", "count": 100, "s": 1.0},
    }
    return Scenario(**{"backends": ROWS, "traffic": traffic, **tables})


def one(axes: dict[str, list[Any]], scenario: Scenario | None = None) -> Cell:
    (cell,) = cells(scenario or file(), ["p2c", "random"], axes)
    return cell


def test_every_combination_is_a_cell_the_last_axis_first() -> None:
    made = cells(file(), ["p2c"], {"run.seed": [1, 2], "load": [0.3, 0.6]})
    assert [cell.parameters for cell in made] == [
        {"run.seed": 1, "load": 0.3},
        {"run.seed": 1, "load": 0.6},
        {"run.seed": 2, "load": 0.3},
        {"run.seed": 2, "load": 0.6},
    ]
    assert [cell.scenario.run.seed for cell in made] == [1, 1, 2, 2]
    assert [cell.scenario.utilisation for cell in made] == pytest.approx([0.3, 0.6] * 2)


def test_a_key_of_a_list_is_that_of_all_its_tables_or_of_one() -> None:
    everywhere = one({"backend.model.workers": [9]}).scenario
    assert [model.workers for _, model in everywhere.modelled()] == [9, 9]
    first = one({"backend.0.model.workers": [9]}).scenario
    assert [model.workers for _, model in first.modelled()] == [9, 4]


def test_values_may_be_written_as_in_a_file() -> None:
    service = one({"backend.model.service": ["lognormal:30ms,cv=2"]}).scenario.modelled()[0][1]
    assert (service.service.law, service.service.mean) == ("lognormal", 0.03)
    assert one({"traffic.network": [{"law": "constant", "mean": "1ms"}]}).scenario != file()


def test_more_backends_are_the_same_ones_again_under_the_same_load() -> None:
    five = one({"backends": [5]}).scenario
    assert [model.workers for _, model in five.modelled()] == [2, 4, 2, 4, 2]
    assert [row.label for row in five.backends] == ["one", "b:2", "one-2", "b:2-2", "one-3"]
    assert len({row.address for row in five.backends}) == 5
    assert five.utilisation == pytest.approx(file().utilisation)
    assert [row.label for row in one({"backends": [1]}).scenario.backends] == ["one"]


def test_a_rate_is_one_whatever_the_number_of_backends() -> None:
    for number in (1, 2, 7):
        assert one({"backends": [number], "rate": [10]}).scenario.rate == 10
        assert one({"backends": [number], "load": [0.5]}).scenario.utilisation == 0.5


def test_balancers_are_those_of_the_run() -> None:
    assert one({"balancers": [4]}).scenario.run.balancers == 4


def test_a_parameter_is_that_of_its_algorithm_alone() -> None:
    assert one({"p2c:choices": [3]}).algorithms == ("p2c:choices=3", "random")
    assert one({"p2c:replacement": [True]}).algorithms == ("p2c:replacement=true", "random")
    (both,) = cells(file(), ["p2c:replacement=true"], {"p2c:choices": [3]})
    assert both.algorithms == ("p2c:replacement=true,choices=3",)


def test_the_key_changes_with_what_the_result_depends_on_and_with_nothing_else() -> None:
    key = one({"load": [0.5]}).key
    assert one({"load": [0.5]}, file(server={"listen": "127.0.0.1:1"})).key == key
    assert one({"load": [0.5]}, file(expect={"p99": "1s"})).key == key
    assert one({"load": [0.6]}).key != key
    assert one({"load": [0.5]}, file(run={"seed": 2})).key != key
    assert one({"load": [0.5]}, file(retries={"max": 0})).key != key
    assert cells(file(), ["p2c"], {"load": [0.5]})[0].key != key


def test_and_with_the_files_that_the_file_names(tmp_path: Path) -> None:
    data = tmp_path / "times"
    data.write_text("0.01\n0.02\n")
    law = {"law": "empirical", "file": str(data)}
    rows = [{"address": "a:1", "model": {"service": law}}]
    before = one({"load": [0.5]}, file(backends=rows)).key
    assert one({"load": [0.5]}, file(backends=rows)).key == before
    data.write_text("0.02\n0.01\n")
    assert one({"load": [0.5]}, file(backends=rows)).key != before


@pytest.mark.parametrize(
    ("axes", "why"),
    [
        ({}, "nothing to sweep"),
        ({"load": []}, "load: no values"),
        ({"load": [0.5], "rate": [3]}, "say the same in two ways"),
        ({"balancers": [1], "run.balancers": [2]}, "balancers and run.balancers say the same"),
        ({"run.seed": list(range(200)), "balancers": list(range(200))}, "grid of 40000 cells"),
        ({"algorithm": ["p2c"]}, "algorithm: algorithms are named beside the grid"),
        ({"load": [0.5, 0.5]}, "load: a value is given twice"),
        ({"load": ["high"]}, "load: 'high' is not a number above zero"),
        ({"rate": [0]}, "rate: 0 is not a number above zero"),
        ({"backends": [0]}, "backends: 0 is not a whole number from 1 up"),
        ({"backends": [10**9]}, "backends: 1000000000; 10000 are the most"),
        ({"balancers": [10**9]}, "balancers: 1000000000; 10000 are the most"),
        ({"balancers": [1.5]}, "balancers: 1.5 is not a whole number from 1 up"),
        ({"p3c:choices": [2]}, "p3c is not simulated; did you mean 'p2c'"),
        ({"p2c:choice": [2]}, "p2c has no parameter 'choice': did you mean 'choices'"),
        ({"traffic.keys.t": [2]}, r"traffic.keys.t=2: traffic.keys.t: unknown key"),
        ({"traffic.kees.s": [2]}, r"traffic.kees: unknown key; did you mean 'keys'"),
        ({"traffic.keys.s": ["x"]}, r"traffic.keys.s: should be a number, not 'x'"),
        ({"backend.2.weight": [2]}, r"backend.2.weight: there are 2, counted from 0"),
        ({"backend.0": [2]}, r"backend.0: a whole table; name a key of it"),
        ({"run.seed.x": [2]}, r"'x' is no key of a single value"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_runs(
    axes: dict[str, list[Any]], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        cells(file(run={"seed": 1}), ["p2c", "random"], axes)


def test_an_algorithm_cannot_become_another_one() -> None:
    with pytest.raises(UsageError, match="given twice"):
        cells(file(), ["p2c", "p2c:choices=2"], {"p2c:choices": [2, 3]})


def test_a_fault_that_names_a_backend_which_is_gone() -> None:
    fault = {"backend": "b:2", "kind": "slow", "from": "1s", "to": "2s", "factor": 2}
    with pytest.raises(UsageError, match="1 backends"):
        cells(file(fault=[fault]), ["p2c"], {"backends": [1]})


def test_what_a_cell_lacks_comes_with_its_parameters() -> None:
    with pytest.raises(ConfigError, match=r"offered load 1\.2 of capacity: .* \(load = 1\.2\)"):
        cells(file(), ["p2c"], {"load": [0.5, 1.2]})
    keyless = Scenario(backends=ROWS, traffic={"arrivals": {"process": "poisson", "rate": 9.0}})
    assert cells(file(), ["maglev"], {"load": [0.5]})
    with pytest.raises(ConfigError, match=r"maglev needs keys .* \(load = 0\.5\)"):
        cells(keyless, ["maglev"], {"load": [0.5]})


def test_values_are_shown_as_short_as_they_were_written() -> None:
    assert [shown(value) for value in (0.5, 10, "20ms", True)] == ["0.5", "10", "20ms", "True"]
    assert told({"load": 0.7, "n": 2}) == "load = 0.7, n = 2"
