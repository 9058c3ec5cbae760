"""Least anything: always a minimum, as a scan of everyone finds it, and uniform among ties."""

from __future__ import annotations

from collections import Counter
from math import exp
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lb.strategies import REGISTRY, Outcome, create
from lb.strategies.parts.least_loaded import LeastLoaded
from lb.strategies.parts.tournament import LowestWins
from tests.doubles import Draws, Server, end, joined, send, servers

LEAST = [name for name in REGISTRY if isinstance(create(name, Draws()), LeastLoaded | LowestWins)]
SIZE = 5
WHO = st.integers(0, SIZE - 1)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.frozensets(WHO, max_size=3)),
        st.tuples(
            st.just("end"), WHO, st.sampled_from(Outcome), st.sampled_from([0.001, 0.02, 0.3, 4])
        ),
        st.tuples(st.just("wait"), st.sampled_from([0.01, 1.0, 30.0])),
        st.tuples(st.sampled_from(["block", "unblock"]), WHO),
        st.tuples(st.just("reweigh"), WHO, st.sampled_from([0.5, 1, 3])),
    ),
    max_size=80,
)


def test_there_are_two() -> None:
    assert LEAST == ["least_connections", "least_response_time"]


class Averages:
    """Least response time from its description, in plain seconds: no logarithm, no index."""

    def __init__(self) -> None:
        self.seen: dict[Server, tuple[float, float]] = {}  # estimate and when

    def observe(self, server: Server, now: float, outcome: Outcome, latency: float) -> None:
        if not outcome.teaches:
            return
        sample = latency if outcome is Outcome.OK else max(latency, 1.0)
        if server in self.seen:
            old, at = self.seen[server]
            fading = exp((at - now) / 10)
            sample = old * fading + sample * (1 - fading)
        self.seen[server] = (max(sample, 1e-6), now)

    def load(self, server: Server, now: float) -> tuple[int, float]:
        work = (server.active + 1) / server.weight
        if server not in self.seen:
            return (1, work) if server.active else (-1, work)
        estimate, at = self.seen[server]
        return 0, work * estimate * exp((at - now) / 10)


@given(weights=st.lists(st.sampled_from([1, 2, 5]), min_size=SIZE, max_size=SIZE), events=EVENTS)
def test_least_response_time_answers_what_a_scan_would(
    weights: list[float], events: list[tuple[Any, ...]]
) -> None:
    members = servers(*weights)
    strategy = joined(create("least_response_time", Random(1)), members)
    oracle, now, blocked = Averages(), 0.0, set[Server]()
    for kind, *arguments in events:
        if kind == "wait":
            now += arguments[0]
            continue
        server = members[arguments[0]] if kind != "send" else None
        if server is None:
            usable = [one for one in members if one not in blocked]
            avoid = [members[order] for order in arguments[0]]
            choice = [one for one in usable if one not in avoid] or usable
            picked = send(strategy, tuple(avoid), now)
            assert (picked in choice) if choice else picked is None
            if choice:
                picked.active -= 1  # as it was when it was picked
                kind_of, load = oracle.load(picked, now)
                for other in choice:
                    rank, least = oracle.load(other, now)
                    assert (kind_of, load) <= (rank, least * (1 + 1e-3))
                picked.active += 1
        elif kind == "end" and server.active:
            _, outcome, latency = arguments
            oracle.observe(server, now, outcome, latency)
            end(strategy, server, now, outcome, latency)
        elif kind == "block" and server not in blocked:
            blocked.add(server)
            strategy.block(server, now)
        elif kind == "unblock" and server in blocked:
            blocked.discard(server)
            strategy.unblock(server, now)
        elif kind == "reweigh":
            server.weight = arguments[1]
            strategy.reweigh(server, now)


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize("n", [2, 3, 6])
def test_ties_are_broken_uniformly(name: str, n: int) -> None:
    members = servers(*[1] * n, 1)
    for server in members:
        server.response_time = 0.02
    members[n].active = 1  # never among the least
    strategy = joined(create(name, Random(n)), members)
    counts = Counter(strategy.pick(0.0).order for _ in range(30_000))
    assert set(counts) == set(range(n))
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


def test_what_ends_after_a_leave_is_not_remembered() -> None:
    """A backend that comes back begins with what it remembers itself."""
    gone, stays = members = servers(1, 1)
    stays.response_time = 0.02
    strategy: Any = joined(create("least_response_time", Draws()), members)
    assert send(strategy) is gone
    strategy.leave(gone, 0.0)
    end(strategy, gone, 1.0, Outcome.RESET, 5.0)
    assert gone.order not in strategy._estimates
    gone.response_time = 0.001
    strategy.join(gone, 1.0)
    assert send(strategy, now=1.0) is gone


def test_what_ends_while_blocked_is_remembered() -> None:
    slow, other = members = servers(1, 1)
    strategy: Any = joined(create("least_response_time", Draws(0.0)), members)
    assert send(strategy) is slow
    strategy.block(slow, 0.0)
    end(strategy, slow, 1.0, Outcome.OK, 3.0)
    strategy.unblock(slow, 1.0)
    assert send(strategy, now=1.0) is other
    end(strategy, other, 1.0, Outcome.OK, 0.1)
    assert send(strategy, now=1.0) is other
