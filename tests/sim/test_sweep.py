"""A sweep: the same whoever does it and however often it is interrupted, and what it gives."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lb.errors import CannotWrite, ConfigError, UsageError
from lb.terminal import Terminal
from sim import Scenario, Sweep, simulate, sweep
from sim.analysis.objectives import times_as_many
from sim.crew import Crew, Workers
from sim.fit.kept import FILE, Kept
from sim.output.sweeps import print_sweep
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

NAMES = ["random", "least_connections"]
OVER: dict[str, list[Any]] = {"backends": [1, 3], "load": [0.3, 0.5, 0.8]}


@pytest.fixture(scope="module")
def file() -> Scenario:
    return scenario(serves(EXPONENTIAL), run="requests = 2000\nreplications = 3")


@pytest.fixture(scope="module")
def done(file: Scenario) -> Sweep:
    return sweep(file, NAMES, OVER)


def test_arrays_have_a_dimension_for_each_axis_and_one_for_algorithms(done: Sweep) -> None:
    mean = done.latency("mean")
    assert mean.shape == (2, 3, 2)
    assert (done.latency("mean", "low") < mean).all()
    assert (mean < done.latency("mean", "high")).all()
    assert (np.diff(mean, axis=1) > 0).all(), "more load, more latency"
    assert np.array_equal(mean[0, :, 0], mean[0, :, 1]), "with one backend there is no choice"
    assert (mean[1, :, 0] > mean[1, :, 1]).all()
    assert (done.count("failed") == 0).all()


def test_a_cell_is_what_simulate_gives(file: Scenario, done: Sweep) -> None:
    alone = simulate(file.at_load(0.5), NAMES)
    row = done.rows[1]
    assert row is not None
    assert row["parameters"] == {"backends": 1, "load": 0.5}
    assert row["offered_load"] == 0.5
    for told, run in zip(row["runs"], alone.runs, strict=True):
        assert told["latency"] == run.as_dict()["latency"]


def test_the_best_are_those_that_cannot_be_told_apart(done: Sweep) -> None:
    assert [set(best) for best in done.best("mean")[:3]] == [set(NAMES)] * 3
    assert done.best("mean")[3:] == [("least_connections",)] * 3


@pytest.mark.parametrize("workers", [2, "auto"])
def test_it_is_the_same_whoever_does_it(file: Scenario, done: Sweep, workers: Workers) -> None:
    told: list[None] = []
    again = sweep(file, NAMES, OVER, workers=workers, on_cell=lambda: told.append(None))
    assert again.as_dict() == done.as_dict()
    assert len(told) == 6


def test_an_executor_too(file: Scenario, done: Sweep) -> None:
    with ThreadPoolExecutor(2) as executor:
        assert sweep(file, NAMES, OVER, workers=executor).as_dict() == done.as_dict()


def test_the_document_is_json(done: Sweep) -> None:
    document = json.loads(json.dumps(done.as_dict(), allow_nan=False))
    assert list(document) == ["schema", "seed", "scenario", "algorithms", "axes", "cells"]
    assert document["axes"] == OVER
    assert document == done.as_dict()


def test_what_takes_longest_comes_first(file: Scenario) -> None:
    made = Sweep.of(file, ["p2c"], {"run.requests": [50, 200, 100], "load": [0.3, 0.4]})
    with Crew() as crew:
        assert list(made.run(crew)) == [2, 3, 4, 5, 0, 1]


# --- interrupted, and gone on with


def stopped_after(number: int, file: Scenario, directory: Path) -> Sweep:
    made = Sweep.of(file, NAMES, OVER)
    with Crew() as crew:
        for count, _ in enumerate(made.run(crew, Kept.open(directory)), 1):
            if count == number:
                break
    return made


def test_it_goes_on_where_it_stopped(file: Scenario, done: Sweep, tmp_path: Path) -> None:
    part = stopped_after(4, file, tmp_path)
    assert [row is None for row in part.rows] == [False] * 4 + [True] * 2
    assert np.isnan(part.latency("mean")[1, 1:]).all()
    assert part.as_dict()["cells"] == done.as_dict()["cells"][:4]
    assert part.best()[4:] == [(), ()]
    told: list[None] = []
    whole = sweep(file, NAMES, OVER, directory=tmp_path, on_cell=lambda: told.append(None))
    assert len(told) == 2
    assert whole.as_dict() == done.as_dict()


def test_a_line_that_was_cut_off_is_done_again(file: Scenario, done: Sweep, tmp_path: Path) -> None:
    stopped_after(2, file, tmp_path)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-40])
    again = sweep(file, NAMES, OVER, directory=tmp_path)
    assert again.as_dict() == done.as_dict()
    assert len(Kept.open(tmp_path).rows) == 6


def test_what_has_changed_starts_anew(file: Scenario, tmp_path: Path) -> None:
    stopped_after(4, file, tmp_path)
    kept = Kept.open(tmp_path)
    assert Sweep.of(file, NAMES, OVER).recall(kept) == (4, 0)
    other = file.model_copy(update={"run": file.run.model_copy(update={"seed": 2})})
    assert Sweep.of(other, NAMES, OVER).recall(kept) == (0, 4)
    assert Sweep.of(file, NAMES[:1], OVER).recall(kept) == (0, 4)
    wider = Sweep.of(file, NAMES, {**OVER, "load": [0.1, 0.3, 0.8]})
    assert wider.recall(kept) == (3, 0)


def test_a_file_of_something_else_is_left_alone(file: Scenario, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("time,size\n")
    with pytest.raises(ConfigError, match="not the line of a cell"):
        sweep(file, NAMES, OVER, directory=tmp_path)


def test_where_nothing_can_be_written(file: Scenario, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite):
        sweep(file, NAMES, OVER, directory=tmp_path / "file")


@pytest.mark.parametrize(
    ("algorithms", "over", "why"),
    [
        ({"load": [0.5]}, ["p2c"], "algorithms come before the axes"),
        (["p2c"], ["load"], "algorithms come before the axes"),
        ([], {"load": [0.5]}, "no algorithms"),
        (["p2c"], {"load": 0.5}, "load: 0.5 is no list of values"),
        (["p2c"], {"traffic.keys.law": "zipf"}, "'zipf' is no list of values"),
    ],
)
def test_arguments_that_cannot_be_meant(
    file: Scenario, algorithms: Any, over: Any, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        sweep(file, algorithms, over)


# --- in words


def printed_by(made: Sweep, metric: str, width: int = 160) -> str:
    paper = StringIO()
    print_sweep(made, metric, Terminal(stream=paper, width=width))
    return paper.getvalue()


def test_a_table_that_marks_the_best(done: Sweep) -> None:
    text = printed_by(done, "mean")
    lines = [line for line in text.splitlines() if line.startswith("  backends 3, load 0.8")]
    (line,) = lines
    assert line.endswith("*")
    assert line.count("*") == 1
    assert "random: best by mean in 3 of 6 cells, alone in 0" in text
    assert "least_connections: best by mean in 6 of 6 cells, alone in 3" in text


def test_what_the_sample_does_not_carry(file: Scenario) -> None:
    short = file.model_copy(update={"run": file.run.model_copy(update={"requests": 50})})
    few = sweep(short, NAMES, {"load": [0.5]})
    assert np.isnan(few.latency("p99")).all()
    assert few.best("p99") == [()]
    text = printed_by(few, "p99")
    row = few.rows[0]
    assert row is not None
    most = times_as_many(max(run["needs"]["p99"] for run in row["runs"]))
    assert (
        f"1 cell has too few requests for p99: give {most} times as many, or more replications: "
        "load 0.5 (random, least_connections)"
    ) in text


def lacking(done: Sweep, cells: int) -> Sweep:
    """In so many cells random has no mean and cannot keep up."""
    rows = json.loads(json.dumps(done.rows))
    for row in rows[:cells]:
        row["runs"][0] |= {"steady": False, "needs": {"mean": 41.2}}
        row["runs"][0]["latency"]["mean"] = None
    return Sweep(done.scenario, done.algorithms, done.axes, done.cells, rows)


def test_as_many_wins_are_told_as_are_marked(done: Sweep) -> None:
    text = printed_by(lacking(done, 2), "mean")
    table, _, words = text.partition("random: best by mean in ")
    marked = sum(line.rstrip().endswith("*") for line in table.splitlines())
    assert f"least_connections: best by mean in {marked} of 6 cells" in words
    assert words.startswith(f"{table.count('*') - 1 - marked} of 6 cells")


def test_cells_that_fall_short_are_named(done: Sweep) -> None:
    text = " ".join(printed_by(lacking(done, 5), "mean").split())
    first = "backends 1, load 0.3 (random); backends 1, load 0.5 (random); backends 1, load 0.8"
    assert (
        "5 cells have too few requests for mean: give about 42 times as many, or more "
        f"replications: {first} (random) and 2 more"
    ) in text
    assert f"depend on the length of the run: {first} (random) and 2 more" in text
