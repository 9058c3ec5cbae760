"""Figures as files: the pictures of a report and of a verdict."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from lb.config import Scenario
from lb.system import writing
from sim.live.measurement import Measurement
from sim.live.verdict import Verdict, latencies
from sim.model.arrivals import Schedule
from sim.output.plots.beside import (
    distributions,
    measured_beside_predicted,
    measured_beside_predicted_over_time,
)
from sim.output.plots.figures import FIGURES, telling
from sim.output.plots.style import without_warnings
from sim.result import Result


def draw_all(result: Result, directory: Path) -> list[Path]:
    """Write each of `FIGURES` that says something as a PNG into `directory`; the paths, in order.

    Pictures that an earlier result left there go.
    """
    directory.mkdir(parents=True, exist_ok=True)
    drawn = telling(result)
    for name in FIGURES.keys() - set(drawn):
        (directory / f"{name}.png").unlink(missing_ok=True)
    paths = [directory / f"{name}.png" for name in drawn]
    for name, path in zip(drawn, paths, strict=True):
        save(FIGURES[name](result), path)
    return paths


def drawn_verdict(
    scenario: Scenario,
    schedule: Schedule | None,
    measured: Measurement,
    verdict: Verdict,
    predicted: Result,
) -> dict[str, Figure]:
    """The pictures of a verdict by name; where runs change with time, their seconds too."""
    live, paper = latencies(scenario, schedule, measured, predicted)
    figures = {
        "verdict": measured_beside_predicted(verdict, predicted, paper, live),
    }
    if scenario.eventful:
        fates = measured.fates(schedule)
        figures["verdict_timeline"] = measured_beside_predicted_over_time(
            scenario, predicted, fates
        )
    return figures


def draw_distributions(verdict: Verdict, path: Path) -> Path:
    """Beside the verdict at `path`, and called as that is; raises CannotWrite."""
    picture = path.with_suffix(".distributions.png")
    with writing(picture):
        save(distributions(verdict), picture)
    return picture


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, without the version of matplotlib in it."""
    with without_warnings():
        figure.savefig(path, format="png", metadata={"Software": None})
