"""Laws: the moments they promise, and which of them are the same work on faster machines."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import TypeAdapter

from lb.config import Law, LawTable
from sim.model.laws import draw, draw_shape, shape

DRAWS = 200_000
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


@pytest.mark.parametrize("name", ["deterministic", "constant"])
def test_deterministic_never_varies(name: str) -> None:
    sample = draw(law(f"{name} mean=20ms"), np.random.default_rng(1), 100)
    assert set(sample) == {0.02}


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
    ],
)
def test_proportional_laws_share_a_shape(one: str, other: str, alike: bool) -> None:
    assert (shape(law(one)) == shape(law(other))) == alike
