"""Balancers over equal exponential servers, Poisson arrivals, as far as theory goes."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from sim.checks.theory.sojourn import Sojourn, behind, exponential

Matrix = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def e_n_m_1(n: float, load: float) -> Sojourn:
    """Round robin: each server gets every n-th arrival; at n = inf they come at equal distances.

    The sojourn is exponential with rate 1 - sigma, where sigma = (n load / (n load + 1 - sigma))^n.
    From zero the iteration climbs to the smallest root, which is the one below one. GI/M/1:
    Kleinrock, Queueing Systems 1, 6.4.
    """
    sigma, before = 0.0, -1.0
    while sigma - before > 1e-15:
        before = sigma
        if math.isinf(n):
            sigma = math.exp(-(1 - sigma) / load)
        else:
            sigma = math.exp(-n * math.log1p((1 - sigma) / (n * load)))
    return exponential(1 / (1 - sigma))


def power_of_d(d: int, load: float) -> Sojourn:
    """The shortest of `d` queues drawn out of infinitely many, `d` at least 2.

    A share load^((d^k - 1) / (d - 1)) of the queues has k requests or more. Vvedenskaya,
    Dobrushin & Karpelevich 1996; Mitzenmacher 2001.
    """
    found, power = [1.0], 0
    while found[-1] > 1e-18:
        power = d * power + 1
        found.append(load ** (power * d))  # all d have k or more
    return behind([more - less for more, less in pairwise([*found, 0.0])])


def jsq_2(load: float, apart: int = 50) -> Sojourn:
    """Join the shortest of two queues, ties at random.

    Levels are the lengths of the shorter queue, phases the difference: a quasi-birth-death process,
    solved by logarithmic reduction (Latouche & Ramaswami 1993). Differences above `apart` have next
    to no probability: they fall off by load^2 / (2 + load) each (Flatto & McKean 1977).
    """
    size = apart + 1
    up, down, stay = (np.zeros((size, size)) for _ in range(3))
    stay[0, 1] = 2 * load
    down[0, 1] = 2
    for d in range(1, size):
        up[d, d - 1] = 2 * load
        stay[d, d - 1] = 1
        down[d, min(d + 1, apart)] = 1
    bottom = stay - np.diag((up + stay).sum(axis=1))
    stay = bottom - np.diag(down.sum(axis=1))
    rate = _rate_matrix(up, stay, down)
    return behind(_levels(bottom + rate @ down, rate))


def _rate_matrix(up: Matrix, stay: Matrix, down: Matrix) -> Matrix:
    """R: the level above is this one's probabilities times R."""
    identity = np.eye(len(stay))
    high, low = np.linalg.solve(-stay, up), np.linalg.solve(-stay, down)
    first, ways = low, high
    while np.abs(1 - first.sum(axis=1)).max() > 1e-14 and ways.max() > 1e-300:
        both = identity - high @ low - low @ high
        high, low = np.linalg.solve(both, high @ high), np.linalg.solve(both, low @ low)
        first = first + ways @ low
        ways = ways @ high
    return up @ np.linalg.inv(-(stay + up @ first))


def _levels(bottom: Matrix, rate: Matrix) -> list[float]:
    """The probability of each level, up to a common factor."""
    balance = bottom.T.copy()
    balance[0] = 1
    here = np.linalg.solve(balance, np.eye(len(balance))[0])
    sums: list[float] = []
    while not sums or sums[-1] > 1e-17 * sums[0]:
        sums.append(float(here.sum()))
        here = here @ rate
    return sums
