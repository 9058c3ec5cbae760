"""The square-root rule beside its optimality conditions and a search by brute force."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from sim.fit.recommend.splitting import applies, square_root_rule
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves


def mean_time(rates: Sequence[float], offered: float, shares: Sequence[float]) -> float:
    """The mean time in the system of such a split; infinite where a server cannot keep up."""
    total = 0.0
    for rate, share in zip(rates, shares, strict=True):
        if share:
            if share * offered >= rate:
                return math.inf
            total += share / (rate - share * offered)
    return total


@pytest.mark.parametrize(
    ("rates", "offered"),
    [([4.0, 1.0], 3.0), ([10.0, 10.0, 2.0], 15.0), ([5.0, 3.0, 2.0, 1.0], 8.0)],
)
def test_no_other_split_is_quicker(rates: list[float], offered: float) -> None:
    shares = square_root_rule(rates, offered)
    assert sum(shares) == pytest.approx(1.0)
    best = mean_time(rates, offered, shares)
    for i in range(len(rates)):
        for j in range(len(rates)):
            for step in (1e-3, 1e-2, 0.1):
                moved = list(shares)
                moved[i], moved[j] = moved[i] - step, moved[j] + step
                if i != j and moved[i] >= 0:
                    assert mean_time(rates, offered, moved) > best


def test_what_a_request_adds_is_the_same_everywhere_that_is_used() -> None:
    rates, offered = [9.0, 4.0, 0.2], 3.0
    shares = square_root_rule(rates, offered)
    assert shares[2] == 0.0
    adds = [rate / (rate - share * offered) ** 2 for rate, share in zip(rates, shares, strict=True)]
    assert adds[0] == pytest.approx(adds[1])
    assert adds[2] > adds[0]  # nor would the first one there be better off


def test_alike_servers_have_alike_shares_and_too_much_has_no_split() -> None:
    assert square_root_rule([2.0, 2.0], 3.0) == [0.5, 0.5]
    for offered in (0.0, 4.0):
        with pytest.raises(ValueError, match="can be served"):
            square_root_rule([2.0, 2.0], offered)


def test_where_it_is_exact() -> None:
    assert applies(scenario(serves(EXPONENTIAL), serves(EXPONENTIAL)))
    assert not applies(scenario(serves(EXPONENTIAL), serves(CONSTANT)))
    assert not applies(scenario(serves(EXPONENTIAL, workers=2)))
    assert applies(
        scenario(serves(EXPONENTIAL, discipline="ps"), serves(CONSTANT, discipline="ps"))
    )
    assert not applies(scenario(serves(EXPONENTIAL, queue=9)))
    assert not applies(scenario(serves(EXPONENTIAL), traffic=f"patience = {EXPONENTIAL}"))
    assert not applies(scenario(serves(EXPONENTIAL), process="deterministic"))
