"""The least loaded one, as a scan of everyone finds it, ties included."""

from __future__ import annotations

from random import Random

from lb.strategies import Outcome
from lb.strategies.parts.tournament import LowestWins
from tests.doubles import Draws, Server, servers


class ByWeight(LowestWins[Server]):
    """The lightest comes first."""

    def load(self, backend: Server) -> float:
        return backend.weight


def index(members: list[Server], *script: float) -> ByWeight:
    strategy = ByWeight(Draws(*script))
    for server in members:
        strategy.join(server, 0.0)
    return strategy


def test_nobody_is_picked_where_nobody_is() -> None:
    members = servers(1, 2)
    strategy = index(members)
    for server in members:
        strategy.leave(server, 0.0)
        strategy.started(server, 0.0)
    assert strategy.pick(0.0) is None


def test_those_who_share_a_load_are_drawn_in_configured_order() -> None:
    a, b, c, heavy = members = servers(1, 1, 1, 9)
    strategy = index([c, heavy, a, b], 0.0, 0.4, 0.9, 0.9)
    assert [strategy.pick(0.0) for _ in range(3)] == [a, b, c]
    strategy.block(a, 0.0)
    assert strategy.pick(0.0) is c
    strategy.block(b, 0.0)
    assert strategy.pick(0.0) is c  # without a draw, as all that follows
    strategy.block(c, 0.0)
    assert strategy.pick(0.0) is members[3] is heavy


def test_what_happens_before_the_first_pick_counts_then() -> None:
    a, b, c = members = servers(1, 1, 1)
    strategy = index(members)
    c.weight = 0.5
    strategy.reweigh(c, 0.0)
    strategy.block(b, 0.0)
    assert strategy.pick(0.0) is c
    strategy.leave(c, 0.0)
    strategy.unblock(b, 0.0)
    strategy.block(a, 0.0)
    assert strategy.pick(0.0) is b


def test_it_answers_as_a_scan_does_whatever_happens() -> None:
    luck = Random(5)
    members = servers(*[1] * 6)
    strategy = index(members)
    strategy._draw = lambda: 0.999
    blocked: set[Server] = set()
    for _ in range(3000):
        server = luck.choice(members)
        server.weight = luck.choice([1, 2, 3, luck.random() * 4])
        strategy.reweigh(server, 0.0)
        if luck.random() < 0.3:
            (strategy.unblock if server in blocked else strategy.block)(server, 0.0)
            blocked ^= {server}
        free = [other for other in members if other not in blocked]
        expected = min(free, key=lambda it: (it.weight, -it.order)) if free else None
        assert strategy.pick(0.0) is expected


def test_the_departed_are_not_unblocked_and_the_avoided_come_last() -> None:
    a, b = servers(1, 2)
    strategy = index([a, b])
    assert strategy.pick(0.0, b"", (a,)) is b
    assert strategy.pick(0.0, b"", (a, b)) is a
    a.weight = 3
    strategy.finished(a, 0.0, Outcome.OK, 0.1)
    assert strategy.pick(0.0) is b
    a.weight = 1
    strategy.started(a, 0.0)
    strategy.leave(a, 0.0)
    strategy.unblock(a, 0.0)
    assert strategy.pick(0.0) is b
