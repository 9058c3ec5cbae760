"""Samples that keep to one value or a few, but for what timers and a busy machine do to them."""

from __future__ import annotations

import numpy as np

from lb.config import Bimodal, Deterministic
from sim.model.laws import Floats

STEADY = 0.02
"""Spread over mean below which values are taken for equal."""
MOST_KINDS = 4
"""Of equal values that a bimodal law is made of."""
CLOSE = 0.75
"""The share of a sample that is close to a few values where these are its law."""
MOSTLY, STRAY = 0.65, 0.5
"""The share of one value beside which the others are strays if they are spread, and how far off
these are at most, relative to it."""
CERTAINLY_ONE = 0.985
"""The share of one value from which the others are strays."""


def few_values(sample: Floats, jitter: float) -> Deterministic | Bimodal | None:
    """A law of one value or a few, where most of the sample is close to them; else None.

    What is not, timers and stalls of a busy machine have put where it is.
    """
    ordered = np.sort(np.maximum(sample, 1e-12))
    alone = Deterministic(law="deterministic", mean=max(float(sample.mean()), 1e-12))
    left, held = ordered, 0.0
    centres: list[tuple[float, float]] = []
    while len(centres) < MOST_KINDS and len(left) > 0.002 * len(ordered):
        at, width, share = _densest(left, len(ordered), jitter)
        if share < 0.005:
            break
        if len(centres) == 1 and held > MOSTLY and share < 0.5 * (1 - held):
            low, high = np.quantile(ordered, [0.01, 0.99]) / centres[0][0]
            if low > 1 - STRAY and high < 1 + STRAY:
                return alone  # and the rest is a busy machine's doing
        if any(abs(at - other) < 2 * (width + apart) for other, apart in centres):
            break
        centres.append((at, width))
        held += share
        left = left[np.abs(left - at) > 2.5 * width]  # what is a little off is no other value
    if held < CLOSE:
        return None
    places = np.sort([at for at, _ in centres])
    whose = np.searchsorted(np.sqrt(places[:-1] * places[1:]), ordered)
    shares = np.bincount(whose, minlength=len(places)) / len(ordered)
    if len(places) == 1 or shares.max() > CERTAINLY_ONE:
        return alone
    means = [float(ordered[whose == kind].mean()) for kind in range(len(places))]
    return Bimodal(
        law="bimodal",
        values=tuple(float(f"{value:.6g}") for value in means),
        weights=tuple(float(f"{share:.5g}") for share in shares),
    )


def _densest(ordered: Floats, number: int, jitter: float) -> tuple[float, float, float]:
    """Where most values lie close together: the middle, how far they reach, their share."""
    middle = float(np.median(ordered))
    near = np.maximum(2 * STEADY * ordered, min(1.5 * jitter, 0.08 * middle))
    counts = np.searchsorted(ordered, ordered + 2 * near) - np.arange(len(ordered))
    first = int(counts.argmax())
    inside = ordered[first : first + int(counts[first])]
    return float(np.median(inside)), float(near[first]), len(inside) / number
