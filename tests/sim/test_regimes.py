"""Who wins where: the maps of a sweep, their ties, and their pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from sim import Scenario, Sweep
from sim.fit.regimes import arranged, curves, regimes
from sim.output.plots.regimes import PANELS, by_load, codes, regime_map
from sim.output.sweeps import write_sweep

NAMES = ("random", "p2c", "least_connections")
FILE = Scenario(
    backends=[{"address": "a:1", "model": {"service": "exponential:20ms"}}],
    traffic={
        "arrivals": {"process": "poisson", "rate": 20.0},
        "keys": {"law": "zipf", "count": 9, "s": 1.0},
    },
)
KEYS = ("mean", "p50", "p90", "p95", "p99", "p999")


def row(parameters: dict[str, Any], values: list[float | None], groups: list[list[str]]) -> Any:
    """A cell of which only latencies and the ranking are of interest."""
    runs = []
    for name, value in zip(NAMES, values, strict=True):
        figure = None if value is None else {"value": value, "low": value * 0.9, "high": value}
        runs.append({"algorithm": name, "latency": dict.fromkeys(KEYS, figure), "steady": True})
    return {"parameters": parameters, "runs": runs, "ranking": dict.fromkeys(KEYS, groups)}


def swept(over: dict[str, Any]) -> Sweep:
    """p2c wins below a load of 0.5, ties with least_connections there; that wins above."""
    made = Sweep.of(FILE, NAMES, over)
    for place, cell in enumerate(made.cells):
        load = cell.parameters.get("load", 0.3)
        groups = [["p2c"], ["least_connections"], ["random"]]
        if load == 0.5:
            groups = [["p2c", "least_connections"], ["random"]]
        if load > 0.5:
            groups = [["least_connections"], ["p2c"], ["random"]]
        made.rows[place] = row(cell.parameters, [load, load / 2, load / 3], groups)
    return made


@pytest.fixture
def made() -> Sweep:
    return swept({"backends": [1, 2], "traffic.keys.s": [0.5, 1.0, 1.5], "load": [0.3, 0.5, 0.8]})


def test_load_goes_from_left_to_right_and_the_longest_other_axis_up(made: Sweep) -> None:
    assert arranged(made) == ("load", "traffic.keys.s", ["backends"])
    assert arranged(swept({"rate": [5, 9], "backends": [1, 2, 3]}))[0] == "rate"
    assert arranged(swept({"backends": [1, 2], "run.seed": [1, 2, 3]})) == (
        "run.seed",
        "backends",
        [],
    )


def test_a_map_for_each_value_of_what_is_left(made: Sweep) -> None:
    one, two = regimes(made)
    assert (one.fixed, two.fixed) == ({"backends": 1}, {"backends": 2})
    assert (one.across, one.up) == ((0.3, 0.5, 0.8), (0.5, 1.0, 1.5))
    line = [("p2c",), ("p2c", "least_connections"), ("least_connections",)]
    assert one.best == [line] * 3
    assert one.values == pytest.approx(np.array([[0.15, 0.25, 0.8 / 3]] * 3))


def test_one_axis_is_a_map_of_one_line() -> None:
    (only,) = regimes(swept({"load": [0.3, 0.8]}))
    assert (only.y, only.up, only.fixed) == (None, (), {})
    assert only.best == [[("p2c",), ("least_connections",)]]


def test_what_is_not_known_has_no_winner(made: Sweep) -> None:
    made.rows[0] = None
    made.rows[1] = row(made.cells[1].parameters, [None] * 3, [["random", "p2c"]])
    one = regimes(made)[0]
    assert one.best[0][:2] == [(), ()]
    assert np.isnan(one.values[0, :2]).all()


def test_who_lacks_the_figure_never_wins(made: Sweep) -> None:
    groups = [["least_connections", "p2c"], ["random"]]
    made.rows[0] = row(made.cells[0].parameters, [0.3, 0.2, None], groups)
    groups = [["least_connections"], ["p2c", "random"]]
    made.rows[1] = row(made.cells[1].parameters, [0.3, 0.2, None], groups)
    one = regimes(made)[0]
    assert one.best[0][:2] == [("p2c",), ("p2c", "random")]
    assert one.values[0, :2] == pytest.approx([0.2, 0.2])
    assert not any("nan" in text.get_text() for text in regime_map(made).axes[0].texts)


def test_curves_follow_the_same_axis(made: Sweep) -> None:
    parts = list(curves(made))
    assert [fixed for fixed, _ in parts][:2] == [
        {"backends": 1, "traffic.keys.s": 0.5},
        {"backends": 1, "traffic.keys.s": 1.0},
    ]
    value, low, high, lacks = parts[0][1]
    assert (lacks == 0).all()
    assert value[:, 0] == pytest.approx([0.3, 0.5, 0.8])
    assert low == pytest.approx(value * 0.9)
    assert high == pytest.approx(value)


def test_short_names_are_told_apart() -> None:
    assert codes(["least_connections", "p2c", "p2c:choices=3", "lazy_cat", "maglev"]) == {
        "least_connections": "LC",
        "p2c": "p2c",
        "p2c:choices=3": "p2c'",
        "lazy_cat": "LC'",
        "maglev": "maglev",
    }


# --- pictures


def test_low_cells_have_no_words() -> None:
    ax = regime_map(swept({"load": [0.3, 0.8], "run.seed": list(range(30))})).axes[0]
    assert len(ax.texts) == 1, "but for what is told above"
    assert len(ax.get_yticks()) == 15


def test_a_tie_is_hatched_and_nothing_else(made: Sweep) -> None:
    first, second, *_ = regime_map(made).axes
    for ax in (first, second):
        hatched = [bool(it.get_hatch()) for it in ax.patches if isinstance(it, Rectangle)]
        assert hatched == [False, True, False] * 3
        assert [text.get_text() for text in ax.texts][-1].endswith("267 ms")
    assert second.get_xlabel() == "load\nbackends 2"


def test_what_is_not_known_has_a_question_mark(made: Sweep) -> None:
    made.rows[0] = None
    assert "?" in [text.get_text() for text in regime_map(made).axes[0].texts]


def test_what_is_too_short_to_tell_says_so(made: Sweep) -> None:
    made.rows[0] = None
    made.rows[1] = row(made.cells[1].parameters, [None] * 3, [list(NAMES)])
    texts = [text.get_text() for text in regime_map(made).axes[0].texts]
    assert (texts.count("?"), texts.count("too few\nrequests")) == (1, 1)


def test_names_stand_in_cells_where_there_is_room_else_codes() -> None:
    wide = regime_map(swept({"load": [0.3, 0.8]}))
    assert any("least_connections" in text.get_text() for text in wide.axes[0].texts)
    narrow = swept({"load": [0.1 + 0.05 * step for step in range(12)]})
    texts = [text.get_text() for text in regime_map(narrow).axes[0].texts]
    assert any(text.startswith("LC\n") for text in texts)
    labels = [text.get_text() for text in regime_map(narrow).legends[0].texts]
    assert "LC: least_connections" in labels
    assert "random" not in labels, "who wins nowhere has no colour to explain"


def test_a_curve_for_each_algorithm_with_what_is_known(made: Sweep) -> None:
    made.rows[0] = None
    ax = by_load(made).axes[0]
    named = [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
    assert named == list(NAMES)
    assert list(ax.lines[0].get_xdata()) == [0.3, 0.5, 0.8]
    assert math.isnan(next(iter(ax.lines[0].get_ydata())))


def test_a_point_that_is_missing_for_want_of_requests_has_a_cross(made: Sweep) -> None:
    made.rows[0] = None
    made.rows[1] = row(made.cells[1].parameters, [None, 0.2, 0.2], [["p2c"], ["random"]])
    figure = by_load(made)
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in crosses] == [[0.5]]
    assert figure.legends[0].texts[-1].get_text() == "too few requests"
    whole = by_load(swept({"load": [0.3, 0.8]})).legends[0]
    assert "too few requests" not in [text.get_text() for text in whole.texts]


@pytest.mark.parametrize("draw", [by_load, regime_map])
def test_the_lowest_of_each_column_tells_its_ticks(draw: Callable[[Sweep], Figure]) -> None:
    made = swept({"run.seed": [1, 2, 3, 4], "backends": [1, 2], "load": [0.3, 0.8]})
    if draw is regime_map:
        made = swept({"p2c:choices": [2, 3, 4, 5], "run.seed": list(range(5)), "load": [0.3, 0.8]})
    figure = draw(made)
    figure.canvas.draw()
    shown = [ax for ax in figure.axes if ax.axison]
    lowest = {ax.get_subplotspec().colspan.start: ax for ax in shown}
    for ax in shown:
        told = [text for text in ax.get_xticklabels() if text.get_visible() and text.get_text()]
        assert bool(told) == (ax in lowest.values())


def test_a_title_stands_at_the_top(made: Sweep) -> None:
    figure = by_load(made)
    figure.canvas.draw()
    (title,) = [text for text in figure.findobj(Text) if text.get_text() == "p99 against load"]
    top = title.get_window_extent().y1
    assert figure.bbox.height - 20 < top < figure.bbox.height


def test_an_axis_of_words_has_a_tick_for_each() -> None:
    made = swept({"backend.model.service": ["exponential:20ms", "lognormal:20ms,cv=2"]})
    ticks = [text.get_text() for text in by_load(made).axes[0].get_xticklabels()]
    assert ticks == ["exponential:20ms", "…ormal:20ms,cv=2"]


def test_there_are_never_more_panels_than_have_room() -> None:
    made = swept({"run.seed": list(range(12)), "backends": [1, 2], "load": [0.3, 0.8]})
    figure = by_load(made)
    assert len(figure.axes) == PANELS
    assert figure.axes[0].texts[0].get_text().endswith("; the first 9 of 24 panels")
    made = swept({"run.seed": [1, 2, 3, 4], "backends": [1, 2, 3, 4, 5], "load": [0.3]})
    assert len([ax for ax in regime_map(made).axes if ax.axison]) == 4


def test_files_in_a_directory(made: Sweep, tmp_path: Path) -> None:
    paths = write_sweep(made, "p95", tmp_path / "there")
    assert [path.name for path in paths] == ["sweep.json", "regime_map.png", "p95_by_load.png"]
    for path in paths[1:]:
        assert path.read_bytes().startswith(b"\x89PNG")
    made.rows = [None] * len(made.rows)
    assert [path.name for path in write_sweep(made, "p95", tmp_path)] == ["sweep.json"]
