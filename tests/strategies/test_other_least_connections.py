"""Least connections as HAProxy and nginx count and break ties, against scans of everyone."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.laws.table import LAWS
from lb.strategies import create, spec
from tests.doubles import Draws, Server, end, joined, send, servers

WEIGHTS = st.lists(st.sampled_from([1, 2, 3, 0.5]), min_size=1, max_size=5)
EVENTS = st.lists(st.one_of(st.just(-1), st.integers(0, 30)), max_size=60)


def least(load: str, *weights: float) -> tuple[Any, list[Server]]:
    members = servers(*weights)
    return joined(create("least_connections", Draws(), {"load": load}), members), members


class HAProxy:
    """A queue: who has just got another load goes to its end; the first of the least is picked."""

    def __init__(self, members: list[Server]) -> None:
        self.queue = list(members)

    @staticmethod
    def load(server: Server) -> int:
        return (server.active + 1) * 4096 // int(16 * server.weight) if server.active else 0

    def pick(self) -> Server:
        return min(self.queue, key=self.load)

    def moved(self, server: Server) -> None:
        self.queue.remove(server)
        self.queue.append(server)


class Nginx:
    """A scan, then turns among equals: each earns its weight, the best pays for all."""

    def __init__(self, members: list[Server]) -> None:
        self.members = members
        self.credit = dict.fromkeys(members, 0.0)

    def pick(self) -> Server:
        lowest = min(server.active / server.weight for server in self.members)
        tied = [it for it in self.members if it.active / it.weight == lowest]
        if len(tied) > 1:
            for server in tied:
                self.credit[server] += server.weight
        best = max(tied, key=lambda it: (self.credit[it], -it.order))
        if len(tied) > 1:
            self.credit[best] -= sum(server.weight for server in tied)
        return best

    def moved(self, server: Server) -> None: ...


@pytest.mark.parametrize(("load", "defined"), [("idle_first", HAProxy), ("before", Nginx)])
@given(weights=WEIGHTS, events=EVENTS)
def test_they_pick_as_defined(
    load: str, defined: type[Any], weights: list[float], events: list[int]
) -> None:
    strategy, members = least(load, *weights)
    other, running = defined(members), []
    for event in events:
        if event < 0 or not running:
            expected = other.pick()
            picked = send(strategy)
            assert picked is expected
            running.append(picked)
        else:
            picked = running.pop(event % len(running))
            end(strategy, picked)
        other.moved(picked)


SEEN = "++10+0+0+++11+00+0++0++110++10+0++++2+2110+0+0+0+0+0+++1+10+0+0+1+1++010+0++1+10+0++00+0+0"
"""Requests that began, and which of those in flight ended, the oldest being 0."""


@pytest.mark.parametrize(
    ("load", "picks"),
    [
        ("idle_first", "abcbacbcbacbabacabcacbcabcabcbcabcbcacbabacba"),
        ("before", "abbacabababaccababcacabaacbacabacbcbabaaacaba"),
    ],
)
def test_what_they_were_seen_to_do(load: str, picks: str) -> None:
    """HAProxy 2.6.12 with one thread and nginx 1.22.1 with one worker, weights 4, 2, 1."""
    strategy, _ = least(load, 4, 2, 1)
    seen, running = "", []
    for event in SEEN:
        if event == "+":
            running.append(send(strategy))
            seen += repr(running[-1])
        else:
            end(strategy, running.pop(int(event)))
    assert seen == picks


@pytest.mark.parametrize(("load", "picks"), [("idle_first", "abcabcabc"), ("before", "abcaabcaa")])
def test_of_an_idle_service(load: str, picks: str) -> None:
    """Weights 2, 1, 1: HAProxy does not mind them then."""
    strategy, _ = least(load, 2, 1, 1)
    seen = ""
    for _ in picks:
        picked = send(strategy)
        seen += repr(picked)
        end(strategy, picked)
    assert seen == picks


@pytest.mark.parametrize("law", [law for law in LAWS if "cost" not in law.says])
def test_what_is_not_quick_keeps_all_other_laws(law: Any) -> None:
    row = spec("least_connections").at({"load": "before"})
    if law.binds(row):
        law.check(row, Random)


@pytest.mark.parametrize("load", ["idle_first", "before"])
def test_who_is_away_is_passed_over(load: str) -> None:
    strategy, (a, b) = least(load, 3, 1)
    strategy.block(a, 0.0)
    assert strategy.pick(0.0) is b
    assert strategy.pick(0.0, b"", [b]) is b
    strategy.unblock(a, 0.0)
    assert strategy.pick(0.0, b"", [b]) is a
    strategy.leave(a, 0.0)
    strategy.leave(b, 0.0)
    assert strategy.pick(0.0) is None


def test_stale_entries_are_swept_out() -> None:
    strategy, members = least("idle_first", 1, 1, 2)
    for _ in range(100):
        picked = send(strategy)
        strategy.block(members[0], 0.0)
        strategy.unblock(members[0], 0.0)
        end(strategy, picked)
        assert len(strategy._heap) <= 2 * 3 + 9


def test_weights_beyond_haproxy_s_are_its_largest() -> None:
    strategy, members = least("idle_first", 3000, 1e6)
    for _ in range(20):
        send(strategy)
    assert [server.active for server in members] == [10, 10]
