"""Figures as files: the pictures of a report and of a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from sim.live.verdict import Verdict
from sim.model.laws import Floats
from sim.output.plots.figures import FIGURES, measured_beside_predicted
from sim.output.plots.seconds import timeline
from sim.result import Result

TIMELINE = "timeline"


def draw_all(result: Result, directory: Path) -> list[Path]:
    """Write each of `FIGURES` as a PNG into `directory`; the paths, in that order.

    Where runs change with time, their timeline too.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    figures = {**FIGURES, TIMELINE: timeline} if result.runs[0].eventful else FIGURES
    for name, figure in figures.items():
        paths.append(directory / f"{name}.png")
        save(figure(result), paths[-1])
    return paths


def draw_verdict(
    verdict: Verdict, predicted: Result, samples: Sequence[Floats], measured: Floats, path: Path
) -> None:
    """Write `measured_beside_predicted` as a PNG."""
    save(measured_beside_predicted(verdict, predicted, samples, measured), path)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, without the version of matplotlib in it."""
    figure.savefig(path, format="png", metadata={"Software": None})
