"""What a calibrated model's own error does to advice: to whether bounds hold, not to ranks."""

from __future__ import annotations

import math

import pytest

from lb.config import Scenario
from sim import recommend
from sim.analysis.objectives import Answer
from sim.analysis.statistics import Estimate
from sim.crew import Crew
from sim.fit.recommend.aims import Aim
from sim.fit.recommend.doubts import NONE, Doubt, doubt
from sim.fit.recommend.headroom import headroom
from sim.fit.recommend.sampling import Sampler
from sim.output.recommended import sentences
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

CALIBRATED = """[calibration]
from = "some.log"
requests = 5000
seconds = 5000
error = { mean = 0.15 }
"""
INTERVAL = """[[calibration.estimate]]
key = "backend.0.model.service.mean"
value = "1s"
low = "0.9s"
high = "1.1s"
"""


def queue(more: str) -> Scenario:
    return scenario(
        serves(EXPONENTIAL), rate=0.5, run="requests = 40000\nreplications = 1", more=more
    )


def test_an_interval_grows_by_the_error_and_by_nothing_else() -> None:
    off = Doubt({"p99": (0.1, 0.2)})
    wide = off.widened("p99", Estimate(2.0, 2.0, 2.0))
    assert wide.low == pytest.approx(2.0 * math.exp(-0.1959964))
    assert wide.high == pytest.approx(2.0 * math.exp(0.3919928))
    seen = Estimate(2.0, 1.9, 2.1)
    assert off.widened("mean", seen) is seen
    assert NONE.widened("p99", seen) is seen
    assert off.widened("p99", seen).high > wide.high


def test_met_by_the_model_is_not_met_within_its_error() -> None:
    # The mean of M/M/1 at 0.5 is 2 s.
    found = recommend(queue(CALIBRATED), "mean < 2.3s", ["random"], budget=4e5)
    (row,) = found.rows
    assert row.by_model is Answer.MET
    assert row.answer is Answer.UNCLEAR
    told = list(sentences(found))
    assert "cannot be told within the model's own error of up to 34 % at mean" in told[0]
    assert any("the ranking does not" in line for line in told)
    assert found.as_dict()["model_error"]["mean"]["high"] == pytest.approx(0.342, abs=0.001)


def test_the_safe_load_allows_for_the_error() -> None:
    aims = [Aim("mean", 4.0)]
    with Crew() as crew:
        sampler = Sampler(crew, 1e9)
        plain = headroom(sampler, queue(""), "random", aims, 4e5)
        wide = headroom(sampler, queue(""), "random", aims, 4e5, doubt=Doubt({"mean": (0.1, 0.1)}))
    assert plain is not None
    assert wide is not None
    assert wide.factor == plain.factor
    # 4 s less 18 % are kept up to a load of 0.696, and 4 s more 22 % up to 0.795.
    assert wide.low == pytest.approx(1.39, abs=0.08)
    assert wide.high == pytest.approx(1.59, abs=0.08)
    assert wide.low < plain.low < plain.high < wide.high


def test_intervals_of_parameters_count_too() -> None:
    # d log mean / d log service of M/M/1 at 0.5 is 2: 10 % of the service are 20 % of the mean.
    with Crew() as crew:
        own = doubt(Sampler(crew, 1e7), queue(CALIBRATED), "random", [Aim("mean", 2.0)])
        both = doubt(Sampler(crew, 1e7), queue(CALIBRATED + INTERVAL), "random", [Aim("mean", 2.0)])
    assert own.deviations == {"mean": (0.15, 0.15)}
    down, up = both.deviations["mean"]
    assert math.sqrt((down**2 + up**2) / 2 - 0.15**2) == pytest.approx(0.102, abs=0.035)
