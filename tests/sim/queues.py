"""Sojourns in queues whose laws are known, without the simulator: Lindley's recursion."""

from __future__ import annotations

import math

import numpy as np

from sim.analysis.statistics import QUANTILES
from sim.model.laws import Floats


def m_m_1(load: float, shape: tuple[int, int], seed: int) -> Floats:
    """Exponential service of mean 1; shape (replications, requests), each from an empty queue."""
    rng = np.random.default_rng(seed)
    gaps, service = rng.exponential(1 / load, shape), rng.exponential(1.0, shape)
    steps = np.zeros(shape)
    steps[:, 1:] = service[:, :-1] - gaps[:, 1:]
    walk = np.cumsum(steps, axis=1)
    waits: Floats = walk - np.minimum(np.minimum.accumulate(walk, axis=1), 0.0)
    return waits + service


def m_m_1_figures(load: float) -> dict[str, float]:
    """In a steady state: exponential with mean 1 / (1 - load)."""
    mean = 1 / (1 - load)
    return {"mean": mean, **{name: -mean * math.log(1 - q) for name, q in QUANTILES.items()}}
