"""Ticks of a recording's clock: durations may be finer than stamps, services shorter than both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lb.errors import ConfigError
from lb.units import duration
from sim.fit.calibrate.stays import Stays
from sim.model.laws import Floats

FINEST = 1e-6
"""Seconds."""
FINER = (1e-3, FINEST)
"""Ticks that durations of a log may have whose stamps are coarser."""
MOSTLY = 0.98
"""The share of durations that are whole numbers of ticks where these are theirs."""


def tick(stays: Sequence[Stays], resolution: float) -> float:
    """Seconds between two durations that can be told apart, at least a microsecond."""
    long = np.concatenate([one.sojourn[one.whole] for one in stays])
    for step in (it for it in FINER if it < resolution):
        off = np.abs(long / step - np.round(long / step))
        if len(long) and float((off < 0.1).mean()) > MOSTLY:
            return step
    return max(resolution, FINEST)


def short_of(samples: Sequence[Floats], grain: float, source: str) -> list[bool]:
    """Of which backends services are shorter than a tick. Raises ConfigError if of all."""
    short = [float(one.mean()) < grain for one in samples]
    if all(short):
        why = f"answers take less than a tick of its clock, {duration(grain)}; no model is told"
        raise ConfigError([f"{source}: {why}: log finer times ($msec and its like in nginx)"])
    return short


def at_least(samples: Sequence[Floats], grain: float, short: Sequence[bool]) -> list[Floats]:
    """What is shorter than a tick as half of one."""
    return [
        np.maximum(one, grain / 2) if no else one for one, no in zip(samples, short, strict=True)
    ]
