"""When requests arrive: each process of the file, drawn exactly.

The first n arrivals of a process are the same however many are drawn: what decides over gaps comes
from one stream, what decides over anything else from its child.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lb.config import (
    Batch,
    Geometric,
    Mmpp,
    Paced,
    Poisson,
    ProcessTable,
    Profile,
    Renewal,
    Sine,
)
from sim.model.laws import Floats, draw


def arrival_times(process: ProcessTable, rng: np.random.Generator, n: int) -> Floats:
    """The first `n` arrival times in seconds, ascending; shape (n,), less when no more come."""
    match process:
        case Poisson():
            return np.cumsum(rng.standard_exponential(n)) / process.rate
        case Paced():
            return np.arange(1, n + 1) / process.rate
        case Renewal():
            return np.cumsum(draw(process.law, rng, n))
        case Batch():
            return _batches(process, rng, n)
        case Mmpp():
            return _modulated(process, rng, n)
        case Profile():
            return _inverted(process, np.cumsum(rng.standard_exponential(n)))
        case Sine():
            return _thinned(process, rng, n)


def times_before(
    process: ProcessTable, stream: Callable[[], np.random.Generator], duration: float
) -> Floats:
    """All arrival times below `duration`, ascending; `stream` makes the same generator anew."""
    expected = process.mean_rate(duration, 0) * duration
    n = int(expected + 10 * expected**0.5) + 10
    while True:
        times = arrival_times(process, stream(), n)
        if len(times) < n or times[-1] >= duration:
            return times[times < duration]
        n *= 2  # it comes in bursts


def _batches(process: Batch, rng: np.random.Generator, n: int) -> Floats:
    """Batches of a Poisson process, as many as hold `n` requests."""
    (luck,) = rng.spawn(1)
    size = process.size
    batches = n if isinstance(size, Geometric) else -(-n // size.mean)
    instants = np.cumsum(rng.standard_exponential(batches)) * (size.mean / process.rate)
    held = luck.geometric(1 / size.mean, batches) if isinstance(size, Geometric) else size.mean
    return np.repeat(instants, held)[:n]


def _modulated(process: Mmpp, rng: np.random.Generator, n: int) -> Floats:
    """By inversion, given the stays: within each the rate is constant."""
    (luck,) = rng.spawn(1)
    rates, means = np.array(process.rates), np.array(process.dwell)
    first = int(np.searchsorted(np.cumsum(means) / means.sum(), luck.random(), side="right"))
    operational = np.cumsum(rng.standard_exponential(n))
    cycle = float(rates @ means)
    turns, stays = 0, np.empty(0)
    while True:
        visits = (first + np.arange(len(stays))) % len(rates)
        holds = rates[visits] * stays
        before = np.cumsum(holds) - holds
        if len(stays) and before[-1] + holds[-1] > operational[-1]:
            break
        turns = max(2 * turns, int(1.1 * n / cycle) + 10)
        more = luck.standard_exponential(turns * len(rates) - len(stays))
        visits = (first + np.arange(turns * len(rates))) % len(rates)
        stays = np.concatenate([stays, more * means[visits[len(stays) :]]])
    begins = np.cumsum(stays) - stays
    at = np.searchsorted(before, operational, side="right") - 1
    times = begins[at] + (operational - before[at]) / rates[visits[at]]
    return np.maximum.accumulate(times)  # rounding between two stays must not turn time back


def _thinned(process: Sine, rng: np.random.Generator, n: int) -> Floats:
    """By thinning a Poisson process of the highest rate (Lewis and Shedler 1979)."""
    (luck,) = rng.spawn(1)
    swing, turn = process.amplitude, 2 * np.pi / process.period
    gaps, kept = np.empty(0), np.empty(0, bool)
    while np.count_nonzero(kept) < n:
        more = int(1.1 * (1 + swing) * (n - np.count_nonzero(kept))) + 20
        gaps = np.concatenate([gaps, rng.standard_exponential(more)])
        times = np.cumsum(gaps) / (process.rate * (1 + swing))
        height = (1 + swing * np.sin(turn * times[len(kept) :])) / (1 + swing)
        kept = np.concatenate([kept, luck.random(more) < height])
    return times[kept][:n]


def _inverted(profile: Profile, operational: Floats) -> Floats:
    """When arrivals of a unit rate come if time runs as fast as the profile's rate.

    Exact, by inversion of the expected number of arrivals (Cinlar 1975, section 4.7), which is a
    quadratic in each piece; shape (k,), k of them come at all.
    """
    pieces = list(profile.pieces)
    since, first, slope = np.array([(p.since, p.first, p.slope) for p in pieces]).T
    before = np.cumsum([0.0, *(piece.holds for piece in pieces[:-1])])
    if not pieces[-1].last:
        operational = operational[operational < before[-1]]
    at = np.searchsorted(before, operational, side="right") - 1
    more = operational - before[at]
    root = np.sqrt(np.maximum(first[at] ** 2 + 2 * slope[at] * more, 0.0))
    pace = first[at] + root
    times = since[at] + np.divide(2 * more, pace, out=np.zeros_like(more), where=pace > 0)
    return np.maximum.accumulate(times)  # rounding between two pieces must not turn time back
