"""What `lb verify` runs: it sees a wrong simulator and a wrong strategy for what they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

from lb.laws import LAWS
from lb.strategies import Spec, spec
from lb.strategies.round_robin import RoundRobin
from sim.checks import verify
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


def test_a_simulator_that_is_off_by_a_tenth_is_seen() -> None:
    last = verify.QUEUES[-1]
    for exact, kept in ((last.exact, True), (1.1 * last.exact, False), (0.9 * last.exact, False)):
        with mock.patch.object(verify, "QUEUES", [replace(last, exact=exact)]):
            (check,) = verify.theory()
        assert check.kept is kept
        assert bool(check.why) is not kept
