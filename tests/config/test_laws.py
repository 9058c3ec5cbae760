"""Laws in a file: short forms, files that they name, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.config import Bimodal, BoundedPareto, Empirical, Scenario, Weibull, law_flag
from lb.errors import ConfigError, UsageError


def parsed(service: str, source: str = "lb.toml") -> Scenario:
    text = f'[[backend]]\naddress = "h:1"\n[backend.model]\nservice = {service}\n'
    return Scenario.parse(text, source)


def told(service: str, source: str = "lb.toml") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parsed(service, source)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("weibull:20ms,shape=0.5", Weibull(law="weibull", mean=0.02, shape=0.5)),
        (
            "bounded_pareto:20ms,alpha=1.5,ratio=1000",
            BoundedPareto(law="bounded_pareto", mean=0.02, alpha=1.5, ratio=1000),
        ),
        (
            "bimodal:1ms,50ms,weights=9,1",
            Bimodal(law="bimodal", values=(0.001, 0.05), weights=(9, 1)),
        ),
        (
            "bimodal: weights=0.5,0.25,0.25, values=1ms,2ms,3ms",
            Bimodal(law="bimodal", values=(0.001, 0.002, 0.003), weights=(0.5, 0.25, 0.25)),
        ),
    ],
)
def test_short_forms(text: str, table: object) -> None:
    assert law_flag(text) == table


def test_a_file_lies_beside_the_one_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "service.txt").write_text("0.5\n1.5\n")
    scenario = parsed('"empirical:service.txt"', str(tmp_path / "lb.toml"))
    (_, model), *_ = scenario.modelled()
    assert isinstance(model.service, Empirical)
    assert model.service.mean == 1.0
    assert Scenario.model_validate(scenario.model_dump(mode="json")) == scenario


def test_on_a_command_line_it_lies_where_the_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "service.txt").write_text("0.5\n1.5\n")
    monkeypatch.chdir(tmp_path)
    assert law_flag("empirical:service.txt").mean == 1.0
    with pytest.raises(UsageError, match=r"no file 'servce\.txt'; did you mean 'service\.txt'"):
        law_flag("empirical:servce.txt")


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    source = str(tmp_path / "lb.toml")
    [line] = told('"empirical:none.txt"', source)
    assert line == (
        f"{source}:4 backend[0].model.service.file: there is no file '{tmp_path}/none.txt'"
    )
    [line] = told('"empirical:."', source)
    assert line.endswith("is no file that can be read")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", ": holds no number; write one a line, in seconds"),
        ("1\n\n12ms\n", ":3: '12ms' is not a number of seconds; write 0.012"),
        ("fast\n", ":1: 'fast' is not a number of seconds"),
        ("1\n-1\n", ":2: -1 is not a number of seconds from zero up"),
        ("nan\n", ":1: nan is not a number of seconds from zero up"),
        ("0\n0\n", ": every number is 0"),
        ("1,2\n", ":1: '1,2' is not a number of seconds"),
    ],
)
def test_what_is_wrong_with_a_files_numbers(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "x.txt").write_text(text)
    source = str(tmp_path / "lb.toml")
    [line] = told('{ law = "empirical", file = "x.txt" }', source)
    assert line == f"{source}:4 backend[0].model.service.file: {tmp_path}/x.txt{why}"


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00")
    [line] = told('"empirical:x.txt"', str(tmp_path / "lb.toml"))
    assert line.endswith("x.txt: cannot be read: not UTF-8 text")


UNITS = "(us, ms, s, m, h)"
WHERE = "lb.toml:4 backend[0].model.service"


@pytest.mark.parametrize(
    ("service", "line"),
    [
        (
            '{ law = "bimodal", values = ["1ms", "2ms"], weights = [1] }',
            f"{WHERE}.weights: holds 1, and values 2; give one for each",
        ),
        (
            '{ law = "bimodal", values = ["1ms", "2ms"], weights = [0, 0] }',
            f"{WHERE}.weights: all are 0; give one above it",
        ),
        (
            '{ law = "bimodal", values = ["0s", "2ms"], weights = [1, 0] }',
            f"{WHERE}.values: the mean is 0; give one that is above it and has weight",
        ),
        (
            '{ law = "bimodal", values = ["1ms", 2], weights = [1, 1] }',
            f'{WHERE}.values[1]: a duration is a number and a unit {UNITS}, such as "250ms"',
        ),
        (
            '{ law = "bimodal", values = ["1ms"], weights = [1] }',
            f"{WHERE}.values: holds 1; give at least two",
        ),
        ('{ law = "weibull", mean = "1s" }', f"{WHERE}.shape: missing"),
        (
            '"bounded_pareto:1s,alpha=1.5,ratio=0.5"',
            f"{WHERE}.ratio: should be greater than 1, not 0.5",
        ),
        ('"weibul:1s"', f"{WHERE}: unknown law 'weibul'; did you mean 'weibull'?"),
    ],
)
def test_what_is_wrong_with_a_law(service: str, line: str) -> None:
    assert told(service) == [line]
