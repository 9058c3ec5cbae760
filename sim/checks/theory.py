"""Closed forms of queueing theory: mean sojourns, in service times, at a load below one."""

from __future__ import annotations

import math


def m_m_1(load: float) -> float:
    """One exponential server, Poisson arrivals."""
    return 1 / (1 - load)


def e_n_m_1(n: int, load: float) -> float:
    """Every n-th Poisson arrival: sigma = (n lam / (n lam + 1 - sigma)) ** n, sojourn 1/(1-sigma).

    `load` is one server's rate lam, so the stages of its Erlang interarrival times have rate n lam.
    From zero the iteration climbs to the smallest root, which is the one below one.
    """
    sigma, before = 0.0, -1.0
    while sigma - before > 1e-15:
        sigma, before = (n * load / (n * load + 1 - sigma)) ** n, sigma
    return 1 / (1 - sigma)


def m_m_c(c: int, load: float) -> float:
    """Erlang C."""
    offered = c * load
    busy = offered**c / math.factorial(c) / (1 - load)
    waits = busy / (sum(offered**k / math.factorial(k) for k in range(c)) + busy)
    return 1 + waits / (c * (1 - load))


def m_g_1(cv: float, load: float) -> float:
    """Pollaczek and Khinchine; `cv` is that of the service times."""
    return 1 + load / (1 - load) * (1 + cv**2) / 2


def power_of_d(d: int, load: float) -> float:
    """The shortest of d queues out of infinitely many: Mitzenmacher 2001, `d` at least 2."""
    total, power = 0.0, 0
    while (term := load**power) > 1e-17:
        total += term
        power = d * power + d
    return total
