"""What the tests of hashing strategies share: keys, events, shares."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from hypothesis import strategies as st
from scipy.stats import chisquare

from lb.strategies import Strategy, create
from tests.doubles import Draws, Server, joined, servers

DATA = Path(__file__).parent / "data"
KEYS = [b"client-%d" % i for i in range(10_000)]
SIZE = 6

ORDERS = st.integers(0, SIZE - 1)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("pick"), st.binary(max_size=3), st.frozensets(ORDERS, max_size=4)),
        st.tuples(st.sampled_from(["block", "unblock", "leave", "join", "end"]), ORDERS),
        st.tuples(st.just("reweigh"), ORDERS, st.integers(1, 5)),
    ),
    max_size=50,
)


def recorded(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return content


def made(name: str, members: Iterable[Server], **settings: object) -> Any:
    """The strategy, which may draw nothing at random."""
    return joined(create(name, Draws(), settings), members)


def weighing(name: str, *weights: float, **settings: object) -> tuple[Any, list[Server]]:
    members = servers(*weights)
    return made(name, members, **settings), members


def owners(strategy: Strategy[Any], keys: Sequence[bytes] = KEYS) -> list[Any]:
    return [strategy.pick(0.0, key) for key in keys]


def moved(before: Sequence[Any], after: Sequence[Any]) -> list[tuple[Any, Any]]:
    return [(one, other) for one, other in zip(before, after, strict=True) if one is not other]


def p_value(picked: Iterable[Any], members: Sequence[Server], shares: Sequence[float]) -> float:
    """How likely so uneven a split of the picks is when `shares` hold; chi-square."""
    counts = Counter(picked)
    scale = counts.total() / sum(shares)
    result = chisquare([counts[server] for server in members], [share * scale for share in shares])
    return float(result.pvalue)


class Fleet:
    """Servers, a strategy that hears of them, and who of them has joined and is blocked.

    Events that make no sense in the present state are passed over.
    """

    def __init__(self, strategy: Strategy[Any], weights: Sequence[float]) -> None:
        self.strategy = strategy
        self.servers = servers(*weights)
        self.joined = set(range(SIZE))
        self.blocked: set[int] = set()
        joined(strategy, self.servers)

    @property
    def usable(self) -> list[Server]:
        return [self.servers[order] for order in sorted(self.joined - self.blocked)]

    def allowed(self, avoid: frozenset[int]) -> list[Server]:
        return [server for server in self.usable if server.order not in avoid] or self.usable

    def tell(self, kind: str, order: int, weight: float = 0) -> None:
        server, known, blocked = self.servers[order], self.joined, self.blocked
        match kind:
            case "join" if order not in known:
                known.add(order)
                self.strategy.join(server, 0.0)
            case "leave" if order in known:
                known.discard(order)
                blocked.discard(order)
                self.strategy.leave(server, 0.0)
            case "block" if order in known - blocked:
                blocked.add(order)
                self.strategy.block(server, 0.0)
            case "unblock" if order in blocked:
                blocked.discard(order)
                self.strategy.unblock(server, 0.0)
            case "reweigh":
                server.weight = weight
                if order in known:
                    self.strategy.reweigh(server, 0.0)


class Ring:
    """All points, sorted anew for every key; one per hash, the first server's."""

    def __init__(self, members: list[Server]) -> None:
        points: dict[int, Server] = {}
        for server in members:
            host, port = server.address.split(":")
            point = 0
            for _ in range(160 * int(server.weight)):
                text = host.encode() + b"\0" + port.encode() + point.to_bytes(4, "little")
                point = crc32(text)
                points.setdefault(point, server)
        self.hashes = sorted(points)
        self.servers = [points[point] for point in self.hashes]

    def from_key(self, key: bytes) -> list[Server]:
        at = bisect_left(self.hashes, crc32(key))
        return self.servers[at:] + self.servers[:at]
