"""Closed forms beside values that were found elsewhere, beside each other, and where they meet."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from sim.checks.theory import (
    Sojourn,
    e_n_m_1,
    jsq_2,
    m_d_1,
    m_g_1,
    m_g_1_ps,
    m_m_1,
    m_m_c,
    power_of_d,
)
from sim.checks.theory.chains import (
    idle_first,
    of_few,
    shortest,
    two_choices,
    two_choices_with_replacement,
)
from sim.checks.theory.closed import mva, repairmen
from sim.checks.theory.hedging import hedged
from sim.checks.theory.loss import erlang_b, m_m_c_k
from sim.checks.theory.reneging import erlang_a
from sim.checks.theory.retries import attempts, failed, sinkhole
from sim.checks.theory.single import erlang_c, variance_of_mean
from sim.checks.theory.sojourn import behind, exponential
from sim.checks.theory.staleness import board

ORACLES = Path(__file__).parents[3] / "shared" / "oracles" / "oracles.json"
"""Beside the repository where there is one; nothing rests on it alone."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}

ONE = exponential(1.0)


def figures(of: Sojourn) -> dict[str, float]:
    return {
        "mean_sojourn": of.mean,
        "mean_wait": of.mean - 1,
        **{name: of.quantile(q) for name, q in QUANTILES.items()},
    }


def found(kind: str, params: dict[str, Any]) -> dict[str, float]:
    """Everything that the room of theory says of one entry, by the entry's own names."""
    match kind, params:
        case "mm1", {"rho": load}:
            more = {"sd_sojourn": m_m_1(load).mean, "asymptotic_var_wait": variance_of_mean(load)}
            return figures(m_m_1(load)) | more | {"mean_in_system": load * m_m_1(load).mean + 0}
        case "mmc", {"c": c, "rho": load}:
            more = {"p_wait": erlang_c(c, load), "erlangB_loss_if_no_queue": erlang_b(c, load)}
            return figures(m_m_c(c, load)) | more
        case "rr", {"n": n, "rho": load}:
            of = e_n_m_1(float(n), load)
            return figures(of) | {"sigma": 1 - 1 / of.mean}
        case "pod", {"d": d, "lam": load}:
            return figures(power_of_d(d, load))
        case "jsq", {"n": 2, "rho": load}:
            return figures(jsq_2(load))
    return {}


@cache
def oracles() -> list[Any]:
    return list(json.loads(ORACLES.read_text())) if ORACLES.exists() else []


@pytest.mark.parametrize("entry", oracles(), ids=lambda entry: str(entry["id"]))
def test_each_oracle_is_found(entry: dict[str, Any]) -> None:
    ours = found(entry["id"].split("_")[0], entry["params"])
    compared = {name: value for name, value in entry["metrics"].items() if name in ours}
    assert entry["kind"] == "simulated" or len(compared) >= 4
    for name, value in compared.items():
        assert ours[name] == pytest.approx(value, rel=2e-6, abs=2e-6), name


# --- values printed in books and papers


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (erlang_c(2, 0.5), 1 / 3),
        (erlang_c(10, 0.8), 0.4092),  # Erlang's tables
        (erlang_b(10, 0.5), 0.0184),
        (erlang_b(2, 0.5), 0.2),
        (m_g_1(0.0, 0.8), 3.0),
        (m_g_1(2.0, 0.5), 3.5),
        (m_g_1_ps(0.75), 4.0),
        (m_g_1_ps(0.5, 3.0), 6.0),
        (power_of_d(2, 0.5).mean, 1.2657),  # Mitzenmacher 2001, table 1
        (power_of_d(2, 0.9).mean, 2.6141),
        (power_of_d(2, 0.99).mean, 5.4320),
        (power_of_d(3, 0.9).mean, 2.0279),
        (power_of_d(3, 0.99).mean, 3.8578),
        (e_n_m_1(2, 0.5).mean, (1 + math.sqrt(5)) / 2),  # E2/M/1 has its root by hand
        (variance_of_mean(0.5), 29.0),  # Whitt 1989
        (mva(3, 0.0, [2.0, 1.0]).throughput, 7 / 15),  # two queues in a circle, by hand
        (m_m_c_k(1, 1, 1.0).lost, 1 / 3),
        (m_m_c_k(1, 1, 1.0).mean, 1.5),
        (attempts(0.5, 2), 1.75),
        (failed(0.5, 2), 0.125),
        (hedged(ONE, 0.0).mean, 0.5),
        (hedged(ONE, 0.0).quantile(0.99), math.log(100) / 2),
        (hedged(ONE, 2.0).quantile(0.5), math.log(2)),
        (hedged(ONE, 1.0).mean, 1 - math.exp(-1) / 2),
        (hedged(behind([0, 1]), 0.0).mean, 1.25),
        (sinkhole(2, 1.0), 2 / 3),
        (sinkhole(1, 5.0), 1.0),
    ],
)
def test_values_known_elsewhere(value: float, printed: float) -> None:
    assert value == pytest.approx(printed, abs=5e-5)


# --- one beside another, found in another way


@pytest.mark.parametrize("load", [0.3, 0.8, 0.95])
def test_two_ways_to_the_same(load: float) -> None:
    assert m_m_c(1, load).mean == pytest.approx(m_m_1(load).mean)
    assert e_n_m_1(1, load).mean == pytest.approx(m_m_1(load).mean)
    assert m_g_1(1.0, load) == pytest.approx(m_m_1(load).mean)
    assert e_n_m_1(math.inf, load).mean == pytest.approx(e_n_m_1(1e6, load).mean, rel=1e-4)
    assert m_m_c_k(3, 0, load).lost == pytest.approx(erlang_b(3, load))
    assert m_m_c_k(3, 2000, load).mean == pytest.approx(m_m_c(3, load).mean)
    assert repairmen(7, 2.0, 1).mean == pytest.approx(mva(7, 2.0, [1.0]).mean)
    assert repairmen(7, 2.0, 7).mean == pytest.approx(1.0)


@pytest.mark.parametrize(
    "of",
    [
        m_m_1(0.8),
        m_m_c(4, 0.9),
        m_m_c(10, 0.9),
        m_d_1(0.7),
        power_of_d(2, 0.95),
        jsq_2(0.9),
        hedged(ONE, 0.7),
        of_few(2, 0.5, idle_first),
    ],
)
def test_the_mean_is_the_area_under_the_tail(of: Sojourn) -> None:
    until = of.quantile(1 - 1e-9)
    area, _ = integrate.quad(of.tail, 0, until, limit=500, points=range(1, min(int(until), 60)))
    assert area == pytest.approx(of.mean, rel=1e-5)
    assert of.tail(of.quantile(0.9)) == pytest.approx(0.1)
    assert of.tail(0) == 1


@pytest.mark.parametrize("load", [0.2, 0.6, 0.9])
@pytest.mark.parametrize("wait", [0.0, 0.4, 1.0, 2.5, 4.9])
def test_m_d_1_is_erlangs_alternating_series_where_that_can_be_summed(
    load: float, wait: float
) -> None:
    within = (1 - load) * sum(
        (-load * (wait - k)) ** k / math.factorial(k) * math.exp(load * (wait - k))
        for k in range(int(wait) + 1)
    )
    assert m_d_1(load).tail(1 + wait) == pytest.approx(1 - within, abs=1e-12)


def test_the_shortest_of_two_by_its_chain() -> None:
    chain = of_few(2, 0.7, shortest, 60)
    assert chain.mean == pytest.approx(jsq_2(0.7).mean, rel=1e-9)
    assert chain.quantile(0.99) == pytest.approx(jsq_2(0.7).quantile(0.99), rel=1e-9)
    assert of_few(2, 0.7, two_choices, 60).mean == pytest.approx(chain.mean, rel=1e-9)


def test_one_server_needs_no_rule() -> None:
    assert of_few(1, 0.6, idle_first, 80).mean == pytest.approx(2.5, rel=1e-9)
    assert of_few(1, 0.6, two_choices_with_replacement, 80).mean == pytest.approx(2.5, rel=1e-9)


def test_better_rules_do_better() -> None:
    rules = (shortest, two_choices, two_choices_with_replacement)
    means = [of_few(3, 0.5, rule, 20).mean for rule in rules]
    assert means == sorted(means)
    assert means[0] < of_few(3, 0.5, idle_first, 20).mean < m_m_1(0.5).mean


def test_impatience_as_long_as_service_is_a_station_without_a_line() -> None:
    """Then each leaves at the same rate wherever it is, so the number present is Poisson."""
    c, load = 4, 1.25
    present = np.arange(200)
    chances = stats.poisson.pmf(present, c * load)
    waiting = float(chances @ np.maximum(present - c, 0))
    reneging = erlang_a(c, load, 1.0)
    assert reneging.left_line == pytest.approx(waiting / (c * load))
    assert reneging.utilisation == pytest.approx(float(chances @ np.minimum(present, c)) / c)


def test_endless_patience_is_m_m_c() -> None:
    reneging = erlang_a(3, 0.8, 1e9)
    assert reneging.mean == pytest.approx(m_m_c(3, 0.8).mean, rel=1e-6)
    assert reneging.gone == pytest.approx(0.0, abs=1e-6)
    assert reneging.utilisation == pytest.approx(0.8)


def test_a_board_that_is_always_new_and_one_that_grows_old() -> None:
    assert board(2, 0.8, 0.02) == pytest.approx(power_of_d(2, 0.8).mean, rel=5e-3)
    means = [board(2, 0.8, every) for every in (0.5, 2.0, 8.0)]
    assert power_of_d(2, 0.8).mean < means[0] < means[1] < means[2] < m_m_1(0.8).mean
    assert board(3, 0.8, 0.5) < means[0]
    assert board(3, 0.8, 8.0) > means[2], "the more one looks at old figures, the more they mislead"
