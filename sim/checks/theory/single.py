"""One station, Poisson arrivals: M/M/1, M/M/c, M/D/1, M/G/1 in order of arrival and shared."""

from __future__ import annotations

import math

import numpy as np

from sim.checks.theory.sojourn import Sojourn, exponential

Vector = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
MOST = 60
"""Arrivals during one constant service at a load below one are never as many."""


def m_m_1(load: float) -> Sojourn:
    """One exponential server: the sojourn is exponential. Kleinrock, Queueing Systems 1, 5.1."""
    return exponential(1 / (1 - load))


def variance_of_mean(load: float) -> float:
    """M/M/1: the variance of the mean wait over a long time, multiplied by that time.

    In service times cubed: a run of t of them gives the mean wait up to sqrt(variance_of_mean / t).
    Whitt, "Planning queueing simulations", Management Science 35, 1989.
    """
    return load * (2 + 5 * load - 4 * load**2 + load**3) / (1 - load) ** 4


def erlang_c(c: int, load: float) -> float:
    """The share that waits for one of `c` servers. Erlang 1917, from his loss formula."""
    lost = 1.0
    for k in range(1, c + 1):
        lost = c * load * lost / (k + c * load * lost)
    return lost / (1 - load * (1 - lost))


def m_m_c(c: int, load: float) -> Sojourn:
    """One line before `c` exponential servers: who waits does so exponentially, rate c (1 - load).

    The sojourn of those is the sum of two exponentials, whose rates may be as good as equal.
    """
    waits, rate = erlang_c(c, load), c * (1 - load)

    def tail(t: float) -> float:
        apart = abs(rate - 1)
        longer = -math.expm1(-apart * t) / apart if apart else t
        return math.exp(-t) + waits * longer * math.exp(-min(rate, 1.0) * t)

    return Sojourn(1 + waits / rate, tail)


def m_g_1(cv: float, load: float) -> float:
    """Mean sojourn in order of arrival; `cv` is that of the service times.

    Pollaczek 1930 and Khinchine 1932.
    """
    return 1 + load / (1 - load) * (1 + cv**2) / 2


def m_g_1_ps(load: float, size: float = 1.0) -> float:
    """Mean sojourn of requests of `size`, on average over all if not given, sharing one server.

    Of the law of service times only the mean counts. Sakata, Noguchi & Oizumi 1971.
    """
    return size / (1 - load)


def m_d_1(load: float) -> Sojourn:
    """One server with constant service times.

    P(wait <= t), (k - 1) <= t < k: of those in line at time t - k, and of those that come in the
    k - t after it, no more than k - 1 in all. Only positive terms. Franx, "A simple solution for
    the M/D/c waiting time distribution", Operations Research Letters 29, 2001.
    """
    in_line = _in_line(load)
    last = len(in_line) - 1

    def wait_within(t: float) -> float:
        k = math.floor(t) + 1
        come = load * (k - t)
        j = np.arange(k)
        logs = np.cumsum(np.log(np.maximum(j, 1)))
        return float(
            np.exp(j * math.log(come) - come - logs) @ in_line[np.minimum(k - 1 - j, last)]
        )

    return Sojourn(m_g_1(0.0, load), lambda t: 1.0 if t < 1 else 1 - wait_within(t - 1))


def _in_line(load: float) -> Vector:
    """P(at most m wait) of M/D/1, m = 0, 1, ..., until next to nobody is left.

    The number in system by the recursion of Ramaswami 1988, which has no differences.
    """
    j = np.arange(MOST)
    come = np.exp(j * math.log(load) - load - np.cumsum(np.log(np.maximum(j, 1))))
    at_least = np.append(np.cumsum(come[::-1])[::-1], 0.0)  # arrivals during a service
    present = [1 - load]
    while present[-1] > 1e-17:
        n = len(present)
        recent = range(max(1, n + 1 - MOST), n)
        met = present[0] * at_least[min(n, MOST)]
        met += sum(present[i] * at_least[n + 1 - i] for i in recent)
        present.append(met / (1 - at_least[1]))
    within: Vector = np.minimum(np.cumsum(present)[1:], 1.0)
    return within
