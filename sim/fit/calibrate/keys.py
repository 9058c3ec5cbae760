"""Keys of requests: how many there are, how uneven, and how much work goes with them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lb.config import Zipf
from sim.analysis.statistics import Estimate
from sim.fit.calibrate.highest import golden
from sim.fit.seen import Ints
from sim.model.keys import zipf_chances
from sim.model.laws import Floats

MOST_KEYS = 1_000_000
STEEPEST = 4.0
"""The exponent at most: beyond, nearly all requests have one key."""
OFTEN = 15
"""Requests of a key from which its rank is hardly chance."""
SURE = 3.0
"""Standard errors from which work is taken to depend on keys."""


@dataclass(frozen=True)
class Keys:
    """Zipf's law, fitted."""

    law: Zipf
    s: Estimate
    count: Estimate
    distinct: int
    """How many were seen."""
    distance: float
    """The largest between cumulated shares of keys by rank, seen and of the law."""


def keys(numbers: Ints, rounds: int, rng: np.random.Generator) -> Keys | None:
    """Of the keys of all requests; None where they say nothing: one alone, or no two alike."""
    held = numbers[numbers >= 0]
    if not len(held):
        return None
    counts = np.sort(np.unique(held, return_counts=True)[1])[::-1].astype(float)
    if len(counts) < 2 or len(counts) > 0.9 * len(held):
        return None
    number = len(held)
    raw, count = _fitted(counts, number)
    # Ranks are told by the very counts that are fitted: what that adds, the same fit of samples
    # of the law tells, and how far it strays.
    s, found, stray, spread = raw, count, 0.0, 0.0
    for _ in range(3):
        drawn = [_fitted(_sample(s, found, number, rng), number) for _ in range(max(rounds, 4))]
        logs = [math.log(one[1] / found) for one in drawn]
        stray = float(np.std([one[0] for one in drawn], ddof=1))
        spread = float(np.std(logs, ddof=1))
        off = raw - float(np.mean([one[0] for one in drawn]))
        s = max(s + off, 0.0)
        found = max(round(count / math.exp(float(np.mean(logs)))), len(counts))
        if abs(off) < 0.3 * stray or rounds < 5:
            break
    corrected = found
    even = [_fitted(_sample(0.0, found, number, rng), number)[0] for _ in range(8)]
    if raw < float(np.mean(even)) + 2.5 * float(np.std(even, ddof=1)):
        s = 0.0
    half, times = 2.2 * stray + 0.005, math.exp(2.2 * spread)
    chances = zipf_chances(Zipf(law="zipf", count=corrected, s=s))
    seen = np.cumsum(counts) / number
    distance = float(np.abs(seen - np.cumsum(chances)[: len(seen)]).max())
    return Keys(
        Zipf(law="zipf", count=corrected, s=float(f"{s:.4g}")),
        Estimate(s, max(s - half, 0.0), s + half),
        Estimate(corrected, max(corrected / times, len(counts)), corrected * times),
        len(counts),
        distance,
    )


def _sample(s: float, count: int, number: int, rng: np.random.Generator) -> Floats:
    chances = zipf_chances(Zipf(law="zipf", count=count, s=s))
    drawn = rng.multinomial(number, chances)
    return np.sort(drawn[drawn > 0])[::-1].astype(float)


def _fitted(counts: Floats, number: int) -> tuple[float, int]:
    """Exponent and number of keys: the exponent by the likelihood of the frequent ones' shares,
    the number by how many distinct keys so many requests show.
    """
    top = max(int(np.count_nonzero(counts >= OFTEN)), min(len(counts), 5))
    held, rest = counts[:top], float(number - counts[:top].sum())
    count = len(counts)
    s = 0.0
    for _ in range(6):
        s = _exponent(held, rest, count)
        wanted = _number(s, len(counts), number)
        if abs(wanted - count) <= 0.002 * count:
            break
        count = wanted
    return s, count


def _exponent(held: Floats, rest: float, count: int) -> float:
    logs = np.log(np.arange(1, count + 1))
    top = len(held)
    fixed = float((held * logs[:top]).sum())

    def likelihood(s: float) -> float:
        weights = np.exp(-s * logs)
        whole, below = float(weights.sum()), float(weights[top:].sum())
        tail = rest * math.log(max(below, 1e-300)) if rest else 0.0
        return -s * fixed + tail - (float(held.sum()) + rest) * math.log(whole)

    return golden(likelihood, 0.0, STEEPEST, 22)


def _number(s: float, distinct: int, number: int) -> int:
    """How many keys there are if so many of them are seen in `number` requests."""

    def expected(count: int) -> float:
        chances = zipf_chances(Zipf(law="zipf", count=count, s=s))
        return float(-np.expm1(number * np.log1p(-np.minimum(chances, 1 - 1e-12))).sum())

    low = distinct
    if expected(low) >= distinct - 0.5:
        return low
    high = low
    while expected(high) < distinct and high < MOST_KEYS:
        low, high = high, min(high * 2, MOST_KEYS)
    while high - low > max(1, low // 500):
        middle = (low + high) // 2
        low, high = (middle, high) if expected(middle) < distinct else (low, middle)
    return high


def work_by_key(keys: Ints, relative: Floats) -> Estimate | None:
    """How much keys differ in the work of their requests, as a coefficient of variation; None
    where that is no more than chance.

    `relative` is the work of each request over the mean of its backend. From products of two
    requests of one key, whose mean is the variance between keys (a one-way analysis of variance);
    its error by leaving out one key after the other.
    """
    _, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
    left = relative - relative.mean()
    sums = np.bincount(place, left)
    squares = np.bincount(place, left**2)
    pairs = counts * (counts - 1.0)
    several = counts >= 2
    if np.count_nonzero(several) < 5:
        return None
    noise = float(left.var())
    surely = float((sums**2 - squares).sum()) / math.sqrt(2 * float(pairs.sum())) / noise
    if surely < SURE:
        return None
    own = np.where(several, (sums**2 - squares) / np.maximum(pairs, 1.0), 0.0)
    value = max(float((own * pairs).sum() / pairs.sum()), 0.01)
    for _ in range(3):  # each key as much as it tells of the variance between them
        weight = np.where(several, (noise / np.maximum(counts, 1) + value) ** -2.0, 0.0)
        value = float((own * weight).sum() / weight.sum())
        if value <= 0:
            return None
    error = math.sqrt(float(((own - value) ** 2 * weight**2).sum())) / float(weight.sum())
    low, high = max(value - 1.96 * error, 0.0), value + 1.96 * error
    return Estimate(math.sqrt(value), math.sqrt(low), math.sqrt(high))
