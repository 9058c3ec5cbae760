"""Balancers over a few exponential servers: the Markov chain of all queue lengths, solved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations_with_replacement

import numpy as np

from sim.checks.theory.balancing import Matrix
from sim.checks.theory.sojourn import Sojourn, behind

Rule = Callable[[Sequence[int]], list[float]]
"""Queue lengths, the shortest first, to the probability that each of them is joined."""


def shortest(lengths: Sequence[int]) -> list[float]:
    """Least connections."""
    return [1.0] + [0.0] * (len(lengths) - 1)


def two_choices(lengths: Sequence[int]) -> list[float]:
    """The shorter of two different ones."""
    n = len(lengths)
    return [2 * (n - 1 - i) / (n * (n - 1)) for i in range(n)]


def two_choices_with_replacement(lengths: Sequence[int]) -> list[float]:
    """The shorter of two that may be one."""
    n = len(lengths)
    return [(2 * (n - i) - 1) / n**2 for i in range(n)]


def idle_first(lengths: Sequence[int]) -> list[float]:
    """Any idle one, otherwise any: join-idle-queue."""
    return shortest(lengths) if lengths[0] == 0 else [1 / len(lengths)] * len(lengths)


@cache
def of_few(n: int, load: float, rule: Rule, longest: int = 40) -> Sojourn:
    """`n` servers, first come, first served, of which `rule` chooses by their queue lengths.

    No queue grows beyond `longest`, whose probability must be next to nothing: about load^(n
    longest) when the queues are kept equal, load^longest when not. Power iteration on the
    uniformised chain, until a step changes it by no more than 1e-12 in all.
    """
    states = list(combinations_with_replacement(range(longest + 1), n))
    number = {state: i for i, state in enumerate(states)}
    source, target, rate = [], [], []
    most = n * (load + 1)
    for i, state in enumerate(states):
        stays = most
        moves = [(k, +1, n * load * p) for k, p in enumerate(rule(state)) if p]
        moves += [(k, -1, 1.0) for k in range(n) if state[k]]
        for k, step, weight in moves:
            other = tuple(sorted((*state[:k], state[k] + step, *state[k + 1 :])))
            if other in number:
                source.append(i)
                target.append(number[other])
                rate.append(weight / most)
                stays -= weight
        source.append(i)
        target.append(i)
        rate.append(stays / most)
    chances: Matrix = np.zeros(len(states))
    chances[0] = 1.0
    weights, before = np.array(rate), chances + 1
    while np.abs(chances - before).sum() > 1e-12:
        before = chances
        flow = before[source] * weights
        chances = np.bincount(target, weights=flow, minlength=len(states)).astype(float)
    met = np.zeros(longest + 1)
    for state, chance in zip(states, chances.tolist(), strict=True):
        for length, p in zip(state, rule(state), strict=True):
            met[length] += chance * p
    return behind(met.tolist())
