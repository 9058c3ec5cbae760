"""What is measured of a run without a steady state, and what is cut where there is one."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from lb.config import Scenario
from sim import simulate
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

# --- rates of a run that cannot keep up


def test_the_throughput_of_an_overloaded_run_is_what_its_backends_do() -> None:
    for warmup in ("0s", "1000s", "auto"):
        file = scenario(serves(EXPONENTIAL), rate=2.0, run="requests = 5000", warmup=warmup)
        assert simulate(file).runs[0].throughput == pytest.approx(1.0, rel=0.05), warmup


# --- warm-up

RUN = "requests = 2000\nreplications = 3"
PROFILE = '{ process = "profile", points = [["0s", 1], ["100s", 2]] }'


def test_one_warm_up_is_cut_from_all_replications_and_algorithms() -> None:
    """It begins empty, which everybody can see who looks at several replications together."""
    file = scenario(*[serves(EXPONENTIAL)] * 3, rate=2.9, run=RUN, warmup="auto")
    first, second = simulate(file, ["random", "round_robin"]).runs
    assert 0 < first.warmup == second.warmup < 1000
    assert [len(sample) for sample in first.samples] == [
        np.count_nonzero(record.arrived >= first.warmup) for record in first.records
    ]


@pytest.mark.parametrize(
    "more", ["", '[[fault]]\nbackend = "b:0"\nkind = "slow"\nfactor = 9\nto = "9s"']
)
@pytest.mark.parametrize("arrivals", ["", PROFILE])
@pytest.mark.parametrize("warmup", ["auto", "7s"])
def test_nothing_is_cut_by_itself_where_there_is_no_steady_state(
    more: str, arrivals: str, warmup: str
) -> None:
    text = scenario(*[serves(EXPONENTIAL)] * 3, rate=2.9, run=RUN, warmup=warmup, more=more)
    if arrivals:
        profile = Scenario(traffic={"arrivals": tomllib.loads(f"a = {arrivals}")["a"]}).traffic
        text = text.model_copy(update={"traffic": profile})
    expected = 7.0 if warmup == "7s" else 0.0
    (run,) = simulate(text).runs
    assert run.warmup == expected or not (more or arrivals)
