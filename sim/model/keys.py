"""Keys of requests, and how much work each of them brings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lb.config import Lognormal, Zipf
from sim.model.laws import Floats, draw_shape


def zipf_chances(law: Zipf) -> Floats:
    """The probability of each key; shape (law.count,)."""
    weights = np.arange(1, law.count + 1, dtype=float) ** -law.s
    chances: Floats = weights / weights.sum()
    return chances


def zipf_keys(law: Zipf, rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """`n` keys, key k with probability proportional to (k + 1) ** -s; shape (n,)."""
    weights = np.arange(1, law.count + 1, dtype=float) ** -law.s
    cumulative = np.cumsum(weights) / weights.sum()
    drawn = rng.random(n)
    # To look them up in order takes a third of the time: the next is near the last.
    order = np.argsort(drawn)
    keys = np.empty(n, np.int64)
    keys[order] = np.searchsorted(cumulative, drawn[order], side="right")
    return keys


def key_factors(cv: float, chances: Floats, rng: np.random.Generator) -> Floats:
    """What the sizes of each key's requests are multiplied by; one for each of `chances`.

    Lognormal, and then scaled so that the mean over requests, of which each key sends its share, is
    exactly 1: keys do not change the load.
    """
    law = Lognormal(law="lognormal", mean=1.0, cv=cv)
    factors = draw_shape(law, rng, len(chances))
    mean = float(factors @ chances)
    return factors / mean
