"""How fast a body must come, on a clock moved by hand."""

from __future__ import annotations

import pytest

from lb.proxy.exchange.pace import PATIENCE, Pace


def test_nobody_is_judged_before_the_fifth_second() -> None:
    pace = Pace(1000, now=0.0)
    assert not pace.too_slow(PATIENCE - 0.001)
    assert pace.too_slow(PATIENCE)


@pytest.mark.parametrize(("taken", "slow"), [(9_999, True), (10_000, False), (10_001, False)])
def test_it_is_the_rate_since_the_body_began(taken: int, slow: bool) -> None:
    pace = Pace(1000, now=100.0)
    pace.took(taken - 5000)
    pace.took(5000)
    assert pace.too_slow(110.0) is slow


def test_time_in_which_we_did_not_read_does_not_count() -> None:
    pace = Pace(1000, now=0.0)
    pace.took(5000)
    pace.paused(5.0)
    pace.paused(50.0)  # twice is once
    assert not pace.too_slow(1000.0)
    pace.resumed(1000.0)
    pace.resumed(1000.0)
    assert not pace.too_slow(1000.0)
    assert pace.too_slow(1000.1)


def test_a_body_that_waits_from_the_first_is_judged_from_its_fifth_second_too() -> None:
    pace = Pace(1000, now=0.0)
    pace.paused(0.0)
    pace.resumed(60.0)
    assert not pace.too_slow(64.9)
    assert pace.too_slow(65.0)
