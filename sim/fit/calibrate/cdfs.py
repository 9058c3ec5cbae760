"""Distribution functions of the laws that services and gaps may have, by mean and one figure of
shape: what a fit turns at. Edges ascend; all give shape (len(edges),).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lb.config import (
    Erlang,
    Exponential,
    Gamma,
    Hyperexponential,
    LawTable,
    Lognormal,
    Uniform,
    Weibull,
)
from sim.model.laws import Floats


@dataclass(frozen=True)
class Family:
    """Laws of one kind."""

    name: str
    parameters: int
    """How many figures it has, the mean included: what the criterion charges for."""
    shapes: tuple[float, float]
    """Least and most of its figure of shape; equal where it has none."""
    below: Callable[[Floats, float, float], Floats]
    """P(value <= edge), of edges, mean and shape."""
    law: Callable[[float, float], LawTable]
    """As a file has it, of mean and shape."""
    key: str = "cv"
    """What the file calls the figure of shape."""


def _exponential(edges: Floats, mean: float, _shape: float) -> Floats:
    return -np.expm1(-np.maximum(edges, 0.0) / mean)


def _lognormal(edges: Floats, mean: float, cv: float) -> Floats:
    sigma = math.sqrt(math.log1p(cv * cv))
    middle = math.log(mean) - sigma * sigma / 2
    scores = (np.log(np.maximum(edges, 1e-300)) - middle) / (sigma * math.sqrt(2))
    return np.array([0.5 * math.erfc(-score) for score in scores])


def _weibull(edges: Floats, mean: float, shape: float) -> Floats:
    scale = mean / math.gamma(1 + 1 / shape)
    return -np.expm1(-((np.maximum(edges, 0.0) / scale) ** shape))


def _hyperexponential(edges: Floats, mean: float, cv: float) -> Floats:
    first = (1 + math.sqrt((cv**2 - 1) / (cv**2 + 1))) / 2
    times = np.maximum(edges, 0.0) / mean
    fast, slow = np.exp(-2 * first * times), np.exp(-2 * (1 - first) * times)
    return 1 - first * fast - (1 - first) * slow


def _uniform(edges: Floats, mean: float, cv: float) -> Floats:
    half = mean * cv * math.sqrt(3)
    return np.clip((edges - mean + half) / (2 * half), 0.0, 1.0)


def _gamma(edges: Floats, mean: float, cv: float) -> Floats:
    shape = cv**-2
    return gamma_below(shape, np.maximum(edges, 0.0) * shape / mean)


def _erlang(edges: Floats, mean: float, k: float) -> Floats:
    return gamma_below(k, np.maximum(edges, 0.0) * k / mean)


def gamma_below(shape: float, x: Floats) -> Floats:
    """The regularised lower incomplete gamma function.

    By its series below shape + 1 and its continued fraction above (Abramowitz & Stegun, 6.5.29 and
    6.5.31), by Lentz's method.
    """
    result = np.zeros(len(x))
    front = np.exp(shape * np.log(np.maximum(x, 1e-300)) - x - math.lgamma(shape))
    low = (x < shape + 1) & (x > 0)
    if low.any():
        part, n = x[low], shape
        term = total = np.full(len(part), 1 / shape)
        for _ in range(1000):
            n += 1
            term = term * part / n
            total = total + term
            if (term < total * 1e-12).all():
                break
        result[low] = front[low] * total
    high = x >= shape + 1
    if high.any():
        part = x[high]
        b = part + 1 - shape
        c = np.full(len(part), 1e300)
        d = 1 / b
        fraction = d
        for i in range(1, 1000):
            a = -i * (i - shape)
            b = b + 2
            d = 1 / np.where(np.abs(a * d + b) < 1e-300, 1e-300, a * d + b)
            c = np.where(np.abs(b + a / c) < 1e-300, 1e-300, b + a / c)
            fraction = fraction * d * c
            if (np.abs(d * c - 1) < 1e-12).all():
                break
        result[high] = 1 - front[high] * fraction
    return result


FAMILIES = (
    Family(
        *("exponential", 1, (1.0, 1.0), _exponential),
        lambda mean, _: Exponential(law="exponential", mean=mean),
    ),
    Family(
        *("erlang", 1, (2.0, 60.0), _erlang),
        lambda mean, k: Erlang(law="erlang", mean=mean, k=round(k)),
        "k",
    ),
    Family(
        *("uniform", 2, (0.01, 1 / math.sqrt(3)), _uniform),
        lambda mean, cv: Uniform(
            law="uniform",
            low=max(mean * (1 - cv * math.sqrt(3)), 0.0),
            high=mean * (1 + cv * math.sqrt(3)),
        ),
    ),
    Family(
        *("gamma", 2, (0.03, 6.0), _gamma),
        lambda mean, cv: Gamma(law="gamma", mean=mean, cv=cv),
    ),
    Family(
        *("lognormal", 2, (0.01, 20.0), _lognormal),
        lambda mean, cv: Lognormal(law="lognormal", mean=mean, cv=cv),
    ),
    Family(
        *("hyperexponential", 2, (1.0, 20.0), _hyperexponential),
        lambda mean, cv: Hyperexponential(law="hyperexponential", mean=mean, cv=cv),
    ),
    Family(
        *("weibull", 2, (0.2, 30.0), _weibull),
        lambda mean, shape: Weibull(law="weibull", mean=mean, shape=shape),
        "shape",
    ),
)
"""From simple to less simple."""
