"""How windows of a run spread, and what is said of scenarios that have no such windows."""

import numpy as np
import pytest

from lb.errors import UsageError
from sim import Scenario
from sim.live.bands import FEWEST, bands

FILE = """
algorithm = "round_robin"
[[backend]]
address = "a:1"
[backend.model]
service = { law = "exponential", mean = "10ms" }
[[backend]]
address = "b:1"
[backend.model]
service = { law = "exponential", mean = "10ms" }
[traffic]
arrivals = { process = "poisson", rate = 100 }
[[fault]]
backend = "a:1"
kind = "down"
from = "0s"
to = "500s"
"""


def test_the_value_lies_within_its_windows_and_its_interval_within_the_band() -> None:
    told = bands(Scenario.parse(FILE))
    for name in ("p50", "p95", "p99"):
        figure = told["latency"][name]
        low, high = figure["interval"]
        assert figure["low"] < low < figure["value"] < high < figure["high"]
    assert told["throughput"]["low"] < 100 < told["throughput"]["high"]


def test_windows_of_ten_seconds_count_as_many_requests_as_a_poisson_process_brings() -> None:
    told = bands(Scenario.parse(FILE))
    assert told["window"] == 10
    spread = (told["throughput"]["high"] - told["throughput"]["low"]) / (2 * 1.96)
    assert 0.6 < spread / np.sqrt(100 / 10) < 1.6


def test_faults_of_the_file_are_not_predicted_as_nobody_knows_when_they_come() -> None:
    told = bands(Scenario.parse(FILE))
    assert [backend["share"] for backend in told["backends"]] == pytest.approx([0.5, 0.5], abs=0.01)


def test_more_requests_make_shorter_windows_not_longer_simulations() -> None:
    quick = Scenario.parse(FILE.replace("10ms", "10us").replace("rate = 100", "rate = 50000"))
    assert bands(quick)["window"] == pytest.approx(0.08)


def test_a_scenario_that_ends_soon_has_values_without_bands(tmp_path) -> None:
    rows = "".join(f"{n / 10}\n" for n in range(10 * FEWEST))
    (tmp_path / "trace.csv").write_text("time\n" + rows)
    trace = f'{{ process = "trace", file = "{tmp_path / "trace.csv"}" }}'
    told = bands(Scenario.parse(FILE.replace('{ process = "poisson", rate = 100 }', trace)))
    assert told["latency"] == {}
    assert set(told["throughput"]) == {"value"}


def test_more_than_the_model_can_serve_is_no_prediction() -> None:
    with pytest.raises(UsageError, match="at 300 requests per second the model is offered"):
        bands(Scenario.parse(FILE).at_rate(300))
