"""The shipped sweeps, small: who wins is turned round where their files say that it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sim import Scenario, Sweep, sweep

SWEEPS = Path(__file__).parents[2] / "loadtests" / "sweeps"
pytestmark = pytest.mark.no_cover


def swept(name: str, algorithms: list[str], over: dict[str, list[Any]]) -> Sweep:
    file = Scenario.load(SWEEPS / f"{name}.toml")
    run = file.run.model_copy(update={"requests": 5000, "replications": 4})
    return sweep(
        file.model_copy(update={"run": run}), algorithms, {"backends": [10], **over}, workers="auto"
    )


def test_every_file_says_how_to_run_it() -> None:
    files = sorted(SWEEPS.glob("*.toml"))
    assert [file.stem for file in files] == ["balancers", "keys", "speeds"]
    for file in files:
        assert f"lb sweep -c loadtests/sweeps/{file.name}" in file.read_text()


def test_many_balancers_with_least_connections_lose_to_two_choices() -> None:
    done = swept("balancers", ["least_connections", "p2c"], {"balancers": [1, 60], "load": [0.8]})
    assert done.best("mean") == [("least_connections",), ("p2c",)]
    alone, many = done.latency("mean").reshape(2, 2)
    assert many[0] > 2 * alone[0], "sixty that know little are far from one that knows all"


def test_prequal_loses_to_two_choices_where_all_backends_are_alike() -> None:
    over = {"backend.0.model.service.mean": ["20ms", "60ms"], "load": [0.5]}
    done = swept("speeds", ["prequal", "p2c"], over)
    assert done.best("mean") == [("p2c",), ("prequal",)]
    assert done.best("p95") == [("p2c",), ("prequal",)]


def test_round_robin_beats_hashing_by_skewed_keys_unless_that_is_bounded() -> None:
    plain, bounded = "consistent_hash", "consistent_hash:balance_factor=1.25"
    names = ["round_robin", plain, bounded]
    done = swept("keys", names, {"traffic.keys.s": [0.2, 1.0], "load": [0.7]})
    assert done.best("mean") == [(bounded,), (bounded,)]
    (even, skewed) = done.latency("mean").reshape(2, 3)
    assert even[0] < even[1]
    assert skewed[1] > 10 * skewed[0], "a few keys are more than one backend can do"
    for row in done.rows:
        assert row is not None
        assert row["ranking"]["mean"] == [[bounded], ["round_robin"], [plain]]
