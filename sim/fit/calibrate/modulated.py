"""Poisson arrivals at two rates that take turns, fitted to counts in short bins.

A hidden Markov chain with Poisson counts, by expectation and maximisation (Rabiner 1989); its
chances of changing within a bin become stays in continuous time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.model.laws import Floats

ROUNDS = 20
FEWEST_VISITS = 10.0
"""To each rate, from which on it recurs: the error of a mean stay is one over the root of them, a
third then. What came once or twice tells neither how long it lasts nor that it will come again."""


@dataclass(frozen=True)
class Modulated:
    """Two rates and how long each stays on average."""

    rates: tuple[float, float]
    dwell: tuple[float, float]
    log_likelihood: float
    """Of the counts, without the part that no rate changes."""


def modulated(counts: Floats, width: float) -> Modulated | None:
    """The likeliest of a few beginnings; None where no two rates take turns."""
    mean = float(counts.mean())
    if mean <= 0:
        return None
    found = []
    for stay in (4.0, 40.0):
        window = int(min(max(stay / 2, 1), len(counts) // 4))
        smooth = np.convolve(counts, np.ones(window) / window, "same")
        low, high = (float(np.quantile(smooth, q)) for q in (0.15, 0.85))
        found.append(_fitted(counts, max(low, 0.05 * mean), max(high, 1.2 * mean), 1 / stay))
    rates, (lower, turns), value = max(found, key=lambda one: one[2])
    higher = len(counts) - lower
    if turns < FEWEST_VISITS or min(lower, higher) <= 0:
        return None
    # As often from one to the other as back, so that both together have the rate that was seen.
    p, q = turns / lower, turns / higher
    if p + q >= 1:
        return None
    speed = -math.log1p(-(p + q)) / width
    leave = speed * p / (p + q), speed * q / (p + q)
    told = tuple(float(f"{rate / width:.5g}") for rate in rates)
    stays = tuple(float(f"{1 / it:.4g}") for it in leave)
    return Modulated((told[0], told[1]), (stays[0], stays[1]), value)


def _fitted(
    counts: Floats, low: float, high: float, leave: float
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Counts per bin; for how many bins it was the lower, how often it came back to it; and the
    logarithm of the likelihood.
    """
    p, q = leave, leave
    n = len(counts)
    spent = turns = 0.0
    value = -math.inf
    for _ in range(ROUNDS):
        logs = np.stack([counts * math.log(low) - low, counts * math.log(high) - high])
        top = logs.max(axis=0)
        first, second = np.exp(logs - top).tolist()
        # Forward: the chance of the lower rate, bin by bin.
        a = q / (p + q)
        ahead = [0.0] * n
        scale = 0.0
        for i in range(n):
            x, y = a * first[i], (1 - a) * second[i]
            total = x + y
            scale += math.log(total)
            here = x / total
            ahead[i] = here
            a = here * (1 - p) + (1 - here) * q
        # Backward: both chances, and what changed between two bins.
        b0 = b1 = 1.0
        inside = [0.0] * n
        inside[-1] = ahead[-1]
        left = came = 0.0
        for i in range(n - 2, -1, -1):
            e0, e1 = first[i + 1] * b0, second[i + 1] * b1
            x = ahead[i]
            stay0, go0 = x * (1 - p) * e0, x * p * e1
            go1, stay1 = (1 - x) * q * e0, (1 - x) * (1 - q) * e1
            total = stay0 + go0 + go1 + stay1
            left += go0 / total
            came += go1 / total
            inside[i] = (stay0 + go0) / total
            b0, b1 = (1 - p) * e0 + p * e1, q * e0 + (1 - q) * e1
            norm = b0 + b1
            b0, b1 = b0 / norm, b1 / norm
        share = np.array(inside)
        before = value
        value = scale + float(top.sum())
        lower, spent, turns = float(share[:-1].sum()), float(share.sum()), (left + came) / 2
        p = min(max(left / max(lower, 1e-9), 1e-6), 0.5)
        q = min(max(came / max(n - 1 - lower, 1e-9), 1e-6), 0.49)
        low = max(float((share * counts).sum() / max(float(share.sum()), 1e-9)), 1e-6)
        high = max(float(((1 - share) * counts).sum() / max(float((1 - share).sum()), 1e-9)), 1e-6)
        if value - before < 0.01:
            break
    return (low, high), (spent, turns), value
