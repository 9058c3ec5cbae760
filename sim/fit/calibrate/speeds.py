"""How fast a backend works as time goes by, seen in its services."""

from __future__ import annotations

import numpy as np

from lb.config import Speed
from sim.fit.calibrate.segments import segments
from sim.model.laws import Floats

NOTICED = 1.12
"""By what factor speeds differ that are worth a word."""


def speeds(at: Floats, services: Floats, floor: float) -> tuple[tuple[float, float], ...]:
    """Times and speeds from there on, 1 for the longest part; none where nothing changes.

    `at` is when each service began, ascending, in seconds; the first speed holds from the start.
    """
    logs = np.log(np.maximum(services, max(floor, 1e-6)))
    low, high = np.quantile(logs, [0.01, 0.99]) if len(logs) else (0.0, 0.0)
    pieces = segments(np.clip(logs, low, high))
    means = [float(services[a:b].mean()) for a, b in pieces]
    place = 0
    while place + 1 < len(pieces):  # neighbours that hardly differ are one
        ratio = means[place + 1] / means[place]
        if 1 / NOTICED < ratio < NOTICED:
            pieces[place : place + 2] = [(pieces[place][0], pieces[place + 1][1])]
            a, b = pieces[place]
            means[place : place + 2] = [float(services[a:b].mean())]
            place = max(place - 1, 0)
        else:
            place += 1
    if len(pieces) < 2:
        return ()
    longest = max(range(len(pieces)), key=lambda i: at[pieces[i][1] - 1] - at[pieces[i][0]])
    usual = means[longest]
    points = []
    for (a, _), mean in zip(pieces, means, strict=True):
        points.append((0.0 if not a else float(f"{at[a]:.5g}"), float(f"{usual / mean:.4g}")))
    return tuple(points)


def at_speed(at: Floats, points: tuple[tuple[float, float], ...]) -> Floats:
    """The speed at each time; shape (len(at),)."""
    if not points:
        return np.ones(len(at))
    since, value = np.array(points).T
    speed: Floats = value[np.maximum(np.searchsorted(since, at, side="right") - 1, 0)]
    return speed


def table(points: tuple[tuple[float, float], ...]) -> Speed | None:
    """As a file has it."""
    return Speed(points=points, shape="step") if points else None
