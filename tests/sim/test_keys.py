"""Keys in the simulator: who needs them, and that they decide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lb.config import Scenario
from lb.errors import ConfigError
from lb.strategies import REGISTRY, create
from sim import simulate
from sim.model.arrivals import Schedule
from tests.doubles import Draws, Server, joined
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

KEYED = [name for name, row in REGISTRY.items() if "key" in row.needs]
KEYS = 'keys = { law = "zipf", count = 50, s = 1.0 }'


def three(traffic: str = "") -> Scenario:
    return scenario(*[serves(EXPONENTIAL)] * 3, rate=1.5, traffic=traffic)


@pytest.mark.parametrize("algorithm", KEYED)
def test_without_keys_an_algorithm_that_needs_them_says_so(algorithm: str) -> None:
    with pytest.raises(ConfigError, match=f"traffic.keys: missing; {algorithm} needs keys = "):
        simulate(three(), [algorithm])


def test_all_that_need_them_say_so_at_once_before_anything_runs() -> None:
    with pytest.raises(ConfigError) as error:
        simulate(three(), ["random", *KEYED])
    assert len(error.value.problems) == len(KEYED)


def test_a_schedule_brings_its_own_keys_or_none() -> None:
    keys = Schedule.draw(three(KEYS))
    assert simulate(three(), ["maglev"], schedule=keys)["maglev"].completed == len(keys)
    with pytest.raises(ConfigError, match=r"traffic\.keys: missing"):
        simulate(three(KEYS), ["maglev"], schedule=replace(keys, keys=None))


@pytest.mark.parametrize("algorithm", ["ip_hash", "consistent_hash", "maglev", "rendezvous"])
def test_a_key_decides_as_it_would_in_the_proxy(algorithm: str) -> None:
    """The bytes are those of X-LB-Key, so a live run sends the same requests to the same places."""
    file = three(KEYS)
    drawn = Schedule.draw(file)
    members = [Server(i, 1, 0, row.address) for i, row in enumerate(file.backends)]
    strategy = joined(create(algorithm, Draws()), members)
    expected = [
        strategy.pick(0.0, drawn.fields(index)["X-LB-Key"].encode()).order
        for index in range(len(drawn))
    ]
    (record,) = simulate(file, [algorithm], schedule=drawn)[algorithm].records
    np.testing.assert_array_equal(record.backend, expected)


def test_the_complaint_names_the_place_where_they_would_stand() -> None:
    text = '[[backend]]\naddress = "h:1"\nmodel = { service = "exponential:1ms" }\n[traffic]\n'
    file = Scenario.parse(f'{text}arrivals = {{ process = "poisson", rate = 1 }}\n', "lb.toml")
    with pytest.raises(ConfigError, match=r"^lb\.toml:4 traffic\.keys: missing; maglev needs"):
        simulate(file, "maglev")
