"""What a load generator keeps of an answer, and in which way a request failed."""

from __future__ import annotations

import math

import pytest

from lb import wire
from lb.balancing import Outcome, Why
from sim.analysis.record import Late
from sim.live.kinds import LABELS, ON_PAPER, Kind, of_answer
from sim.live.measurement import Measurement
from sim.live.noting import BACKEND, Notes
from tests.sim.scenarios import CONSTANT, scenario, serves

FILE = scenario(*[serves(CONSTANT)] * 2)


@pytest.mark.parametrize(
    ("status", "named", "kind"),
    [
        (200, True, Kind.NONE),
        (200, False, Kind.NONE),
        (500, True, Kind.SERVER_ERROR),
        (503, True, Kind.SERVER_ERROR),
        (503, False, Kind.REFUSED),
        (502, False, Kind.RESET),
        (504, False, Kind.TIMEOUT),
        (508, False, Kind.SERVER_ERROR),
        (404, True, Kind.OTHER),
        (301, False, Kind.OTHER),
    ],
)
def test_an_answer_is_the_backends_where_it_names_one(status: int, named: bool, kind: Kind) -> None:
    assert of_answer(status, named) is kind


def test_every_reason_on_paper_is_a_kind_that_clients_see() -> None:
    reasons = [*Why, *(it for it in Outcome if it is not Outcome.OK), *Late]
    assert set(ON_PAPER) == {reason.value for reason in reasons}
    assert set(LABELS) == set(Kind)


def test_an_answer_is_written_down() -> None:
    measured, notes = Measurement.blank(4), Notes(FILE)
    said = {
        BACKEND: "b:1",
        wire.SERVED: wire.write_served("b:1", 0.25, 0.5, 0.001),
    }
    assert notes.answered(measured, 0, 200, said.get)
    assert measured.service is not None
    assert measured.sojourn is not None
    assert measured.late is not None
    assert measured.kind is not None
    assert (measured.backend[0], measured.service[0], measured.sojourn[0]) == (1, 0.25, 0.5)
    assert measured.late[0] == 0.001
    # A balancer that tells nobody who answered: the modelled backend does.
    assert notes.answered(measured, 1, 200, {wire.SERVED: "backend=b:0"}.get)
    assert measured.backend[1] == 0
    assert math.isnan(measured.service[1])
    assert not notes.answered(measured, 2, 503, {}.get)
    notes.broken(measured, 3, TimeoutError())
    assert measured.backend.tolist() == [1, 0, -1, -1]
    assert measured.kind.tolist() == [Kind.NONE, Kind.NONE, Kind.REFUSED, Kind.TIMEOUT]
    notes.broken(measured, 3, ConnectionResetError())
    assert measured.kind[3] == Kind.UNREACHABLE
    notes.left(measured, 3)
    assert (measured.kind[3], measured.gone[3]) == (Kind.GONE, True)
