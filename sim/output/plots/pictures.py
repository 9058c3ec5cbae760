"""Figures as files: the pictures of a report and of a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from sim.live.verdict import Verdict
from sim.model.laws import Floats
from sim.output.plots.beside import measured_beside_predicted
from sim.output.plots.figures import FIGURES, telling
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


def draw_verdict(
    verdict: Verdict, predicted: Result, samples: Sequence[Floats], measured: Floats, path: Path
) -> None:
    """Write `measured_beside_predicted` as a PNG."""
    save(measured_beside_predicted(verdict, predicted, samples, measured), path)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, without the version of matplotlib in it."""
    figure.savefig(path, format="png", metadata={"Software": None})
