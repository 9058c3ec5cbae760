"""What `lb verify` runs: it sees a wrong simulator and a wrong strategy for what they are."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Self
from unittest import mock

import pytest

from lb.laws import LAWS
from lb.strategies import Spec, spec
from lb.strategies.round_robin import RoundRobin
from sim.checks import papers, queues, verify
from sim.checks.check import Check
from sim.checks.coverage import Case, Coverage
from sim.checks.systems import System
from sim.checks.verify import known_sequences, laws_of


def test_every_law_is_answered_for_or_excused() -> None:
    checks = list(laws_of(spec("random")))
    assert [check.says for check in checks] == [law.says for law in LAWS]
    assert {check.kept for check in checks} == {True, None}
    assert all(check.why for check in checks if check.kept is None)


class Forgetful(RoundRobin[Any]):
    """Has nobody at all while anybody is avoided, and loses its way when one leaves."""

    def pick(self, now: float, key: bytes = b"", avoid: Any = ()) -> Any:
        return None if avoid else super().pick(now, key)

    def leave(self, backend: Any, now: float) -> None:
        raise LookupError


def test_a_strategy_that_breaks_is_reported_and_no_traceback() -> None:
    row: Spec = replace(spec("round_robin"), factory=lambda params, rng: Forgetful(params, rng))
    whys = {check.says: check.why for check in laws_of(row) if check.kept is False}
    assert "LookupError" in whys.values()
    assert "avoided backends are picked only when no other is left" in whys


def test_the_definition_gives_the_published_sequences() -> None:
    assert verify.smooth((5, 1, 1)) == "aabacaa"
    assert verify.smooth((1, 2, 3)) == "cbacbc"


def test_the_sequences_hold() -> None:
    assert all(check.kept for check in known_sequences())


def test_a_sequence_that_is_not_the_known_one_is_shown() -> None:
    with (
        mock.patch.object(verify, "WEIGHTS", [(5, 1, 1)]),
        mock.patch.object(verify, "smooth", return_value="aaaaabc"),
    ):
        (wrong,) = [check for check in known_sequences() if not check.kept]
    assert wrong.why == "aabacaaaabacaa instead of aaaaabcaaaaabc"


def test_systems_come_in_order_and_quick_ones_alone_where_asked() -> None:
    def name(system: System, quick: bool = False) -> list[Check]:
        return [Check(system.name, str(quick), True)]

    with (
        mock.patch.object(verify, "checked", name),
        mock.patch.object(verify, "intervals", return_value=[]),
    ):
        everything, some = (list(verify.simulator(quick, 1)) for quick in (False, True))
    names = [system.name for room in (queues, papers) for system in room.systems()]
    assert [check.subject for check in everything] == names
    assert len(set(names)) == len(names)
    assert {check.says for check in some} == {"True"}
    assert {check.subject for check in some} < set(names)


def test_intervals_that_cover_too_seldom_or_too_often_are_reported() -> None:
    rows = [
        Coverage(Case(0.5, 10, 2_000), "p99", 9.21, 100, covered, 88, 99)
        for covered in (95, 88, 87, 99, 100)
    ]
    with mock.patch.object(verify, "coverage", return_value=rows) as coverage:
        checks = verify.intervals(quick=True)
    coverage.assert_called_once_with(quick=True)
    assert [check.kept for check in checks] == [True, True, False, True, False]
    for check in checks:
        found = check.simulated
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert (found.low <= 0.95 + 1e-9 and found.high >= 0.95 - 1e-9) is check.kept
    assert (checks[0].subject, checks[0].says) == (
        "95 % intervals of M/M/1 at 0.5, 100 seeds",
        "p99 covered",
    )


def test_what_others_are_to_simulate_can_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    class Sends:
        def __init__(self, _: object) -> None: ...
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...
        def each(self, _: object, work: Sequence[object], expected: float) -> Iterator[list[Check]]:
            sent.extend(map(pickle.dumps, work))
            return iter(())

    monkeypatch.setattr(verify, "Crew", Sends)
    assert not list(verify.simulator(quick=False))
    assert len(sent) > len([s for s in verify._systems() if s.quick]) > 10
