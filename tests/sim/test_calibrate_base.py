"""A model on the base of a file: whose tables it keeps, and in whose order it stands."""

from __future__ import annotations

import pytest

from lb.config import Scenario
from lb.errors import ConfigError
from sim.fit.calibrate import calibrate
from tests.sim.observations import recorded, scenario
from tests.sim.test_calibrate import EXPONENTIAL, fitted

BASE = """\
[server]
listen = "127.0.0.1:7001"
[timeouts]
attempt = "500ms"
[expect]
p99 = "100ms"
[[backend]]
address = "10.0.0.9:80"
name = "new"
[[backend]]
address = "10.0.0.1:80"
name = "second"
weight = 2
"""


def test_a_base_keeps_its_tables_and_takes_the_models() -> None:
    found = fitted(EXPONENTIAL, EXPONENTIAL, rate=120, seconds=20)
    there = found.based_on(Scenario.parse(BASE), "lb.toml")
    again = Scenario.parse(there.text())
    assert again.server.listen == "127.0.0.1:7001"
    assert again.timeouts.attempt == 0.5
    assert again.expect.p99 == 0.1
    assert [(row.label, row.weight) for row in again.backends] == [("second", 2), ("b0", 1)]
    models = [row.model for row in found.scenario.backends]
    assert [row.model for row in there.scenario.backends] == models[::-1]
    assert [row.model and row.model.workers for row in again.backends] == [2, 2]
    assert again.traffic == found.scenario.traffic
    assert "# Note: new of lb.toml is not in made.rec: it is left out.\n" in there.text()
    elsewhere = Scenario.parse(BASE.replace("10.0.0.1", "10.0.0.8"))
    why = r"lb.toml: none of its backends \(new, second\) is in made.rec, which has b0, b1"
    with pytest.raises(ConfigError, match=why):
        found.based_on(elsewhere, "lb.toml")


def test_backends_stand_in_the_order_of_the_base() -> None:
    found = fitted(EXPONENTIAL, '{ service = "exponential:30ms" }', rate=60, seconds=20)
    turned = """
[[backend]]
address = "10.0.0.1:80"
[[backend]]
address = "10.0.0.0:80"
"""
    there = found.based_on(Scenario.parse(turned), "lb.toml")
    before, after = found.scenario.backends, there.scenario.backends
    assert [row.address for row in after] == ["10.0.0.1:80", "10.0.0.0:80"]
    assert [row.model for row in after] == [before[1].model, before[0].model]
    assert (
        there.estimates["backend.0.model.service.mean"]
        == (found.estimates["backend.1.model.service.mean"])
    )


def test_what_is_replayed_is_balanced_as_it_was_whatever_the_base_says() -> None:
    found = fitted(EXPONENTIAL, EXPONENTIAL, rate=120, seconds=20)
    assert found.lived is found.scenario
    there = found.based_on(Scenario.parse('algorithm = "p2c"\n' + BASE), "lb.toml")
    assert there.scenario.algorithm.name == "p2c"
    assert there.lived.algorithm == found.scenario.algorithm
    assert there.lived.backends == there.scenario.backends


def test_the_model_replays_the_recording_by_the_tables_of_its_base() -> None:
    """Whose limits cut short what the recording has whole."""
    world = scenario(EXPONENTIAL, rate=60, seconds=30)
    strict = (
        '[timeouts]\nattempt = "50ms"\n[retries]\nmax = 0\n[[backend]]\naddress = "10.0.0.0:80"'
    )
    base = Scenario.parse(strict), "lb.toml"
    found = calibrate(recorded(world), base=base, replays=2)
    assert found.replayed is not None
    assert found.scenario.timeouts.attempt == 0.05
    assert found.replayed.failed[0] == 0.0
    assert found.replayed.failed[1] > 0.02
