"""IP hash: nginx's, to the letter."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.doubles import Server, servers
from tests.operations import counted, operations
from tests.strategies import nginx
from tests.strategies.hashing import EVENTS, SIZE, Fleet, made, moved, owners, p_value, recorded
from tests.strategies.hashing import weighing as weighing_any
from tests.strategies.test_weighted_round_robin import Nginx as Turns

RECORDED = recorded("ip_hash")
NETWORKS = [f"{i >> 8 & 255}.{i & 255}.{i * 7 % 256}.9".encode() for i in range(256, 10_256)]


def weighing(*weights: float) -> tuple[Any, list[Server]]:
    return weighing_any("ip_hash", *weights)


@pytest.mark.parametrize(("weights", "letters"), RECORDED["sequences"].items())
def test_what_nginx_itself_was_seen_to_do(weights: str, letters: str) -> None:
    strategy, _ = weighing(*map(int, weights.split(",")))
    assert "".join(repr(strategy.pick(0.0, key.encode())) for key in RECORDED["keys"]) == letters


@pytest.mark.skipif(nginx.PATH is None, reason="no nginx here")
def test_a_live_nginx_picks_the_same(tmp_path: Path) -> None:
    rng = Random(17)
    sockets = nginx.bound([0] * 7)
    ports = [socket.getsockname()[1] for socket in sockets]
    upstreams = [
        [nginx.Peer(port, rng.randint(1, 20), rng.random() < down) for port in ports]
        for down in (0, 0, 0, 0.3, 0.6, 0.9)
    ]
    upstreams = [[nginx.Peer(ports[0]), *rows[1:]] for rows in upstreams]  # somebody is up
    addresses = [str(IPv4Address(rng.getrandbits(32) | 1 << 28)) for _ in range(150)]
    addresses += [str(IPv6Address(rng.getrandbits(128))) for _ in range(50)]
    with nginx.running(tmp_path, "ip_hash", upstreams, sockets) as live:
        for number, rows in enumerate(upstreams):
            members = [Server(i, row.weight, 0, row.address) for i, row in enumerate(rows)]
            strategy = made("ip_hash", members)
            for server, row in zip(members, rows, strict=True):
                if row.down:
                    strategy.block(server, 0.0)
            expected = [ports[strategy.pick(0.0, key.encode()).order] for key in addresses]
            assert live.picks(number, addresses) == expected


class Nginx:
    """The algorithm as nginx has it: a walk along the weights for every hash."""

    def __init__(self, seats: list[Server]) -> None:
        self.seats = seats
        self.turns = Turns(seats)

    def pick(self, octets: bytes, usable: list[Server], avoided: int) -> Server | None:
        value = 89
        for _ in range(21 + avoided):
            for octet in octets:
                value = (value * 113 + octet) % 6271
            left = value % sum(server.weight for server in self.seats)
            for server in self.seats:
                if left < server.weight:
                    break
                left -= server.weight
            if server in usable:
                return server
        return self.turns.pick(usable)


@given(weights=st.lists(st.integers(1, 5), min_size=SIZE, max_size=SIZE), events=EVENTS)
def test_it_picks_as_nginx_whatever_happens(
    weights: list[int], events: list[tuple[Any, ...]]
) -> None:
    """One that left is to nginx one that is down; it keeps its seat."""
    strategy, _ = weighing()
    fleet = Fleet(strategy, weights)
    model = Nginx(fleet.servers)
    for event in events:
        match event:
            case "pick", network, avoid:
                octets = network.rjust(3, b"\1")
                key = ".".join(map(str, octets)).encode() + b".200"
                avoided = [fleet.servers[order] for order in sorted(avoid)]
                expected = (
                    model.pick(octets, fleet.allowed(avoid), len(avoid)) if fleet.usable else None
                )
                assert strategy.pick(0.0, key, avoided) is expected
            case "reweigh", order, _ if order not in fleet.joined:
                pass  # nobody tells a strategy about those who are away
            case "join", order:
                if order not in fleet.joined:
                    model.turns.credit[fleet.servers[order]] = 0
                fleet.tell(*event)
            case "end", _:
                pass
            case _:
                fleet.tell(*event)


# --- keys


def test_a_network_stays_together() -> None:
    strategy, _ = weighing(1, 2, 3)
    assert len({strategy.pick(0.0, b"192.0.2.%d" % i) for i in range(256)}) == 1
    assert len({strategy.pick(0.0, b"2001:db8::%d" % i) for i in range(256)}) == 3


def test_one_address_however_written_is_one_client() -> None:
    strategy, _ = weighing(1, 2, 3, 4)
    for full, short in ((b"2001:db8:0:0:0:0:0:1", b"2001:DB8::1"), (b"::1", b"0:0:0:0:0:0:0:1")):
        assert strategy.pick(0.0, full) is strategy.pick(0.0, short)


@pytest.mark.parametrize("prefix", ["session-", "user:", "/item?", "1.2.3.4.", "999.1.1.", "\xff"])
def test_a_key_that_is_no_address_counts_in_all_its_bytes(prefix: str) -> None:
    strategy, members = weighing(1, 1, 1, 1)
    picked = owners(strategy, [f"{prefix}{i}".encode() for i in range(2000)])
    assert p_value(picked, members, [1, 1, 1, 1]) > 0.001
    assert picked == owners(strategy, [f"{prefix}{i}".encode() for i in range(2000)])


def test_without_a_key_there_is_one_backend_as_for_clients_of_a_local_socket() -> None:
    strategy, _ = weighing(1, 1, 1)
    assert {strategy.pick(0.0, b"") for _ in range(5)} == {strategy.pick(0.0, b"0.0.0.1")}


# --- shares and seats


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 5), (0.5, 0.25, 0.25), (0.1, 0.2, 0.7)])
def test_networks_are_shared_by_weight(weights: tuple[float, ...]) -> None:
    """Not exactly: 6271 hash values are dealt out, so a share is off by less than 1 in 6271."""
    strategy, members = weighing(*weights)
    assert p_value(owners(strategy, NETWORKS), members, weights) > 0.001


@pytest.mark.parametrize("event", ["block", "leave"])
def test_only_the_clients_of_whoever_is_away_move(event: str) -> None:
    strategy, members = weighing(2, 1, 3, 1)
    before = owners(strategy, NETWORKS)
    getattr(strategy, event)(members[2], 0.0)
    during = owners(strategy, NETWORKS)
    assert {one for one, _ in moved(before, during)} == {members[2]}
    assert {other for _, other in moved(before, during)} == {members[0], members[1], members[3]}
    strategy.unblock(members[2], 0.0) if event == "block" else strategy.join(members[2], 0.0)
    assert owners(strategy, NETWORKS) == before


def test_an_outage_of_all_moves_nobody_for_good() -> None:
    strategy, members = weighing(2, 1, 3, 1)
    before = owners(strategy, NETWORKS)
    for server in members:
        strategy.leave(server, 0.0)
    for server in reversed(members):
        assert strategy.pick(0.0, b"") in (None, *members)
        strategy.join(server, 0.0)
    assert owners(strategy, NETWORKS) == before


def test_seats_of_those_who_were_replaced_are_given_up() -> None:
    """Memory and rehashing follow the most members there were at one time, not history."""
    first, *rest = servers(*[1] * 200)
    strategy = made("ip_hash", [first])
    for gone, new in zip([first, *rest], rest, strict=False):
        strategy.leave(gone, 0.0)
        strategy.join(new, 0.0)
        assert strategy.pick(0.0, b"10.0.0.1") is new
        assert len(strategy._seats) <= 2


@counted
def test_a_pick_among_thousands_costs_as_much_as_among_eight() -> None:
    costs = []
    for size in (8, 8192):
        strategy, _ = weighing(*[1] * size)
        owners(strategy, NETWORKS[:1])  # the table is made
        costs.append(max(operations(strategy.pick, 0.0, key) for key in NETWORKS[:50]))
    assert costs[1] <= costs[0]


def test_a_retry_may_hash_once_more_for_each_that_it_avoids() -> None:
    """Two light ones are left to find, which takes a hundred hashes: many give up before."""
    strategy, (a, b, heavy, blocked) = weighing(1, 1, 50, 50)
    definition = Nginx([a, b, heavy, blocked])
    strategy.block(blocked, 0.0)
    for key in NETWORKS[:1000]:
        octets = IPv4Address(key.decode()).packed[:3]
        assert strategy.pick(0.0, key, (heavy,)) is definition.pick(octets, [a, b], 1)


def test_a_place_is_kept_until_more_have_left_than_were_ever_together() -> None:
    strategy, (a, b, c) = weighing(1, 1, 1)
    strategy.leave(b, 0.0)
    for order in (3, 4, 5):
        new = Server(order)
        strategy.join(new, 0.0)
        assert b.order in strategy._seats
        strategy.leave(new, 0.0)
    strategy.join(Server(6), 0.0)
    assert set(strategy._seats) == {a.order, c.order, 6}
