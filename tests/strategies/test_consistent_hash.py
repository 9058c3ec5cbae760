"""Consistent hash: nginx's ring, key by key."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.strategies import create
from lb.strategies.parts import ketama
from tests.doubles import Draws, Server, servers
from tests.operations import CountingList, counted, operations
from tests.strategies import nginx
from tests.strategies.hashing import (
    EVENTS,
    KEYS,
    SIZE,
    Fleet,
    Ring,
    made,
    moved,
    owners,
    p_value,
    recorded,
    weighing,
)
from tests.strategies.test_weighted_round_robin import Nginx as Turns

RECORDED = recorded("consistent_hash")
WEIGHTS = st.lists(st.integers(1, 5), min_size=SIZE, max_size=SIZE)


@pytest.mark.parametrize(("weights", "letters"), RECORDED["sequences"].items())
def test_what_nginx_itself_was_seen_to_do(weights: str, letters: str) -> None:
    members = [
        Server(order, int(weight), 0, f"127.0.0.1:{19500 + order}")
        for order, weight in enumerate(weights.split(","))
    ]
    strategy = made("consistent_hash", members)
    assert "".join(map(repr, owners(strategy, [k.encode() for k in RECORDED["keys"]]))) == letters


@pytest.mark.skipif(nginx.PATH is None, reason="no nginx here")
def test_a_live_nginx_picks_the_same_key_by_key(tmp_path: Path) -> None:
    rng = Random(18)
    sockets = nginx.bound([0] * 7)
    ports = [socket.getsockname()[1] for socket in sockets]
    upstreams = [
        [
            nginx.Peer(ports[0], rng.randint(1, 20)),  # somebody is up
            *[nginx.Peer(port, rng.randint(1, 20), rng.random() < down) for port in ports[1:]],
        ]
        for down in (0, 0, 0, 0.3, 0.6, 0.9)
    ]
    keys = [f"{rng.getrandbits(64):x}" for _ in range(200)]
    method = "hash $http_x_key consistent"
    with nginx.running(tmp_path, method, upstreams, sockets) as live:
        for number, rows in enumerate(upstreams):
            members = [Server(i, row.weight, 0, row.address) for i, row in enumerate(rows)]
            strategy = made("consistent_hash", members)
            for server, row in zip(members, rows, strict=True):
                if row.down:
                    strategy.block(server, 0.0)
            expected = [ports[strategy.pick(0.0, key.encode()).order] for key in keys]
            assert live.picks(number, keys) == expected


@given(weights=WEIGHTS, events=EVENTS)
def test_it_picks_as_nginx_whatever_happens(
    weights: list[int], events: list[tuple[Any, ...]]
) -> None:
    """Passes over up to 20 points of blocked and avoided ones, then lets them take turns."""
    fleet = Fleet(create("consistent_hash", Draws()), weights)
    turns = Turns(fleet.servers)
    for event in events:
        match event:
            case "pick", key, avoid:
                allowed = fleet.allowed(avoid)
                expected = None
                if allowed:
                    ring = Ring([fleet.servers[order] for order in sorted(fleet.joined)])
                    near = ring.from_key(key)[:21]
                    expected = next((s for s in near if s in allowed), None) or turns.pick(allowed)
                avoided = [fleet.servers[order] for order in sorted(avoid)]
                assert fleet.strategy.pick(0.0, key, avoided) is expected
            case "join", order if order not in fleet.joined:
                turns.credit[fleet.servers[order]] = 0
                fleet.tell(*event)
            case "end", _:
                pass
            case _:
                fleet.tell(*event)


# --- stability


@pytest.mark.parametrize("weights", [(1, 1, 1, 1, 1), (1, 2, 3, 4, 5)])
def test_a_newcomer_takes_its_share_and_nobody_else_gains(weights: tuple[int, ...]) -> None:
    members = servers(*weights)
    strategy = made("consistent_hash", members[:-1])
    before = owners(strategy)
    strategy.join(members[-1], 0.0)
    movements = moved(before, owners(strategy))
    assert {other for _, other in movements} == {members[-1]}
    # With 160 points of random length the share itself deviates by 1 / sqrt(160) = 8 %.
    share = weights[-1] / sum(weights)
    assert len(movements) / len(KEYS) == pytest.approx(share, rel=0.25)


@pytest.mark.parametrize("event", ["leave", "block"])
def test_only_the_keys_of_whoever_goes_move(event: str) -> None:
    strategy, members = weighing("consistent_hash", 1, 2, 3, 1, 1)
    before = owners(strategy)
    getattr(strategy, event)(members[1], 0.0)
    movements = moved(before, owners(strategy))
    assert {one for one, _ in movements} == {members[1]}
    assert {other for _, other in movements} == set(members) - {members[1]}
    (strategy.join if event == "leave" else strategy.unblock)(members[1], 0.0)
    assert owners(strategy) == before


def test_more_weight_only_attracts_keys() -> None:
    strategy, members = weighing("consistent_hash", 2, 2, 2)
    before = owners(strategy)
    members[0].weight = 3
    strategy.reweigh(members[0], 0.0)
    assert {other for _, other in moved(before, owners(strategy))} == {members[0]}
    members[0].weight = 2
    strategy.reweigh(members[0], 0.0)
    assert owners(strategy) == before


def test_shares_follow_weights() -> None:
    """The ring is off by up to a fifth (160 points each); a ring of 20 times the points is not."""
    weights = (1, 2, 3, 4)
    strategy, members = weighing("consistent_hash", *weights)
    counts = Counter(owners(strategy))
    for server, weight in zip(members, weights, strict=True):
        assert counts[server] / len(KEYS) == pytest.approx(weight / 10, rel=0.2)
    fine, members = weighing("consistent_hash", *[20 * weight for weight in weights])
    counts = Counter(owners(fine))
    for server, weight in zip(members, weights, strict=True):
        assert counts[server] / len(KEYS) == pytest.approx(weight / 10, rel=0.05)


def test_keys_fall_where_the_ring_says_and_nowhere_more_often() -> None:
    strategy, members = weighing("consistent_hash", 1, 1, 2)
    ring = Ring(members)
    arcs = dict.fromkeys(members, 0)
    for before, point, server in zip(
        [ring.hashes[-1] - 2**32, *ring.hashes], ring.hashes, ring.servers, strict=False
    ):
        arcs[server] += point - before
    assert sum(arcs.values()) == 2**32
    assert p_value(owners(strategy), members, list(arcs.values())) > 0.001


# --- odd names


@pytest.mark.parametrize(
    ("address", "hashed"),
    [
        ("h:80", b"h\x0080"),
        ("[::1]:80", b"[::1]\x0080"),
        ("localhost", b"localhost\0"),
        ("a:b", b"a:b\0"),
    ],
)
def test_host_and_port_are_hashed_as_nginx_splits_them(address: str, hashed: bytes) -> None:
    assert ketama.chain(address, 1) == [crc32(hashed + bytes(4))]


def test_of_two_at_one_place_the_first_owns_it() -> None:
    members = [Server(0, 1, 0, "same:1"), Server(1, 1, 0, "same:1")]
    strategy = made("consistent_hash", reversed(members))
    assert set(owners(strategy, KEYS[:100])) == {members[0]}
    strategy.block(members[0], 0.0)
    assert set(owners(strategy, KEYS[:100])) == {members[1]}
    strategy.leave(members[0], 0.0)
    assert set(owners(strategy, KEYS[:100])) == {members[1]}


@pytest.mark.parametrize("weight", [0.001, 0.5, 1.7])
def test_a_fraction_of_a_weight_is_as_many_points(weight: float) -> None:
    strategy, _ = weighing("consistent_hash", weight, 1)
    owners(strategy, KEYS[:1])
    places = [point & ketama.ORDER_MASK for point in strategy._ring.points]
    assert Counter(places)[0] == max(round(160 * weight), 1)


# --- cost


@counted
@pytest.mark.parametrize("factor", [0, 1.25])
def test_the_cost_of_a_pick_grows_with_the_logarithm_at_most(factor: float) -> None:
    reads, steps = [], []
    for size in (8, 8192):
        strategy, _ = weighing("consistent_hash", *[1] * size, balance_factor=factor)
        owners(strategy, KEYS[:1])  # the ring is sorted
        steps.append(max(operations(strategy.pick, 0.0, key) for key in KEYS[:50]))
        points = strategy._ring.points = CountingList(strategy._ring.points)
        owners(strategy, KEYS[:50])
        reads.append(points.reads / 50)
    assert steps[1] <= steps[0], "instructions"
    assert reads[1] <= reads[0] + 11, "2^10 times the points: ten halvings more"


def test_a_newcomer_costs_its_own_points_and_a_flapping_backend_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chained: list[str] = []
    chain = ketama.chain

    def noted(address: str, count: int) -> list[int]:
        chained.append(address)
        return chain(address, count)

    monkeypatch.setattr(ketama, "chain", noted)
    *members, new = servers(*[1] * 101)
    strategy = made("consistent_hash", members)
    before = owners(strategy)
    assert len(chained) == 100
    strategy.join(new, 0.0)
    owners(strategy)
    assert chained[100:] == [new.address]
    strategy.leave(new, 0.0)
    assert not strategy._ring.stale
    assert owners(strategy) == before
    strategy.join(new, 0.0)
    strategy.block(new, 0.0)
    strategy.unblock(new, 0.0)
    assert not strategy._ring.stale
    assert len(chained) == 101


def test_points_without_an_owner_stay_until_they_are_a_quarter() -> None:
    strategy, (a, b, *_) = weighing("consistent_hash", 1, 1, 2)
    owners(strategy, KEYS[:1])
    strategy.leave(a, 0.0)
    assert not strategy._ring.stale, "a quarter, but no more"
    strategy.leave(b, 0.0)
    assert strategy._ring.stale
    strategy, (a, *_) = weighing("consistent_hash", 1.01, 2.99)
    owners(strategy, KEYS[:1])
    strategy.leave(a, 0.0)
    assert strategy._ring.stale, "a little more"


def test_points_of_those_who_left_are_swept_out() -> None:
    first, *rest = servers(*[1] * 50)
    strategy = made("consistent_hash", [first])
    for gone, new in zip([first, *rest], rest, strict=False):
        strategy.leave(gone, 0.0)
        strategy.join(new, 0.0)
        assert strategy.pick(0.0, b"x") is new
    assert len(strategy._ring.points) == 160
    assert len(strategy._ring._standing) == 1
