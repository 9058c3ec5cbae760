"""Weighted round robin: nginx's smooth sequence, to the letter."""

from __future__ import annotations

import json
from collections import Counter
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.strategies import Strategy, create
from tests.doubles import Draws, Server, joined, sequence, servers
from tests.strategies import nginx

RECORDED: dict[str, str] = json.loads((Path(__file__).parent / "data/smooth_wrr.json").read_text())[
    "sequences"
]


def weighted(*weights: float) -> tuple[Strategy[Any], list[Server]]:
    members = servers(*weights)
    return joined(create("weighted_round_robin", Draws()), members), members


class Nginx:
    """The algorithm as nginx has it: a scan of every peer for every request."""

    def __init__(self, members: list[Server]) -> None:
        self.credit = dict.fromkeys(members, 0.0)

    def pick(self, usable: list[Server]) -> Server | None:
        best: Server | None = None
        for server in usable:
            self.credit[server] += server.weight
            if best is None or self.credit[server] > self.credit[best]:
                best = server
        if best is not None:
            self.credit[best] -= sum(server.weight for server in usable)
        return best


@pytest.mark.parametrize(
    ("weights", "expected"), [((5, 1, 1), "aabacaa"), ((1, 2, 3), "cbacbc"), ((1,), "a")]
)
def test_the_textbook_sequences(weights: tuple[float, ...], expected: str) -> None:
    strategy, _ = weighted(*weights)
    assert sequence(strategy, len(expected)) == expected


@pytest.mark.parametrize(("weights", "period"), RECORDED.items())
def test_what_nginx_itself_was_seen_to_do(weights: str, period: str) -> None:
    strategy, _ = weighted(*map(int, weights.split(",")))
    assert sequence(strategy, 3 * len(period)) == 3 * period


@given(weights=st.lists(st.integers(1, 12), min_size=1, max_size=8))
def test_every_window_of_one_period_has_exact_shares(weights: list[int]) -> None:
    strategy, _ = weighted(*weights)
    period = sum(weights)
    picks = [strategy.pick(0.0).order for _ in range(3 * period)]
    for start in range(2 * period):
        assert Counter(picks[start : start + period]) == dict(enumerate(weights))


@given(weights=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_common_factors_of_the_weights_change_nothing(weights: list[int]) -> None:
    n = 2 * sum(weights)
    alike, _ = weighted(*[7 * weight for weight in weights])
    halves, _ = weighted(*[weight / 2 for weight in weights])
    plain, _ = weighted(*weights)
    assert sequence(plain, n) == sequence(alike, n) == sequence(halves, n)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("pick"), st.frozensets(st.integers(0, 5), max_size=4)),
        st.tuples(
            st.sampled_from(["block", "unblock", "leave", "join", "reweigh"]), st.integers(0, 5)
        ),
    ),
    max_size=120,
)


@given(weights=st.lists(st.integers(1, 9), min_size=6, max_size=6), events=EVENTS, data=st.data())
def test_it_picks_as_nginx_whatever_happens(
    weights: list[int], events: list[tuple[str, Any]], data: st.DataObject
) -> None:
    """A blocked or avoided backend is skipped and its credit frozen; one that left starts anew."""
    strategy, members = weighted(*weights)
    nginx = Nginx(members)
    known, blocked = set(range(6)), set[int]()
    for kind, who in events:
        if kind == "pick":
            usable = [members[i] for i in sorted(known - blocked)]
            chosen = [server for server in usable if server.order not in who] or usable
            avoid = [members[i] for i in who]
            assert strategy.pick(0.0, b"", avoid) is nginx.pick(chosen)
        elif kind == "block" and who in known - blocked:
            blocked.add(who)
            strategy.block(members[who], 0.0)
        elif kind == "unblock" and who in blocked:
            blocked.discard(who)
            strategy.unblock(members[who], 0.0)
        elif kind == "leave" and who in known:
            known.discard(who)
            blocked.discard(who)
            strategy.leave(members[who], 0.0)
        elif kind == "join" and who not in known:
            known.add(who)
            nginx.credit[members[who]] = 0
            strategy.join(members[who], 0.0)
        elif kind == "reweigh":
            members[who].weight = data.draw(st.integers(1, 9))
            if who in known:
                strategy.reweigh(members[who], 0.0)


def test_a_blocked_backend_is_skipped_and_returns_with_its_credit() -> None:
    strategy, members = weighted(1, 1, 1)
    assert sequence(strategy, 1) == "a"  # a now owes two turns
    strategy.block(members[0], 0.0)
    assert sequence(strategy, 4) == "bcbc"
    strategy.unblock(members[0], 0.0)
    assert sequence(strategy, 3) == "bca"


def test_a_backend_that_left_and_rejoined_owes_nothing() -> None:
    strategy, members = weighted(2, 1)
    assert sequence(strategy, 1) == "a"  # b would be next
    strategy.leave(members[0], 0.0)
    strategy.join(members[0], 0.0)
    assert sequence(strategy, 2) == "ab"


def test_shares_follow_fractional_weights() -> None:
    strategy, _ = weighted(0.1, 0.2, 0.7)
    counts = Counter(sequence(strategy, 10_000))
    assert counts == {
        "a": pytest.approx(1000, abs=1),
        "b": pytest.approx(2000, abs=1),
        "c": pytest.approx(7000, abs=1),
    }


def test_comings_and_goings_leave_nothing_behind() -> None:
    """Stale entries in the heaps are swept out: memory follows the members, not their history."""
    strategy, members = weighted(1, 1, 2)
    for turn in range(5000):
        strategy.pick(0.0)
        strategy.block(members[turn % 3], 0.0)
        strategy.unblock(members[turn % 3], 0.0)
    assert sum(len(heap) for heap in strategy._heaps.values()) < 50  # type: ignore[attr-defined]


def test_a_backend_that_flaps_while_nobody_is_picked_leaves_nothing_behind() -> None:
    for times in range(30):
        strategy, (a, b, _) = weighted(1, 1, 2)
        for _ in range(times):
            strategy.block(b, 0.0)
            strategy.unblock(b, 0.0)
        if times % 2:
            strategy.reweigh(a, 0.0)
        assert len(strategy._heaps[1]) <= 2 * 2 + 8  # type: ignore[attr-defined]
        assert sequence(strategy, 8) == "cabccabc"


def test_fractional_weights_add_up_alike_whatever_the_order_of_joining() -> None:
    def picks(order: tuple[int, ...]) -> str:
        members = servers(1.1, 0.1, 1.1, 0.2)
        return sequence(
            joined(create("weighted_round_robin", Draws()), [members[i] for i in order]), 200
        )

    assert len({picks(order) for order in permutations(range(4))}) == 1


@pytest.mark.skipif(nginx.PATH is None, reason="no nginx here")
def test_a_live_nginx_picks_the_same(tmp_path: Path) -> None:
    rng = Random(23)
    sockets = nginx.bound([0] * 6)
    ports = [socket.getsockname()[1] for socket in sockets]
    weights = [(5, 1, 1), (1, 2, 3), *[[rng.randint(1, 12) for _ in ports] for _ in range(4)]]
    upstreams = [[nginx.Peer(*peer) for peer in zip(ports, row, strict=False)] for row in weights]
    with nginx.running(tmp_path, "keepalive 4", upstreams, sockets) as live:
        for number, row in enumerate(weights):
            strategy, _ = weighted(*row)
            calls = 2 * sum(row)
            expected = [ports[strategy.pick(0.0).order] for _ in range(calls)]
            assert live.picks(number, ["any"] * calls) == expected
