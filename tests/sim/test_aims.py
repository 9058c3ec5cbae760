"""Objectives in words: what they mean, when they are met, and what is wrong with the others."""

from __future__ import annotations

import pytest

from lb.config import Expect
from lb.errors import UsageError
from sim.analysis.objectives import Answer
from sim.analysis.statistics import Estimate
from sim.fit.recommend.aims import Aim, aims_of, parse, together


@pytest.mark.parametrize(
    ("text", "aim", "again"),
    [
        ("p99 < 250ms", Aim("p99", 0.25), "p99 < 250ms"),
        ("P99<=0.25 s", Aim("p99", 0.25), "p99 < 250ms"),
        ("mean < 1.5s", Aim("mean", 1.5), "mean < 1500ms"),
        ("failed < 0.1%", Aim("failed", 0.001), "failed < 0.1%"),
        ("failed < 0.02", Aim("failed", 0.02), "failed < 2%"),
        ("goodput > 95/s", Aim("goodput", 95.0), "goodput > 95/s"),
        ("goodput >= 99.5%", Aim("goodput", 0.995, relative=True), "goodput > 99.5%"),
    ],
)
def test_what_an_objective_says(text: str, aim: Aim, again: str) -> None:
    assert parse(text) == aim
    assert str(aim) == again
    assert parse(again) == aim


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("p98 < 250ms", "did you mean 'p90', 'p95' or 'p99'?"),
        ("p99.9 < 1s", "did you mean 'p999'?"),
        ("errors < 1%", "did you mean 'failed'?"),
        ("p99 < 250", "did you mean 250ms?"),
        ("p99 < fast", 'such as "250ms"'),
        ("p99 > 250ms", "has a bound at most; write p99 < 250ms"),
        ("goodput < 95/s", "has a bound at least; write goodput > 95/s"),
        ("p99 = 250ms", "p99 < 250ms is one"),
        ("p99", "p99 < 250ms is one"),
        ("p99 < 0ms", "no bound at zero"),
        ("failed < 1ms", "failed < 0.1% has one"),
        ("failed < 5", "write 5%"),
        ("< 250ms", "such as p99 < 250ms"),
        ("", "such as p99 < 250ms"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_right(text: str, why: str) -> None:
    with pytest.raises(UsageError) as told:
        parse(text)
    assert why in str(told.value)
    assert "\n" not in str(told.value)


def test_without_one_the_file_says() -> None:
    expect = Expect.model_validate({"p99": 0.25, "mean": 0.1})
    assert aims_of([], expect) == [Aim("mean", 0.1), Aim("p99", 0.25)]
    assert aims_of(["p50 < 1s"], expect) == [Aim("p50", 1.0)]
    several = [Aim("p50", 1.0), Aim("failed", 0.01)]
    for text in ("p50 < 1s, failed < 1%", "p50 < 1s and failed < 1%", "p50<1s failed<1%"):
        assert aims_of([text], expect) == several
    with pytest.raises(UsageError, match="nothing to aim at"):
        aims_of([], Expect())
    with pytest.raises(UsageError, match="p99 has two bounds"):
        aims_of(["p99 < 1s", "p99 < 2s"], Expect())


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [(0.1, 0.2, Answer.MET), (0.3, 0.4, Answer.MISSED), (0.2, 0.3, Answer.UNCLEAR)],
)
def test_an_interval_meets_misses_or_cannot_tell(low: float, high: float, answer: Answer) -> None:
    assert Aim("p99", 0.25).answer(Estimate((low + high) / 2, low, high)) is answer
    turned = {Answer.MET: Answer.MISSED, Answer.MISSED: Answer.MET}
    seen = Estimate((low + high) / 2, low, high)
    assert Aim("goodput", 0.25).answer(seen) is turned.get(answer, answer)


def test_what_has_no_figure() -> None:
    aim = Aim("p99", 0.25)
    assert aim.answer(Estimate.beyond(3.0)) is Answer.UNCLEAR
    assert aim.answer(Estimate(0.1, 0.09, 0.11), steady=False) is Answer.MISSED
    assert aim.answer(Estimate(0.1, None, None)) is Answer.UNCLEAR
    assert together([Answer.MET, Answer.UNCLEAR]) is Answer.UNCLEAR
    assert together([Answer.UNCLEAR, Answer.MISSED]) is Answer.MISSED
    assert together([Answer.MET]) is Answer.MET
