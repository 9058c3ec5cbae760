"""Service-time and size distributions.

A law of the file format is drawn as a unit-mean *shape* times its mean. Backends that differ only
in speed share a shape, so one size per request is the same work wherever the request goes.
"""

from __future__ import annotations

import math
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lb.config import (
    Bimodal,
    BoundedPareto,
    Deterministic,
    Empirical,
    Erlang,
    Exponential,
    Gamma,
    Hyperexponential,
    LawTable,
    Lognormal,
    Uniform,
    Weibull,
)

Floats = NDArray[np.float64]


def shape(law: LawTable) -> str:
    """A name for the law without its mean; equal names mean proportional laws."""
    match law:
        case Exponential():
            return "exponential"
        case Deterministic():
            return "deterministic"
        case Lognormal() | Gamma() | Hyperexponential():
            return f"{law.law}(cv={law.cv:g})"
        case Erlang():
            return f"erlang(k={law.k})"
        case Uniform():
            return f"uniform({law.low / law.mean:.9g}, {law.high / law.mean:.9g})"
        case Weibull():
            return f"weibull(shape={law.shape:g})"
        case BoundedPareto():
            return f"bounded_pareto(alpha={law.alpha:g}, ratio={law.ratio:g})"
        case Bimodal():
            rows = zip(law.values, law.chances, strict=True)
            return f"bimodal({', '.join(f'{v / law.mean:.9g}:{p:.9g}' for v, p in rows)})"
        case Empirical():
            return _measured(law.file, law.values, law.mean)


@lru_cache(maxsize=64)
def _measured(file: str, values: tuple[float, ...], mean: float) -> str:
    """One file in two units is one shape."""
    text = ",".join(f"{value / mean:.9g}" for value in values)
    return f"empirical({Path(file).name}, {zlib.crc32(text.encode()):08x})"


def draw_shape(law: LawTable, rng: np.random.Generator, n: int) -> Floats:
    """`n` independent draws of the law divided by its mean; shape (n,)."""
    match law:
        case Exponential():
            return rng.standard_exponential(n)
        case Deterministic():
            return np.ones(n)
        case Lognormal():
            variance = math.log1p(law.cv**2)  # of the logarithm
            return rng.lognormal(-variance / 2, math.sqrt(variance), n)
        case Gamma():
            return rng.standard_gamma(law.cv**-2, n) * law.cv**2
        case Erlang():
            return rng.standard_gamma(law.k, n) / law.k
        case Hyperexponential():
            # Two phases of equal load: p/m1 = (1-p)/m2 with means 1/(2p) and 1/(2(1-p)).
            p = law.chance
            fast = rng.random(n) < p
            return rng.standard_exponential(n) / np.where(fast, 2 * p, 2 * (1 - p))
        case Uniform():
            return rng.uniform(law.low / law.mean, law.high / law.mean, n)
        case Weibull():
            return rng.weibull(law.shape, n) / math.gamma(1 + 1 / law.shape)
        case BoundedPareto():
            tail = law.ratio**-law.alpha  # by inversion of its distribution function
            left: Floats = 1 - rng.random(n) * (1 - tail)
            return law.low / law.mean * left ** (-1 / law.alpha)
        case Bimodal():
            ends = np.cumsum(law.chances)[:-1]
            return np.array(law.values)[np.searchsorted(ends, rng.random(n), "right")] / law.mean
        case Empirical():
            return np.array(law.values)[rng.integers(len(law.values), size=n)] / law.mean


def draw(law: LawTable, rng: np.random.Generator, n: int) -> Floats:
    """`n` independent draws in seconds; shape (n,)."""
    return draw_shape(law, rng, n) * law.mean
