"""Join idle queue: an idle backend while there is one, each as likely; else anybody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.strategies import Outcome, create
from tests.doubles import Draws, Server, end, joined, send, servers

WHO = st.integers(0, 4)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.frozensets(WHO, max_size=4)),
        st.tuples(st.sampled_from(["end", "block", "unblock", "leave", "join"]), WHO),
    ),
    max_size=60,
)
DRAWS = st.floats(0, 1, exclude_max=True)


def queue(*active: int, draws: tuple[float, ...] = ()) -> tuple[Any, list[Server]]:
    members = [Server(order, 1, calls) for order, calls in enumerate(active)]
    return joined(create("join_idle_queue", Draws(*draws)), members), members


def chosen(members: list[Server], usable: set[int], avoid: frozenset[int]) -> list[Server]:
    """Whom the definition draws from, in order."""
    free = [server for server in members if server.order in usable]
    left = [server for server in free if server.order not in avoid] or free
    return [server for server in left if not server.active] or left


@given(events=EVENTS, draw=DRAWS)
def test_it_draws_from_whom_a_scan_would(events: list[tuple[str, Any]], draw: float) -> None:
    members = servers(1, 1, 1, 1, 1)
    script = Draws(*[draw] * 60)
    strategy = joined(create("join_idle_queue", script), members)
    known, usable = set(range(5)), set(range(5))
    for kind, who in events:
        if kind == "send":
            among = chosen(members, usable, who)
            before = len(script.left)
            picked = send(strategy, tuple(members[order] for order in sorted(who)))
            assert picked is (among[int(draw * len(among))] if among else None)
            assert before - len(script.left) == (len(among) > 1), "one draw, when there is a choice"
        elif kind == "end" and members[who].active:
            end(strategy, members[who])
        elif kind == "block" and who in usable:
            usable.discard(who)
            strategy.block(members[who], 0.0)
        elif kind == "unblock" and who in known - usable:
            usable.add(who)
            strategy.unblock(members[who], 0.0)
        elif kind == "leave" and who in known:
            known.discard(who)
            usable.discard(who)
            strategy.leave(members[who], 0.0)
        elif kind == "join" and who not in known:
            known.add(who)
            usable.add(who)
            strategy.join(members[who], 0.0)


@pytest.mark.parametrize(("draw", "picked"), [(0.0, "b"), (0.49, "b"), (0.5, "d"), (0.99, "d")])
def test_the_idle_are_equally_likely(draw: float, picked: str) -> None:
    strategy, _ = queue(1, 0, 2, 0, draws=(draw,))
    assert repr(strategy.pick(0.0)) == picked


@pytest.mark.parametrize(("draw", "picked"), [(0.0, "a"), (0.34, "b"), (0.67, "c")])
def test_when_nobody_is_idle_all_are_equally_likely(draw: float, picked: str) -> None:
    strategy, _ = queue(1, 5, 2, draws=(draw,))
    assert repr(strategy.pick(0.0)) == picked


def test_who_becomes_idle_is_next() -> None:
    strategy, (a, b, c) = queue(1, 2, 1)
    end(strategy, b)
    end(strategy, c, outcome=Outcome.RESET)
    assert send(strategy) is c
    end(strategy, b)
    assert send(strategy) is b
    end(strategy, a)
    assert send(strategy) is a
