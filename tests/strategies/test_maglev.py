"""Maglev: a table filled as in the paper, and keys that stay."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.errors import UsageError
from lb.strategies import create
from lb.strategies.maglev import fill
from tests.doubles import Draws, Server, servers
from tests.operations import counted, operations
from tests.strategies.hashing import (
    EVENTS,
    KEYS,
    SIZE,
    Fleet,
    made,
    moved,
    owners,
    p_value,
    recorded,
    weighing,
)
from tests.strategies.test_weighted_round_robin import Nginx as Turns

RECORDED = recorded("maglev")
PRIMES = st.sampled_from([2, 3, 13, 251, 509])


@pytest.mark.parametrize(("weights", "letters"), RECORDED["sequences"].items())
def test_no_release_moves_a_key_unnoticed(weights: str, letters: str) -> None:
    strategy, _ = weighing("maglev", *map(int, weights.split(",")))
    assert "".join(map(repr, owners(strategy, [k.encode() for k in RECORDED["keys"]]))) == letters


def plain_fill(addresses: list[str], weights: list[int], size: int) -> list[int]:
    """The pseudocode of the paper, section 3.4, with whole permutations; turns by Webster."""
    ways = []
    for address in addresses:
        digest = blake2b(address.encode(), digest_size=16).digest()
        offset, skip = (int.from_bytes(half, "big") for half in (digest[:8], digest[8:]))
        skip = skip % (size - 1) + 1
        ways.append(iter([(offset + j * skip) % size for j in range(size)]))
    turns = sorted(
        ((k + 0.5) / weight, weights.index(weight), position)
        for position, weight in enumerate(weights)
        for k in range(size)
    )
    entry = [-1] * size
    for _, _, position in turns:
        for candidate in ways[position]:
            if entry[candidate] < 0:
                entry[candidate] = position
                break
        if -1 not in entry:
            break
    return entry


@given(weights=st.lists(st.integers(1, 9), min_size=1, max_size=12), size=PRIMES)
def test_the_table_is_that_of_the_paper(weights: list[int], size: int) -> None:
    addresses = [f"10.0.0.{i}:80" for i in range(len(weights))]
    assert fill(tuple(addresses), tuple(weights), size) == plain_fill(addresses, weights, size)


@given(
    weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=40),
    size=st.sampled_from([251, 1009]),
)
def test_entries_are_in_proportion_to_weight(weights: list[float], size: int) -> None:
    """Webster's rounding: each entry's weight is within one entry of anybody else's."""
    counts = Counter(fill(tuple(map(str, range(len(weights)))), tuple(weights), size))
    assert sum(counts.values()) == size
    highest = min((counts[i] + 0.5) / weight for i, weight in enumerate(weights))
    lowest = max((counts[i] - 0.5) / weight for i, weight in enumerate(weights))
    assert lowest <= highest * (1 + 1e-9)


def test_equal_backends_have_all_but_equal_shares() -> None:
    counts = Counter(fill(tuple(map(str, range(1000))), (1,) * 1000, 65537))
    assert set(counts.values()) == {65, 66}


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 5), (0.1, 0.2, 0.7)])
def test_keys_are_shared_by_weight(weights: tuple[float, ...]) -> None:
    strategy, members = weighing("maglev", *weights)
    assert p_value(owners(strategy), members, weights) > 0.001


class Table:
    """Reads the table as documented: at the hash of the key, and of that hash, and so on."""

    def __init__(self, members: list[Server], size: int) -> None:
        members = sorted(members, key=lambda server: server.address)
        filled = plain_fill([s.address for s in members], [int(s.weight) for s in members], size)
        self.entries = [members[position] for position in filled]

    def from_key(self, key: bytes) -> list[Server]:
        values = [crc32(key)]
        while len(values) < 21:
            values.append((values[-1] * 1664525 + 1013904223) % 2**32)
        return [self.entries[value % len(self.entries)] for value in values]


@given(
    weights=st.lists(st.integers(1, 5), min_size=SIZE, max_size=SIZE),
    size=st.sampled_from([2, 13, 61]),
    events=EVENTS,
)
def test_whoever_may_not_be_picked_is_passed_over(
    weights: list[int], size: int, events: list[tuple[Any, ...]]
) -> None:
    fleet = Fleet(create("maglev", Draws(), {"table_size": size}), weights)
    turns = Turns(fleet.servers)
    for event in events:
        match event:
            case "pick", key, avoid:
                allowed = fleet.allowed(avoid)
                expected = None
                if allowed:
                    table = Table([fleet.servers[order] for order in fleet.joined], size)
                    near = (server for server in table.from_key(key) if server in allowed)
                    expected = next(near, None) or turns.pick(allowed)
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


@pytest.mark.parametrize("size", [5, 20, 100])
def test_a_newcomer_moves_its_share_and_little_else(size: int) -> None:
    """Table entries that change between two others: 1 % and below, as in the paper's figure 12."""
    members = servers(*[1] * (size + 1))
    strategy = made("maglev", members[:-1])
    before = owners(strategy)
    strategy.join(members[-1], 0.0)
    movements = moved(before, owners(strategy))
    needed = [pair for pair in movements if pair[1] is members[-1]]
    assert len(needed) / len(KEYS) == pytest.approx(1 / (size + 1), rel=0.35)
    assert len(movements) - len(needed) < 0.02 * len(KEYS)
    strategy.leave(members[-1], 0.0)
    assert owners(strategy) == before


def test_being_blocked_moves_the_keys_of_the_blocked_only() -> None:
    strategy, members = weighing("maglev", 1, 2, 3, 1)
    before = owners(strategy)
    strategy.block(members[2], 0.0)
    movements = moved(before, owners(strategy))
    assert {one for one, _ in movements} == {members[2]}
    assert {other for _, other in movements} == {members[0], members[1], members[3]}
    assert not strategy._stale, "nothing is rebuilt"
    assert owners(strategy) == owners(strategy), "and keys stay where they went"
    strategy.unblock(members[2], 0.0)
    assert owners(strategy) == before


def test_the_place_in_the_file_does_not_matter() -> None:
    """Two proxies with their backends in another order send a key to the same place."""
    addresses = [f"10.1.0.{i}:80" for i in range(8)]
    files = [
        [Server(order, 1, 0, address) for order, address in enumerate(order_of)]
        for order_of in (addresses, addresses[::-1])
    ]
    one, other = ([s.address for s in owners(made("maglev", file))] for file in files)
    assert one == other


def test_two_at_one_address_share_its_keys() -> None:
    members = [Server(order, 1, 0, "same:1") for order in (0, 1)]
    assert p_value(owners(made("maglev", members)), members, [1, 1]) > 0.001


# --- parameters and cost


@pytest.mark.parametrize(
    ("size", "why"),
    [(65536, "must be prime, such as 65537, not 65536"), (1, "from 2 to"), (10**9, "from 2 to")],
)
def test_a_table_of_another_size_is_refused(size: int, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        create("maglev", Draws(), {"table_size": size})


def test_more_backends_than_entries_still_answer() -> None:
    strategy, members = weighing("maglev", *[1] * 20, table_size=13)
    assert len(set(owners(strategy))) == 13
    used = set(owners(strategy))
    for server in used:
        strategy.block(server, 0.0)
    assert set(owners(strategy)) == set(members) - used


@counted
def test_a_pick_among_thousands_costs_as_much_as_among_eight() -> None:
    costs = []
    for size in (8, 8192):
        strategy, _ = weighing("maglev", *[1] * size)
        owners(strategy, KEYS[:1])  # the table is filled
        costs.append(max(operations(strategy.pick, 0.0, key) for key in KEYS[:50]))
    assert costs[1] <= costs[0]


@counted
def test_filling_takes_far_fewer_looks_than_walking_every_permutation() -> None:
    """Work per entry stays below ln(size), which walking on to the last entry would need."""
    addresses = tuple(map(str, range(100)))
    fill.cache_clear()
    spent = {size: operations(fill, addresses, (1,) * 100, size) for size in (1009, 16411)}
    assert spent[16411] / spent[1009] < 2 * 16411 / 1009
