"""Laws: the moments they promise, and which of them are the same work on faster machines."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import integrate, stats

from lb.config import (
    Bimodal,
    BoundedPareto,
    Empirical,
    Gamma,
    Hyperexponential,
    Law,
    LawTable,
    Uniform,
    Weibull,
)
from sim.model.laws import draw, draw_shape, shape

DRAWS = 200_000
SIGNIFICANCE = 0.001
TABLES: TypeAdapter[LawTable] = TypeAdapter(Law)


def law(text: str) -> LawTable:
    """`"gamma mean=2s cv=0.5"`."""
    name, *parameters = text.split()
    table: dict[str, object] = {"law": name}
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        table[key] = (
            value if value.endswith("s") else int(value) if value.isdigit() else float(value)
        )
    return TABLES.validate_python(table)


MOMENTS = {
    # law: mean in seconds, coefficient of variation
    "exponential mean=20ms": (0.020, 1.0),
    "lognormal mean=20ms cv=0.5": (0.020, 0.5),
    "lognormal mean=3s cv=1.5": (3.0, 1.5),
    "gamma mean=20ms cv=0.5": (0.020, 0.5),
    "gamma mean=1s cv=2": (1.0, 2.0),
    "erlang mean=1s k=1": (1.0, 1.0),
    "erlang mean=10ms k=4": (0.010, 0.5),
    "hyperexponential mean=1s cv=1": (1.0, 1.0),
    "hyperexponential mean=20ms cv=3": (0.020, 3.0),
    "uniform low=0s high=2s": (1.0, 1 / math.sqrt(3)),
    "uniform low=10ms high=30ms": (0.020, 0.5 / math.sqrt(3)),
    "weibull mean=20ms shape=1": (0.020, 1.0),
    "weibull mean=1s shape=0.5": (1.0, math.sqrt(5)),
    "bounded_pareto mean=1s alpha=1 ratio=100": (
        1.0,
        math.sqrt(99 * (1 - 1 / 100) / math.log(100) ** 2 - 1),
    ),
    "bounded_pareto mean=20ms alpha=2 ratio=10": (
        0.020,
        math.sqrt(2 * math.log(10) * (1 - 1 / 100) / 4 / (1 - 1 / 10) ** 2 - 1),
    ),
}


@pytest.mark.parametrize(("text", "moments"), MOMENTS.items(), ids=MOMENTS)
def test_mean_and_variation_are_as_promised(text: str, moments: tuple[float, float]) -> None:
    """Both within five standard errors, estimated from the sample's own moments."""
    mean, cv = moments
    sample = draw(law(text), np.random.default_rng(20261123), DRAWS)
    assert len(sample) == DRAWS
    assert sample.min() >= 0
    assert law(text).mean == pytest.approx(mean)
    assert abs(sample.mean() - mean) < 5 * sample.std() / math.sqrt(DRAWS)
    squares = (sample - mean) ** 2
    assert abs(squares.mean() - (cv * mean) ** 2) < 5 * squares.std() / math.sqrt(DRAWS)
    assert law(text).squared_cv == pytest.approx(cv**2)


@pytest.mark.parametrize("name", ["deterministic", "constant"])
def test_deterministic_never_varies(name: str) -> None:
    sample = draw(law(f"{name} mean=20ms"), np.random.default_rng(1), 100)
    assert set(sample) == {0.02}
    assert law(f"{name} mean=20ms").squared_cv == 0


def test_uniform_stays_between_its_bounds() -> None:
    sample = draw(law("uniform low=10ms high=30ms"), np.random.default_rng(1), DRAWS)
    assert 0.010 <= sample.min() < 0.0101
    assert 0.0299 < sample.max() <= 0.030


def test_the_phases_of_a_hyperexponential_carry_equal_load() -> None:
    """Balanced means: with cv = 3 the tail follows p = (1 + sqrt(0.8)) / 2."""
    p = (1 + math.sqrt(0.8)) / 2
    sample = draw(law("hyperexponential mean=1s cv=3"), np.random.default_rng(2), DRAWS)
    for t in (0.5, 2.0, 10.0):
        tail = p * math.exp(-2 * p * t) + (1 - p) * math.exp(-2 * (1 - p) * t)
        error = math.sqrt(tail * (1 - tail) / DRAWS)
        assert abs((sample > t).mean() - tail) < 5 * error


def test_the_fast_phase_of_a_hyperexponential_is_the_likely_one() -> None:
    """Which of two that are as good decides what a seed means."""
    shapes = draw_shape(law("hyperexponential mean=1s cv=3"), np.random.default_rng(4), 50)
    rng, p = np.random.default_rng(4), (1 + math.sqrt(0.8)) / 2
    fast = rng.random(50) < p
    expected = rng.standard_exponential(50) / np.where(fast, 2 * p, 2 * (1 - p))
    np.testing.assert_allclose(shapes, expected)


@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0])
def test_weibull_has_its_distribution(shape: float) -> None:
    table = Weibull(law="weibull", mean=2.0, shape=shape)
    sample = draw(table, np.random.default_rng(5), 20_000)
    exact = stats.weibull_min(shape, scale=2.0 / math.gamma(1 + 1 / shape))
    assert stats.kstest(sample, exact.cdf).pvalue > SIGNIFICANCE
    assert table.squared_cv == pytest.approx(exact.var() / exact.mean() ** 2)


@pytest.mark.parametrize(("alpha", "ratio"), [(0.5, 1e3), (1.0, 10.0), (1.1, 1e5), (2.0, 50.0)])
def test_bounded_pareto_has_its_distribution(alpha: float, ratio: float) -> None:
    table = BoundedPareto(law="bounded_pareto", mean=2.0, alpha=alpha, ratio=ratio)
    low, high = table.low, table.low * ratio
    sample = draw(table, np.random.default_rng(6), 20_000)
    assert low <= sample.min() < sample.max() <= high * (1 + 1e-12)

    def below(x: np.ndarray) -> np.ndarray:
        return (1 - (low / x) ** alpha) / (1 - ratio**-alpha)

    assert stats.kstest(sample, below).pvalue > SIGNIFICANCE
    density = alpha * low**alpha / (1 - ratio**-alpha)
    # In the logarithm: the quadrature then sees both ends.
    first, second = (
        integrate.quad(lambda y, k=k: density * math.exp(y * (k - alpha)), *np.log([low, high]))[0]
        for k in (1, 2)
    )
    assert first == pytest.approx(2.0)
    assert table.squared_cv == pytest.approx(second / first**2 - 1)


def test_bimodal_takes_each_value_as_often_as_its_weight_says() -> None:
    table = Bimodal(law="bimodal", values=(0.01, 0.1, 1.0), weights=(6, 3, 1))
    sample = draw(table, np.random.default_rng(7), DRAWS)
    values, counts = np.unique(sample.round(9), return_counts=True)
    assert values.tolist() == [0.01, 0.1, 1.0]
    expected = DRAWS * np.array(table.chances)
    assert stats.chisquare(counts, expected).pvalue > SIGNIFICANCE
    assert table.mean == pytest.approx(0.136)
    assert table.squared_cv == pytest.approx((6e-5 + 3e-3 + 0.1) / 0.136**2 - 1)


def test_empirical_takes_each_measured_value_as_often(tmp_path: Path) -> None:
    file = tmp_path / "service.txt"
    file.write_text("0.010\n0.020\n\n0.020\n3e-2\n")
    table = Empirical(law="empirical", file=str(file))
    assert table.values == (0.01, 0.02, 0.02, 0.03)
    assert table.mean == pytest.approx(0.02)
    assert table.squared_cv == pytest.approx(0.125)
    sample = draw(table, np.random.default_rng(8), DRAWS)
    values, counts = np.unique(sample.round(9), return_counts=True)
    assert values.tolist() == [0.01, 0.02, 0.03]
    assert stats.chisquare(counts, DRAWS * np.array([0.25, 0.5, 0.25])).pvalue > SIGNIFICANCE


def test_measured_in_other_units_is_the_same_shape(tmp_path: Path) -> None:
    tables = []
    for name, text in (("fast/x.txt", "1\n3\n"), ("slow/x.txt", "2\n6\n"), ("y/x.txt", "1\n2\n")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
        tables.append(Empirical(law="empirical", file=str(tmp_path / name)))
    fast, slow, other = map(shape, tables)
    assert fast == slow != other


@pytest.mark.parametrize("text", [*MOMENTS, "deterministic mean=1s"])
def test_a_draw_is_the_shape_times_the_mean(text: str) -> None:
    shapes = draw_shape(law(text), np.random.default_rng(3), 100)
    np.testing.assert_allclose(
        draw(law(text), np.random.default_rng(3), 100), shapes * law(text).mean
    )


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("exponential mean=1s", "exponential mean=20ms", True),
        ("deterministic mean=1s", "constant mean=2s", True),
        ("lognormal mean=1s cv=2", "lognormal mean=5s cv=2", True),
        ("lognormal mean=1s cv=2", "lognormal mean=1s cv=1", False),
        ("lognormal mean=1s cv=2", "gamma mean=1s cv=2", False),
        ("erlang mean=1s k=2", "erlang mean=2s k=2", True),
        ("erlang mean=1s k=2", "erlang mean=1s k=3", False),
        ("uniform low=1s high=3s", "uniform low=10ms high=30ms", True),
        ("uniform low=1s high=3s", "uniform low=1s high=4s", False),
        ("exponential mean=1s", "deterministic mean=1s", False),
        ("weibull mean=1s shape=2", "weibull mean=4s shape=2", True),
        ("weibull mean=1s shape=2", "weibull mean=1s shape=3", False),
        (
            "bounded_pareto mean=1s alpha=1.5 ratio=100",
            "bounded_pareto mean=9s alpha=1.5 ratio=100",
            True,
        ),
        (
            "bounded_pareto mean=1s alpha=1.5 ratio=100",
            "bounded_pareto mean=1s alpha=1.5 ratio=200",
            False,
        ),
    ],
)
def test_proportional_laws_share_a_shape(one: str, other: str, alike: bool) -> None:
    assert (shape(law(one)) == shape(law(other))) == alike


def test_faster_machines_of_two_kinds_of_work_share_a_shape() -> None:
    fast, slow, other = (
        Bimodal(law="bimodal", values=values, weights=weights)
        for values, weights in (((1, 5), (9, 1)), ((2, 10), (18, 2)), ((1, 5), (8, 1)))
    )
    assert shape(fast) == shape(slow) != shape(other)


WILDNESS = {
    "deterministic mean=1s": 1.0,
    "exponential mean=20ms": 6.0,
    "erlang mean=1s k=1": 6.0,
    "gamma mean=2s cv=1": 6.0,
    "weibull mean=3s shape=1": 6.0,
    "weibull mean=3s shape=0.5": 70.0,
    "hyperexponential mean=1s cv=1": 6.0,
    "lognormal mean=1s cv=1": 16.0,
    "uniform low=0s high=2s": 1.8,
}


@pytest.mark.parametrize("text", WILDNESS)
def test_wildness_is_the_fourth_power_s_mean_over_the_mean_square_squared(text: str) -> None:
    assert law(text).wildness == pytest.approx(WILDNESS[text])


@pytest.mark.parametrize(
    "table",
    [
        Hyperexponential(law="hyperexponential", mean=2.0, cv=2.0),
        Uniform(law="uniform", low=1.0, high=4.0),
        Bimodal(law="bimodal", values=(1.0, 10.0), weights=(9.0, 1.0)),
        BoundedPareto(law="bounded_pareto", mean=1.0, alpha=1.5, ratio=20.0),
        Gamma(law="gamma", mean=1.0, cv=0.5),
    ],
    ids=lambda table: table.law,
)
def test_wildness_is_that_of_a_sample(table: LawTable) -> None:
    """Within five standard errors of the fourth power's mean, and as much of the square's."""
    sample = draw(table, np.random.default_rng(20261128), 400_000)
    squares = sample**2
    seen = np.mean(squares**2) / np.mean(squares) ** 2
    error = np.std(squares**2) / np.mean(squares**2) + 2 * np.std(squares) / np.mean(squares)
    assert abs(seen / table.wildness - 1) < 5 * error / math.sqrt(len(sample))


def test_the_wildness_of_what_was_measured(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("1\n3\n", encoding="utf-8")
    table = Empirical(law="empirical", file=str(tmp_path / "x.txt"))
    assert table.wildness == pytest.approx(41 / 25)
