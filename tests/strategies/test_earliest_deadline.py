"""Earliest deadline first, against its definition: fractions, and a scan of everyone."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.strategies import create
from lb.strategies.parts.earliest_deadline import EarliestDeadline
from tests.doubles import Draws, Server, joined, sequence, servers

WEIGHTS = [1, 2, 3, 7, 0.5, 1.5, 0.1, 0.333]
WHO = st.integers(0, 4)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("pick"), st.frozensets(WHO, max_size=3)),
        st.tuples(st.just("pick"), st.just(frozenset())),
        st.tuples(st.sampled_from(["block", "unblock", "leave", "join"]), WHO),
        st.tuples(st.just("reweigh"), WHO, st.sampled_from(WEIGHTS)),
    ),
    max_size=80,
)


def edf(*weights: float) -> tuple[Any, list[Server]]:
    members = servers(*weights)
    return joined(create("weighted_round_robin", Draws(), {"sequence": "edf"}), members), members


class Definition:
    """Due times as fractions; those due together go first in, first out, then by order."""

    def __init__(self) -> None:
        self.due: dict[Server, tuple[Fraction, int, int]] = {}
        self.left: dict[Server, Fraction] = {}  # of the blocked
        self.now, self.turn = Fraction(0), 0

    def enter(self, server: Server, due: Fraction) -> None:
        self.due[server] = due, self.turn, server.order

    def join(self, server: Server) -> None:
        self.enter(server, self.now + 1 / weight(server))

    def leave(self, server: Server) -> None:
        self.due.pop(server, None)
        self.left.pop(server, None)

    def block(self, server: Server) -> None:
        if server in self.due:
            self.left[server] = self.due.pop(server)[0] - self.now

    def unblock(self, server: Server) -> None:
        if server in self.left:
            self.enter(server, self.now + self.left.pop(server))

    def reweigh(self, server: Server) -> None:
        step = 1 / weight(server)
        if server in self.left:
            self.left[server] = min(self.left[server], step)
        elif server in self.due:
            self.enter(server, min(self.due[server][0], self.now + step))

    def pick(self, avoid: list[Server]) -> Server | None:
        hidden = [server for server in avoid if server in self.due]
        for server in hidden:
            self.block(server)
        best = self.first()
        for server in hidden:
            self.unblock(server)
        return best or self.first()

    def first(self) -> Server | None:
        if not self.due:
            return None
        server = min(self.due, key=self.due.__getitem__)
        self.now = self.due[server][0]
        self.turn += 1
        self.enter(server, self.now + 1 / weight(server))
        return server


def weight(server: Server) -> Fraction:
    """To a thousandth, and not below one."""
    return max(Fraction(server.weight).limit_denominator(1000), Fraction(1, 1000))


@given(weights=st.lists(st.sampled_from(WEIGHTS), min_size=5, max_size=5), events=EVENTS)
def test_it_picks_as_defined_whatever_happens(
    weights: list[float], events: list[tuple[Any, ...]]
) -> None:
    strategy, members = edf(*weights)
    defined, known = Definition(), set(members)
    for server in members:
        defined.join(server)
    for kind, who, *weight in events:
        if kind == "pick":
            avoid = [members[order] for order in sorted(who)]
            assert strategy.pick(0.0, b"", avoid) is defined.pick(avoid)
            continue
        server = members[who]
        if kind == "reweigh":
            (server.weight,) = weight
        if kind == "join" and server in known:
            continue  # nobody joins twice
        getattr(strategy, kind)(server, 0.0)
        getattr(defined, kind)(server)
        known = known | {server} if kind == "join" else known
        known = known - {server} if kind == "leave" else known


def test_the_textbook_sequence() -> None:
    strategy, _ = edf(5, 1, 1)
    assert sequence(strategy, 14) == "aaaabca" * 2


def test_a_newcomer_that_needs_finer_steps_changes_nobody_elses_place() -> None:
    """Times are in parts of one that all weights divide: a third makes the parts finer."""
    strategy, (a, _) = edf(2, 1)
    assert sequence(strategy, 1) == "a"
    strategy.block(a, 0.0)  # half its step is kept for it
    strategy.join(Server(2, 3), 0.0)
    assert sequence(strategy, 4) == "cbcc"
    strategy.unblock(a, 0.0)
    assert sequence(strategy, 7) == "cbacacc"


@pytest.mark.parametrize(("weights", "period"), [((0.1, 0.3), "bbab"), ((1.5, 0.5), "aaba")])
def test_fractions_of_a_weight_are_exact(weights: tuple[float, ...], period: str) -> None:
    strategy, _ = edf(*weights)
    assert sequence(strategy, 80) == 20 * period


def test_the_lightest_is_a_thousandth() -> None:
    strategy, _ = edf(1, 1e-9)
    picks = sequence(strategy, 2002)
    assert picks.count("b") == 2
    assert picks.index("b") == 999


def test_stale_entries_are_swept_out() -> None:
    strategy, members = edf(1, 1, 2)
    for turn in range(300):
        strategy.block(members[turn % 3], 0.0)
        strategy.unblock(members[turn % 3], 0.0)
        assert len(strategy._heap) <= 2 * 3 + 8
    assert sequence(strategy, 4) == "cabc"


def test_of_the_strange_nothing_is_kept() -> None:
    strategy: EarliestDeadline[Any] = EarliestDeadline()
    stranger = Server(0)
    for event in (strategy.block, strategy.unblock, strategy.reweigh, strategy.leave):
        event(stranger, 0.0)
        assert strategy.pick(0.0) is None
