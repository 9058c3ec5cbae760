"""Calibration recovers the models that simulated recordings were made of, and says what it cannot.

Seeds are fixed; tolerances are those that a recording of that length allows.
"""

from __future__ import annotations

import math

import pytest

from lb.config import Scenario
from lb.errors import ConfigError
from sim import calibrate
from sim.fit.calibrate import Calibration
from tests.sim.observations import recorded, scenario

EXPONENTIAL = '{ service = "exponential:20ms", workers = 2 }'


def fitted(*models: str, noise: float = 0.0003, **given: object) -> Calibration:
    return calibrate(recorded(scenario(*models, **given), noise), quick=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "discipline", "workers", "law", "cv"),
    [
        ("exponential:20ms", "fifo", 1, "exponential", 1.0),
        ("lognormal:20ms,cv=1.5", "ps", 2, "lognormal", 1.5),
        ("erlang:20ms,k=4", "fifo", 4, "erlang", 0.5),
        ("deterministic:20ms", "ps", 1, "deterministic", 0.0),
        ("bimodal:10ms,60ms,weights=4,1", "fifo", 3, "bimodal", 1.0),
    ],
)
def test_workers_discipline_and_law_are_found(
    service: str, discipline: str, workers: int, law: str, cv: float
) -> None:
    model = f'{{ service = "{service}", discipline = "{discipline}", workers = {workers} }}'
    found = fitted(model, rate=0.65 * workers / 0.02, seconds=100 / workers)
    (backend,) = found.backends
    own = backend.station.hypothesis
    assert (own.discipline, own.workers) == (discipline, workers)
    assert (backend.station.fewest, backend.station.most) == (workers, workers)
    assert backend.station.disciplines == (discipline,)
    assert backend.service.law.best.name == law
    told = found.scenario.backends[0].model
    assert told is not None
    assert math.isclose(math.sqrt(told.service.squared_cv), cv, rel_tol=0.15, abs_tol=0.02)
    assert not found.unknown


def test_what_never_waits_is_a_range() -> None:
    found = fitted('{ service = "exponential:10ms", workers = 8 }', rate=40, seconds=60)
    keys = {row.key: (row.low, row.high) for row in found.unknown}
    most = found.backends[0].station.never_more
    low, high = keys["backend.0.model.workers"]
    assert most - 1 <= int(low) <= most  # of the most that were ever there, one may have waited
    assert high == 1000
    assert keys["backend.0.model.discipline"] == ("fifo", "ps")
    assert f"never more than {most} in flight" in found.unknown[0].why


def test_ways_are_told_from_service_where_somebody_waits() -> None:
    more = 'network = { law = "constant", mean = "1ms" }'
    found = fitted(EXPONENTIAL, rate=70, seconds=60, more=more, noise=0.0)
    assert found.way.identified
    assert math.isclose(found.way.overhead.value, 0.002, rel_tol=0.15)


def test_the_file_can_be_read_again_and_is_the_same_model() -> None:
    more = 'keys = { law = "zipf", count = 200, s = 1.0 }'
    head = 'algorithm = "p2c"'
    found = calibrate(
        recorded(scenario(EXPONENTIAL, EXPONENTIAL, rate=120, seconds=30, more=more, head=head)),
        replays=2,
    )
    again = Scenario.parse(found.text())
    for name in ("backends", "traffic", "faults", "run", "outliers"):
        assert getattr(again, name) == getattr(found.scenario, name)
    assert again.algorithm.name == "p2c"
    assert again.calibration is not None
    assert again.calibration.error is not None
    assert abs(found.error["mean"]) < 0.1
    assert found.keys is not None
    low, high = found.keys.s.low, found.keys.s.high
    assert low is not None
    assert high is not None
    assert low < 1.0 < high


def test_a_backend_that_slows_down_has_a_course() -> None:
    fault = '[[fault]]\nbackend = "b0"\nkind = "slow"\nfrom = "15s"\nto = "30s"\nfactor = 2'
    model = '{ service = "exponential:20ms", workers = 4 }'
    found = fitted(model, rate=60, seconds=30, more=fault)
    ((_, before), (at, after)) = found.backends[0].course
    assert math.isclose(before / after, 2.0, rel_tol=0.15)
    assert 13 < at < 16
    assert any("changes its speed" in remark for remark in found.remarks)


def test_too_little_is_refused_with_what_it_takes() -> None:
    few = recorded(scenario(EXPONENTIAL, rate=10, seconds=5))
    with pytest.raises(ConfigError, match=r"made.rec: \d+ answered requests; a model takes 200"):
        calibrate(few)
