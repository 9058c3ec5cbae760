"""Which closed form a file has, and that it lies under the curves of a sweep."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lb.config import Scenario
from sim import Sweep, sweep
from sim.checks.theory.known import known
from sim.output.plots.regimes import by_load
from sim.output.plots.style import styles

SERVICE = "exponential:20ms"


def scenario(n: int = 12, load: float = 0.8, **more: Any) -> Scenario:
    model = more.pop("model", {"service": SERVICE})
    row = more.pop("row", {})
    traffic = {"arrivals": {"process": "poisson", "rate": load * n * 50}, **more.pop("traffic", {})}
    return Scenario(
        backends=[{"address": f"a:{i + 1}", "model": model, **row} for i in range(n)],
        traffic=traffic,
        **more,
    )


def test_random_is_m_m_1() -> None:
    form = known(scenario(), "random")
    assert form is not None
    assert form.latency("mean") == pytest.approx(0.1)
    for metric, share in (("p50", 0.5), ("p99", 0.01)):
        assert form.latency(metric) == pytest.approx(-0.1 * math.log(share))
    assert not form.limit


def test_round_robin_solves_its_fixed_point() -> None:
    form = known(scenario(), "round_robin")
    assert form is not None
    sigma = 1 - 0.020 / form.latency("mean")
    assert sigma == pytest.approx((12 * 0.8 / (12 * 0.8 + 1 - sigma)) ** 12)


def test_two_choices_have_a_limit_and_two_backends_an_exact_form() -> None:
    form = known(scenario(), "p2c:choices=3")
    assert form is not None
    assert form.limit
    exponents = [(3**k - 3) / 2 for k in range(1, 9)]
    assert form.latency("mean") == pytest.approx(0.020 * sum(0.8**it for it in exponents))
    two = known(scenario(2), "p2c")
    assert two is not None
    assert not two.limit
    shortest = known(scenario(2), "least_connections")
    assert shortest is not None
    assert shortest.latency("mean") == two.latency("mean")
    alone = known(scenario(1), "prequal")
    assert alone is not None
    assert alone.latency("mean") == pytest.approx(0.1)


@pytest.mark.parametrize("algorithm", ["least_connections", "p2c:replacement=true", "prequal"])
def test_others_have_none(algorithm: str) -> None:
    assert known(scenario(5), algorithm) is None


UNUSUAL: dict[str, dict[str, Any]] = {
    "another law": {"model": {"service": "constant:20ms"}},
    "workers": {"model": {"service": SERVICE, "workers": 2}},
    "shared": {"model": {"service": SERVICE, "discipline": "ps"}},
    "a finite line": {"model": {"service": SERVICE, "queue": 3}},
    "a limit": {"row": {"max_in_flight": 3}},
    "patience": {"traffic": {"patience": "constant:1s"}},
    "a network": {"traffic": {"network": "constant:1ms"}},
    "batches": {"traffic": {"arrivals": {"process": "batch", "rate": 400.0, "size": 2}}},
    "balancers": {"run": {"balancers": 2}},
    "overload": {"load": 1.1},
    "a fault": {"faults": [{"backend": "a:1", "kind": "slow", "factor": 2, "to": "1s"}]},
    "hedging": {"hedging": {"after": "1s"}},
}


@pytest.mark.parametrize("why", UNUSUAL)
def test_whatever_is_unusual_has_none(why: str) -> None:
    assert known(scenario(**UNUSUAL[why]), "random") is None


def test_backends_that_differ_have_none() -> None:
    rows = [
        {"address": f"a:{i}", "model": {"service": f"exponential:{i}0ms"}, "weight": i}
        for i in (1, 2)
    ]
    traffic = {"arrivals": {"process": "poisson", "rate": 9.0}}
    assert known(Scenario(backends=rows, traffic=traffic), "random") is None


@pytest.fixture(scope="module")
def swept() -> Sweep:
    file = scenario(run={"requests": 2000, "replications": 2})
    return sweep(file, ["random", "p2c", "least_connections"], {"load": [0.3, 0.6]})


def test_a_broad_line_of_theory_lies_under_the_curve(swept: Sweep) -> None:
    figure = by_load(swept, "mean")
    ax = figure.axes[0]
    broad = {line.get_color(): line for line in ax.lines if line.get_linewidth() > 4}
    looks = styles(swept.algorithms)
    assert set(broad) == {looks[name].colour for name in ("random", "p2c")}
    loads, means = broad[looks["random"].colour].get_data()
    assert np.allclose(means, 0.020 / (1 - np.asarray(loads)))
    assert (min(loads), max(loads)) == (0.3, 0.6)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "random",
        "p2c",
        "least_connections",
        "theory; p2c: for n → ∞",
    ]
    simulated = swept.latency("mean")[:, 0]
    assert simulated == pytest.approx([0.020 / 0.7, 0.020 / 0.4], rel=0.1)


def test_where_theory_knows_nothing_there_is_no_line() -> None:
    file = scenario(model={"service": "constant:20ms"}, run={"requests": 50, "replications": 2})
    figure = by_load(sweep(file, ["random"], {"load": [0.3, 0.6]}), "mean")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["random"]
    over = by_load(sweep(scenario(run={"requests": 50}), ["random"], {"backends": [1, 2]}), "mean")
    assert over.legends[0].get_texts()[-1].get_text() == "theory"
