"""Least connections: the smallest (in flight + 1) / weight, ties uniformly at random."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lb.strategies import create
from tests.doubles import Draws, Server, end, joined, send, servers

SIGNIFICANCE = 0.001
DRAWS = 100_000


def lightest(members: list[Server], avoid: tuple[Server, ...] = ()) -> list[Server]:
    """What a scan of everyone would answer."""
    choice = [server for server in members if server not in avoid] or members
    least = min((server.active + 1) / server.weight for server in choice)
    return [server for server in choice if (server.active + 1) / server.weight == least]


WEIGHTS = {
    "equal": st.just(1),
    "whole": st.integers(1, 5),
    "fractional": st.sampled_from([0.1, 0.3, 0.5, 1.0, 2.5]),
}
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.frozensets(st.integers(0, 5), max_size=3)),
        st.tuples(st.sampled_from(["end", "block", "unblock", "reweigh"]), st.integers(0, 5)),
    ),
    max_size=80,
)


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@given(data=st.data(), events=EVENTS, draw=st.floats(0, 1, exclude_max=True))
def test_it_answers_what_a_scan_of_everyone_would(
    weights: st.SearchStrategy[float], data: st.DataObject, events: list[Any], draw: float
) -> None:
    """The draw decides among the lightest in configured order, and only among them."""
    members = [Server(order, data.draw(weights)) for order in range(6)]
    strategy = joined(create("least_connections", Draws(*[draw] * 100)), members)
    blocked: set[Server] = set()
    for kind, who in events:
        if kind == "send":
            usable = [server for server in members if server not in blocked]
            avoid = tuple(members[order] for order in who)
            if not usable:
                assert send(strategy, avoid) is None
                continue
            ties = lightest(usable, avoid)
            assert send(strategy, avoid) is ties[int(draw * len(ties))]
        elif kind == "end":
            if members[who].active:
                end(strategy, members[who])
        elif kind == "block":
            if members[who] not in blocked:
                blocked.add(members[who])
                strategy.block(members[who], 0.0)
        elif kind == "unblock":
            if members[who] in blocked:
                blocked.discard(members[who])
                strategy.unblock(members[who], 0.0)
        else:
            members[who].weight = data.draw(weights)
            strategy.reweigh(members[who], 0.0)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1, 1), {"a": 50, "b": 50}),
        ((3, 1), {"a": 75, "b": 25}),
        ((1, 4, 5), {"a": 10, "b": 40, "c": 50}),
        ((0.5, 1.5), {"a": 25, "b": 75}),
    ],
)
def test_calls_that_stay_divide_by_weight(
    weights: tuple[float, ...], expected: dict[str, int]
) -> None:
    strategy = joined(create("least_connections", Random(1)), servers(*weights))
    assert Counter(repr(send(strategy)) for _ in range(100)) == expected


def test_an_idle_backend_of_more_weight_comes_first() -> None:
    """The load is what a backend would carry after the pick: idle ones are not all alike."""
    strategy = joined(create("least_connections", Draws()), servers(1, 3, 2))
    assert repr(strategy.pick(0.0)) == "b"


def test_calls_already_in_flight_count_from_the_join() -> None:
    busy, idle = Server(0, active=2), Server(1)
    strategy = joined(create("least_connections", Draws(0.0)), [busy, idle])
    assert [repr(send(strategy)) for _ in range(3)] == ["b", "b", "a"]


@pytest.mark.parametrize("n", [2, 3, 6])
def test_ties_are_broken_uniformly(n: int) -> None:
    members = servers(*[1] * n, 1)
    members[n].active = 1  # never among the lightest
    strategy = joined(create("least_connections", Random(n)), members)
    counts = Counter(strategy.pick(0.0).order for _ in range(DRAWS))
    assert set(counts) == set(range(n))
    assert stats.chisquare(list(counts.values())).pvalue > SIGNIFICANCE


def test_a_quiet_service_uses_every_backend_alike() -> None:
    """One call at a time always meets a tie of all."""
    strategy = joined(create("least_connections", Random(3)), servers(1, 1, 1, 1))
    counts: Counter[int] = Counter()
    for _ in range(DRAWS):
        picked = send(strategy)
        counts[picked.order] += 1
        end(strategy, picked)
    assert stats.chisquare([counts[i] for i in range(4)]).pvalue > SIGNIFICANCE


def test_loads_that_nobody_has_any_more_are_swept_out() -> None:
    """A backend whose calls only grow leaves one behind with each, none of which comes up."""
    busy, idle = members = servers(1, 1)
    strategy: Any = joined(create("least_connections", Draws()), members)
    for _ in range(200):
        busy.active += 1
        strategy.started(busy, 0.0)
        assert len(strategy._heap) == len(strategy._buckets) <= 2 * 2 + 16
    assert strategy.pick(0.0) is idle
