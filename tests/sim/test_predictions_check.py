"""The study of whether predictions keep their word, on a world or two."""

from __future__ import annotations

import pytest

from sim.analysis.statistics import FIGURES
from sim.checks import predictions
from sim.checks.predictions import KINDS, case, study


@pytest.mark.parametrize("kind", KINDS)
def test_a_world_is_the_same_again(kind: str) -> None:
    assert case(3, kind) == case(3, kind)
    assert case(3, kind).world != case(4, kind).world


def test_only_what_is_meant_to_differs_from_the_world() -> None:
    itself, estimated, lacking = (case(5, kind) for kind in KINDS[:3])
    assert itself.world.backends == itself.model.backends
    assert estimated.world.backends != estimated.model.backends
    assert estimated.model.calibration is not None
    assert lacking.world.offered().network is not None
    assert lacking.model.offered().network is None


def test_intervals_cover_what_comes_of_a_change() -> None:
    found = study("the world itself", 1)
    assert found["all"] == 1
    assert all(found[name] for name in FIGURES)


def test_too_little_coverage_is_exit_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"all": 400, **dict.fromkeys(FIGURES, 380), "change": 4 * 380, "one run": 4 * 380}
    monkeypatch.setattr(predictions, "study", lambda *_: predictions.Counter(seen))
    assert predictions.main(["--worlds", "400"]) == 0
    seen["p99"] = 340
    assert predictions.main(["--worlds", "400"]) == 1
