"""Which algorithm wins where: the cells of a sweep as maps, two axes each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from sim.fit.sweep import Sweep
from sim.model.laws import Floats

ACROSS = ("load", "rate")
"""Axes that go from left to right wherever there is one of them."""


@dataclass(frozen=True)
class Regimes:
    """One map: everything but two axes has one value."""

    x: str
    across: tuple[Any, ...]
    """The values of `x`."""
    y: str | None
    """None where only one axis is varied."""
    up: tuple[Any, ...]
    fixed: dict[str, Any]
    """Axes that have one value here."""
    best: list[list[tuple[str, ...]]]
    """A row for each of `up`, a column for each of `across`: the best, with all that cannot be told
    from it; empty where nothing is known."""
    values: Floats
    """Seconds, of the best; the same shape."""
    simulated: list[list[bool]]
    """Whether the cell is done: where it has no best then, no sample carries the figure."""


def regimes(sweep: Sweep, metric: str = "p99") -> list[Regimes]:
    """A map for every combination of the axes beyond two.

    From left to right goes the load, else the axis of the most values; up goes the longest of those
    that are left.
    """
    x, y, rest = arranged(sweep)
    names = list(sweep.axes)
    flat = sweep.best(metric)
    best = np.empty(len(flat), dtype=object)
    best[:] = flat
    best = best.reshape(sweep.shape)
    values = sweep.latency(metric)
    winners = np.full(sweep.shape, np.nan)
    done = np.array([row is not None for row in sweep.rows]).reshape(sweep.shape)
    for place in np.ndindex(sweep.shape):
        if best[place]:
            winners[place] = values[place][sweep.algorithms.index(best[place][0])]
    found = []
    for fixed in product(*(range(len(sweep.axes[name])) for name in rest)):
        at: dict[str, Any] = dict(zip(rest, fixed, strict=True))
        index = tuple(at.get(name, slice(None)) for name in names)
        kept = [name for name in names if name not in at]
        order = [kept.index(name) for name in (y, x) if name is not None]
        shape = (1 if y is None else len(sweep.axes[y]), len(sweep.axes[x]))
        found.append(
            Regimes(
                x,
                sweep.axes[x],
                y,
                () if y is None else sweep.axes[y],
                {name: sweep.axes[name][place] for name, place in at.items()},
                np.transpose(best[index], order).reshape(shape).tolist(),
                np.transpose(winners[index], order).reshape(shape),
                np.transpose(done[index], order).reshape(shape).tolist(),
            )
        )
    return found


def arranged(sweep: Sweep) -> tuple[str, str | None, list[str]]:
    """Which axis goes from left to right, which one up, and the others."""
    names = sorted(sweep.axes, key=lambda name: (name not in ACROSS, -len(sweep.axes[name])))
    x, *left = names
    y = left[0] if left else None
    return x, y, [name for name in sweep.axes if name not in (x, y)]


def curves(sweep: Sweep, metric: str = "p99") -> Iterator[tuple[dict[str, Any], Floats]]:
    """For each combination of the other axes: estimates along `arranged`'s first axis.

    Shape (4, values, algorithms): value, low, high, NaN where nothing is known, and whether the
    sample does not carry them, 0 or 1, NaN where there is none.
    """
    x, _, _ = arranged(sweep)
    names = list(sweep.axes)
    others = [name for name in names if name != x]
    told = [sweep.latency(metric, what) for what in ("value", "low", "high")]
    whole = np.stack([*told, sweep.lacking(metric)])
    for fixed in product(*(range(len(sweep.axes[name])) for name in others)):
        at: dict[str, Any] = dict(zip(others, fixed, strict=True))
        index = (slice(None), *(at.get(name, slice(None)) for name in names))
        yield {name: sweep.axes[name][place] for name, place in at.items()}, whole[index]
