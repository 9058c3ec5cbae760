"""Events of a backend that has left, or never came: they are passed over."""

from __future__ import annotations

from random import Random

import pytest

from lb.strategies import REGISTRY, Outcome, Spec, create
from lb.strategies.registry import build
from tests.doubles import joined, send, servers

CASES = {case.title: case for row in REGISTRY.values() for case in row.cases}
KEEPING = {
    "weighted_round_robin": {},
    "weighted_round_robin-edf": {"sequence": "edf"},
    "weighted_round_robin-fwrr": {"sequence": "fwrr"},
    "weighted_round_robin-static": {"sequence": "static"},
    "least_connections-idle_first": {"load": "idle_first"},
    "weighted_random": {},
    "p2c": {},
    "peak_ewma": {},
    "prequal": {},
    "ip_hash": {},
    "consistent_hash": {},
    "consistent_hash-bounded": {"balance_factor": 1.25},
    "maglev": {},
    "sticky": {"inner": "p2c"},
}
"""Those that keep the blocked, and so can tell them from the departed."""


@pytest.mark.parametrize("row", CASES.values(), ids=CASES)
def test_a_stranger_cannot_leave_nor_be_blocked_nor_get_weight(row: Spec) -> None:
    member, stranger = servers(1, 3)
    strategy = joined(build(row, Random(1)), [member])
    for event in (strategy.leave, strategy.block, strategy.reweigh, strategy.started):
        event(stranger, 0.0)
        assert [send(strategy, key=b"%d" % n) for n in range(5)] == [member] * 5
    strategy.finished(stranger, 0.0, Outcome.RESET, 0.1)
    assert [send(strategy, key=b"%d" % n) for n in range(5)] == [member] * 5


@pytest.mark.parametrize("name", KEEPING)
def test_the_departed_are_not_unblocked(name: str) -> None:
    member, gone = servers(1, 3)
    strategy = joined(create(name.partition("-")[0], Random(1), KEEPING[name]), [member, gone])
    strategy.block(gone, 0.0)
    strategy.leave(gone, 0.0)
    strategy.unblock(gone, 0.0)
    assert {send(strategy, key=b"%d" % n) for n in range(20)} == {member}
    strategy.leave(member, 0.0)
    assert strategy.pick(0.0) is None
