"""Sticky: clients return to their backend, as long as there is one."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from lb.errors import UsageError
from lb.strategies import LoadReport, Probing, Sticking, Strategy, create, spec
from lb.strategies.round_robin import Params as Nothing
from lb.strategies.round_robin import RoundRobin
from lb.strategies.sticky import Params, make, token
from tests.doubles import Server, joined, servers


def sticky(n: int, **settings: object) -> tuple[Strategy[Any], list[Server]]:
    members = servers(*[1] * n)
    return joined(create("sticky", Random(3), settings), members), members


def test_a_cookie_names_its_backend() -> None:
    strategy, members = sticky(4)
    for server in members:
        assert all(strategy.pick(0.0, token(server.address)) is server for _ in range(3))


def test_a_cookie_tells_nothing_and_differs_by_backend() -> None:
    _, members = sticky(4)
    tokens = {token(server.address) for server in members}
    assert len(tokens) == 4
    assert not any(server.address.encode() in t for server in members for t in tokens)


def test_newcomers_are_placed_by_the_inner_algorithm_and_come_back() -> None:
    strategy, (a, b, c) = sticky(3)
    assert [strategy.pick(0.0, key) for key in (b"ann", b"bob", b"cy")] == [a, b, c]
    assert [strategy.pick(0.0, key) for key in (b"cy", b"ann", b"bob")] == [c, a, b]


def test_those_without_a_key_are_nobody_in_particular() -> None:
    strategy, (a, b) = sticky(2)
    assert [strategy.pick(0.0) for _ in range(4)] == [a, b, a, b]


def test_when_a_backend_is_gone_its_clients_are_placed_anew_and_stay_there() -> None:
    strategy, (a, b, c) = sticky(3)
    assert strategy.pick(0.0, b"ann") is a
    strategy.leave(a, 0.0)
    new = strategy.pick(0.0, b"ann")
    assert new in (b, c)
    strategy.join(a, 0.0)
    assert strategy.pick(0.0, b"ann") is new
    stale = token(a.address)
    strategy.leave(a, 0.0)
    assert strategy.pick(0.0, stale) in (b, c)


def test_at_its_limit_a_backend_is_only_lent_out() -> None:
    strategy, (a, b) = sticky(2)
    assert strategy.pick(0.0, b"ann") is a
    strategy.block(a, 0.0)
    assert strategy.pick(0.0, b"ann") is b
    assert strategy.pick(0.0) is b
    strategy.unblock(a, 0.0)
    assert [strategy.pick(0.0, b"ann") for _ in range(3)] == [a, a, a]


def test_a_retry_goes_elsewhere_and_changes_nothing() -> None:
    strategy, (a, b) = sticky(2)
    assert strategy.pick(0.0, b"ann") is a
    assert strategy.pick(0.0, b"ann", (a,)) is b
    assert strategy.pick(0.0, b"ann") is a


def test_the_table_is_bounded_and_forgets_who_was_away_longest() -> None:
    strategy, (a, b, c) = sticky(3, table=2)
    assert [strategy.pick(0.0, key) for key in (b"ann", b"bob", b"ann")] == [a, b, a]
    assert strategy.pick(0.0, b"cy") is c  # bob is forgotten
    assert strategy.pick(0.0, b"ann") is a
    assert strategy.pick(0.0, b"bob") is a  # a newcomer again, and now cy is forgotten
    assert strategy.pick(0.0, b"cy") is b


def test_the_inner_algorithm_may_have_settings_and_probes() -> None:
    strategy, (a, b, c) = sticky(3, inner="prequal:probes=2,quantile=0.5")
    assert isinstance(strategy, Probing)
    assert strategy.pick(0.0, b"ann") in (a, b, c)
    assert len(strategy.probes(0.0)) == 2
    for server, latency in ((a, 0.03), (b, 0.01), (c, 0.02)):
        strategy.probed(server, 0.0, 1, latency)
    assert strategy.pick(0.0, b"bob") is b


def test_an_inner_algorithm_without_probes_asks_nobody() -> None:
    strategy, (a, *_) = sticky(3)
    assert not isinstance(strategy, Probing)
    assert strategy.pick(0.0) is a


class Curious(RoundRobin[Any]):
    """Asks, and goes by load reports."""

    heard: list[Any]

    def probes(self, now: float) -> Sequence[Any]:
        return self.members

    def probed(self, backend: Any, now: float, in_flight: int, latency: float) -> None:
        self.heard.append((backend, in_flight))

    def fed(self, backend: Any, now: float, report: LoadReport) -> None:
        self.heard.append((backend, report))


def test_an_inner_algorithm_may_both_ask_and_hear() -> None:
    inner = Curious(Nothing(), Random(1))
    inner.heard = []
    strategy: Any = make(Params(), Random(1), lambda _, rng: (spec("round_robin"), inner))
    (a,) = servers(1)
    strategy.join(a, 0.0)
    assert list(strategy.probes(0.0)) == [a]
    strategy.probed(a, 0.0, 3, 0.1)
    report = LoadReport(1, 0.1)
    strategy.fed(a, 0.0, report)
    assert inner.heard == [(a, 3), (a, report)]


def test_of_two_at_one_address_the_cookie_names_the_later() -> None:
    first, second = members = [Server(0, address="h:1"), Server(1, address="h:1")]
    strategy = joined(create("sticky", Random(3)), members)
    assert strategy.pick(0.0, token("h:1")) is second
    strategy.leave(first, 0.0)
    assert strategy.pick(0.0, token("h:1")) is second
    assert strategy._tokens == {token("h:1"): 1}  # type: ignore[attr-defined]
    strategy.leave(second, 0.0)
    assert strategy._tokens == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "wrong",
    [
        {"inner": "maglev"},
        {"inner": "round_robbin"},
        {"inner": "sticky"},
        {"table": 0},
        {"drain": "-1s"},
    ],
)
def test_what_cannot_be_inside(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        create("sticky", Random(1), wrong)


# --- backends that drain


def draining(**settings: object) -> tuple[Any, list[Server]]:
    """Ann is at home at the first of two, which drains from 10 s on."""
    strategy, members = sticky(2, **settings)
    assert strategy.pick(0.0, b"ann") is members[0]
    strategy.leave(members[0], 10.0)
    strategy.drain(members[0], 10.0)  # type: ignore[attr-defined]
    return strategy, members


def test_a_backend_that_drains_keeps_its_clients_and_gets_no_others() -> None:
    strategy, (a, b) = draining()
    assert isinstance(strategy, Sticking)
    assert [strategy.pick(1e9, b"ann") for _ in range(3)] == [a, a, a]
    assert strategy.pick(11.0, token(a.address)) is a
    assert {strategy.pick(11.0, b"%d" % n) for n in range(6)} == {b}
    strategy.leave(a, 12.0)
    assert strategy.pick(12.0, b"ann") is b


def test_a_backend_that_drains_is_lent_out_at_its_limit_and_is_nobody_elses_after_it() -> None:
    strategy, (a, b) = draining()
    strategy.block(a, 11.0)
    assert strategy.pick(11.0, b"ann") is b
    strategy.unblock(a, 12.0)
    assert strategy.pick(12.0, b"ann") is a
    assert {strategy.pick(12.0, b"%d" % n) for n in range(6)} == {b}


def test_after_its_time_a_drain_is_over_and_the_clients_move() -> None:
    strategy, (a, b) = draining(drain="5s")
    assert strategy.pick(14.9, b"ann") is a
    assert strategy.pick(15.0, b"ann") is b
    strategy.unblock(a, 15.0)
    assert {strategy.pick(16.0, key) for key in (b"ann", token(a.address), b"new")} == {b}
    strategy.leave(a, 17.0)
    strategy.join(a, 17.0)
    assert strategy.pick(18.0, b"ann") is b
    assert a in {strategy.pick(18.0, b"%d" % n) for n in range(6)}


def test_a_home_is_known_while_its_backend_is_there() -> None:
    strategy, (a, b) = draining()
    known = [b"ann", token(a.address), token(b.address), b"new", b""]
    assert [strategy.knows(key) for key in known] == [True, True, True, False, False]
    strategy.leave(a, 11.0)
    assert [strategy.knows(key) for key in known] == [False, False, True, False, False]


def test_what_it_holds_is_named_by_a_text() -> None:
    for wrong in ({"name": "p2c"}, ["p2c"], 3, True):
        with pytest.raises(UsageError, match="sticky: inner: a text, not "):
            spec("sticky").configure({"inner": wrong})
