"""Rates that change with time: counts cut into steps, or laid on a line that bends at points."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim.fit.seen import Ints
from sim.model.laws import Floats

COARSE = 240
"""Bins in which changes are looked for."""
MOST_STEPS = 12
KNOTS = (2, 3, 4, 5, 7, 9, 13)
"""Points of a line that are tried, evenly set."""


@dataclass(frozen=True)
class Course:
    """A rate by time."""

    points: tuple[tuple[float, float], ...]
    """Seconds and requests per second."""
    shape: Literal["linear", "step"]
    log_likelihood: float
    """Of the counts, without the part that no rate changes."""
    parameters: int


def courses(counts: Floats, width: float) -> Iterator[Course]:
    """The likeliest of steps, and of lines, their parameters paid for."""
    factor = max(len(counts) // COARSE, 1)
    kept = len(counts) // factor * factor
    coarse = counts[:kept].reshape(-1, factor).sum(axis=1)
    price = 0.5 * math.log(max(float(counts.sum()), 2.0))
    steps = [_finished(cut, counts, width, factor) for cut in _cuts(coarse, price)]
    if steps:
        yield max(steps, key=lambda one: one.log_likelihood - one.parameters * price)
    lines = [_line(counts, width, knots) for knots in KNOTS if knots * 4 <= len(counts)]
    if lines:
        yield max(lines, key=lambda one: one.log_likelihood - one.parameters * price)


def _cuts(counts: Floats, price: float) -> list[list[int]]:
    """For 2, 3, ... pieces where to cut, likeliest first (dynamic programming, Fisher 1958)."""
    n = len(counts)
    sums = np.concatenate([[0.0], np.cumsum(counts)])
    ends = np.arange(n + 1)
    lengths = ends[None, :] - ends[:, None]
    held = sums[None, :] - sums[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where((lengths > 0) & (held > 0), held * np.log(held / lengths), 0.0)
    value = np.where(lengths >= 2, value, -np.inf)
    best = value[0].copy()
    came: list[Ints] = []
    found, last = [], float(best[n])
    for pieces in range(2, MOST_STEPS + 1):
        total = best[:, None] + value
        at = total.argmax(axis=0)
        best = total[at, ends]
        came.append(at)
        if float(best[n]) - last < price and pieces > 3:
            break
        last = float(best[n])
        cuts, place = [], n
        for row in reversed(came):
            place = int(row[place])
            cuts.append(place)
        found.append(cuts[::-1])
    return found


def _finished(cuts: list[int], counts: Floats, width: float, factor: int) -> Course:
    """Steps between the cuts, each moved to the finer bin that suits it best."""
    sums = np.concatenate([[0.0], np.cumsum(counts)])
    edges = [0, *(cut * factor for cut in cuts), len(counts)]
    for number in range(1, len(edges) - 1):
        low, high = edges[number - 1], edges[number + 1]
        near = np.arange(
            max(edges[number] - factor, low + 1), min(edges[number] + factor, high - 1)
        )
        if len(near):
            left, right = sums[near] - sums[low], sums[high] - sums[near]
            value = _part(left, near - low) + _part(right, high - near)
            edges[number] = int(near[int(value.argmax())])
    held = np.diff(sums[edges])
    lengths = np.diff(edges)
    total = float(_part(held, lengths).sum()) - float(counts.sum())
    rates = held / (lengths * width)
    points = tuple((edge * width, float(r)) for edge, r in zip(edges[:-1], rates, strict=True))
    return Course(points, "step", total, 2 * len(points) - 1)


def _part(held: Floats, lengths: Ints) -> Floats:
    safe = np.maximum(held, 1e-12)
    part: Floats = np.where(held > 0, held * np.log(safe / lengths), 0.0)
    return part


def _line(counts: Floats, width: float, knots: int) -> Course:
    """A line that bends at evenly set points, its heights by weighted least squares, again and
    again with the weights of the rates found.
    """
    n = len(counts)
    middles = (np.arange(n) + 0.5) / n * (knots - 1)
    left = np.minimum(middles.astype(int), knots - 2)
    part = middles - left
    design = np.zeros((n, knots))
    design[np.arange(n), left] = 1 - part
    design[np.arange(n), left + 1] = part
    heights = np.full(knots, float(counts.mean()))
    least = max(0.02 * float(counts.mean()), 1e-6)
    for _ in range(6):
        weights = 1 / np.maximum(design @ heights, least)
        normal = (design * weights[:, None]).T @ design + 1e-9 * np.eye(knots)
        heights = np.maximum(np.linalg.solve(normal, design.T @ (weights * counts)), 0.0)
    expected = np.maximum(design @ heights, 1e-9)
    total = float((counts * np.log(expected) - expected).sum())
    at = np.linspace(0, n * width, knots)
    points = tuple((float(t), float(h / width)) for t, h in zip(at, heights, strict=True))
    return Course(points, "linear", total, knots)
