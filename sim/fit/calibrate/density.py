"""How likely a sample is under the smooth law that it itself suggests.

A kernel estimate that leaves each value out of its own (Habbema, Hermans and van den Broek 1974),
on a scale that is linear below a share of the median and logarithmic above, the likeliest of some
shares: it takes narrow laws, heavy tails, several peaks and laws that rise without bound towards
nothing alike, and hypotheses that make different samples of the same times can be compared by it.
"""

from __future__ import annotations

import math

import numpy as np

from sim.model.laws import Floats

BINS = 2048
BACKGROUND = 0.005
"""Of the estimate, spread evenly over the whole range: a lone value is unlikely, not impossible."""
IMPOSSIBLE = 1e-3
"""What share of values may be what no law gives, less than nothing: late clocks, stalls."""
STEP = 1.5
"""Between one width of the kernel and the next."""
LINEAR = (0.5, 0.1, 0.02)
"""Shares of the median below which the scale is linear."""


def log_likelihood(
    values: Floats, floor: float, slack: float, weights: Floats | None = None
) -> float:
    """Of all `values` in seconds; those below -`slack` are mistakes of the hypothesis or the clock.

    `floor` is the least width of a kernel, below which differences say nothing. `weights` say how
    often each value counts.
    """
    times = np.ones(len(values)) if weights is None else weights
    wrong = values < -slack
    total = float((times[wrong] * (values[wrong] + slack)).sum()) / max(slack, 1e-9)
    total += float(times[wrong].sum()) * math.log(IMPOSSIBLE / max(slack, 1e-9))
    kept, counted = values[~wrong], times[~wrong]
    if len(kept) < 3:
        return total
    median = float(np.median(np.abs(kept)))
    units = {max(share * median, floor, 1e-9) for share in LINEAR}
    return total + max(_on_scale(kept, counted, unit, floor / unit) for unit in units)


def _on_scale(kept: Floats, counted: Floats, unit: float, floor: float) -> float:
    """The likeliest kernel's where the scale is linear below `unit`, of which `floor` is a part."""
    places = np.arcsinh(kept / unit)
    stretched = 0.5 * float((counted * np.log(kept**2 + unit**2)).sum())
    least, most = float(places.min()), float(places.max())
    pad = max(0.05 * (most - least), 4 * floor)
    width = (most - least + 2 * pad) / BINS
    at = (places - least + pad) / width
    counts: Floats = np.bincount(at.astype(np.int64), counted, BINS).astype(float)
    number = float(counted.sum())
    narrowest = max(floor, width)
    widest = max(0.5 * float(places.std()), narrowest)
    steps = int(math.log(widest / narrowest) / math.log(STEP)) + 1
    likeliest = max(
        _left_out(counts, number, width, narrowest * STEP**step) for step in range(steps)
    )
    return likeliest - stretched


def _left_out(counts: Floats, number: float, width: float, kernel: float) -> float:
    """The sum of the logarithms of densities, each without its own value."""
    offsets = np.arange(BINS)
    offsets = np.minimum(offsets, 2 * BINS - offsets)
    window = np.zeros(2 * BINS)
    window[:BINS] = np.exp(-0.5 * (offsets * width / kernel) ** 2)
    window[BINS + 1 :] = window[BINS - 1 : 0 : -1]
    window /= window.sum()
    smooth = np.fft.irfft(np.fft.rfft(counts, 2 * BINS) * np.fft.rfft(window), 2 * BINS)[:BINS]
    held = counts > 0
    density = np.maximum(smooth[held] - window[0], 0.0) / max(number - 1, 1)
    mixed = (1 - BACKGROUND) * density + BACKGROUND / BINS
    return float((counts[held] * np.log(mixed / width)).sum())
