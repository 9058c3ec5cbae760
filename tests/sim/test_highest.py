"""Where a function of one number is highest."""

from __future__ import annotations

from math import cos, exp

import pytest

from sim.fit.calibrate.highest import RATIO, golden, highest


def test_golden_sections_close_in_on_a_hump() -> None:
    asked: list[float] = []

    def hump(x: float) -> float:
        asked.append(x)
        return -((x - 1.3) ** 2)

    assert golden(hump, 0.0, 4.0, 22) == pytest.approx(1.3, abs=4 * RATIO**22)
    assert len(asked) == 24, "one place more for each step"


def test_of_two_humps_the_higher_one_counts() -> None:
    assert highest(lambda x: exp(0.1 * x) * cos(x), 0.0, 8.0) == pytest.approx(6.38, abs=0.01)


def test_an_end_may_be_highest() -> None:
    assert highest(lambda x: x, 0.0, 1.0) == pytest.approx(1.0, abs=1e-3)
