"""Queue lengths read off a board that is renewed from time to time: old information."""

from __future__ import annotations

import numpy as np

from sim.checks.theory.balancing import Matrix

STEPS = 20
"""Of the integration, per service time."""


def board(d: int, load: float, every: float) -> float:
    """Mean sojourn, infinitely many servers: the least of `d` by a board renewed each `every`.

    The periodic update model of Mitzenmacher, "How useful is old information?", IEEE Transactions
    on Parallel and Distributed Systems 11, 2000, 3.1. Between two renewals a queue that shows i on
    the board gets arrivals at a constant rate, those of all that show i shared evenly; the share of
    queues by length at a renewal is a fixed point; `d` is at least 2. Fourth-order Runge-Kutta.
    """
    steps = max(1, round(every * STEPS))
    shares = load ** np.arange(30.0 + 4 * every)  # and no queue grows longer than that
    shares /= shares.sum()
    before = shares + 1
    mean = 0.0
    while np.abs(shares - before).sum() > 1e-10:
        before = shares
        shares, area = _phase(shares, _rates(shares, d, load), every / steps, steps)
        mean = area / every / load  # Little
    return mean


def _rates(shares: Matrix, d: int, load: float) -> Matrix:
    """Arrivals per second at a queue that shows i."""
    at_least = np.append(np.cumsum(shares[::-1])[::-1], 0.0)
    chosen = -np.diff(at_least**d)
    return load * np.divide(chosen, shares, out=np.zeros_like(shares), where=shares > 1e-300)


def _phase(shares: Matrix, rates: Matrix, step: float, steps: int) -> tuple[Matrix, float]:
    """Shares by length at the end of it, and the integral of the mean length.

    Row i of `queues` holds those that show i on the board, by length.
    """
    queues = np.diag(shares)
    lengths = np.arange(len(shares))

    def change(queues: Matrix) -> Matrix:
        come = rates[:, None] * queues
        come[:, -1] = 0.0
        gone = queues.copy()
        gone[:, 0] = 0.0
        flow = -come - gone
        flow[:, 1:] += come[:, :-1]
        flow[:, :-1] += gone[:, 1:]
        return flow

    area = 0.0
    for _ in range(steps):
        first = change(queues)
        second = change(queues + step / 2 * first)
        third = change(queues + step / 2 * second)
        fourth = change(queues + step * third)
        total = queues + step / 6 * (first + 2 * second + 2 * third + fourth)
        area += step / 2 * float((queues.sum(axis=0) + total.sum(axis=0)) @ lengths)
        queues = total
    return queues.sum(axis=0), area
