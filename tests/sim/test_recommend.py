"""Recommendations for systems whose best answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lb.config import Scenario
from lb.errors import ConfigError, UsageError
from sim import recommend
from sim.analysis.objectives import Answer
from sim.analysis.statistics import Estimate
from sim.checks.theory import m_m_1
from sim.crew import Crew
from sim.fit.recommend.aims import Aim, parse
from sim.fit.recommend.contenders import contenders
from sim.fit.recommend.headroom import aims_at, headroom, with_one_lost
from sim.fit.recommend.numbers import number
from sim.fit.recommend.ranking import rank
from sim.fit.recommend.recommendation import End, Recommendation, Row
from sim.fit.recommend.sampling import Observation, Sampler, growing, steady
from sim.fit.recommend.scores import figure, score
from sim.fit.recommend.searching import budget_of
from sim.fit.recommend.selection import FIRST
from sim.fit.recommend.variations import kinds, losses, of_number, scaled
from sim.fit.recommend.weights import best_weights
from sim.output.recommended import sentences
from sim.output.recommended_files import recommended_file
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

TWICE = '{ law = "exponential", mean = "0.5s" }'

UNKNOWN = """[calibration]
from = "some.log"
requests = 100
seconds = 10
[[calibration.unknown]]
key = "backend.1.model.workers"
low = 1
high = {}
"""


def queue(rate: float = 0.5) -> Scenario:
    """M/M/1, mean service 1 s."""
    return scenario(serves(EXPONENTIAL), rate=rate, run="requests = 40000\nreplications = 1")


def pool(rate: float, *laws: str, more: str = "", traffic: str = "") -> Scenario:
    run = "requests = 20000\nreplications = 1"
    return scenario(*map(serves, laws), rate=rate, run=run, more=more, traffic=traffic)


def test_the_safe_load_of_one_queue_is_that_of_theory() -> None:
    # The mean of M/M/1 is 1 / (1 - load): 4 s at 0.75, which is 1.5 times 0.5.
    with Crew() as crew:
        sampler = Sampler(crew, 1e9)
        found = headroom(sampler, queue(), "random", [Aim("mean", 4.0)], 4e5)
        tight = headroom(sampler, queue(), "random", [Aim("mean", 0.9)], 1e5)
    assert found is not None
    assert found.low < found.factor < found.high
    assert found.factor == pytest.approx(1.5, rel=0.04)
    assert found.high - found.low < 0.3
    assert tight is not None  # not even an empty queue is quicker than its service
    assert tight.factor == 0.0


def test_a_quantile_and_what_replications_say_of_it() -> None:
    rng = np.random.default_rng(7)
    seen = [
        Observation(rng.exponential(1.0, 3000), 3, 3000.0, (0.5,), (False,), 3003)
        for _ in range(20)
    ]
    value, parts = figure(seen, Aim("p99", 1.0))
    assert parts.mean() == pytest.approx(value)
    exact = math.sqrt(0.99 / 0.01 / 60_000)  # of a quantile of independent exponentials
    assert parts.std(ddof=1) / math.sqrt(20) == pytest.approx(exact, rel=0.4)
    assert figure(seen, Aim("failed", 0.1))[0] == pytest.approx(3 / 3003)
    assert figure(seen, parse("goodput > 0.5/s"))[0] == pytest.approx(1.0)
    both = score(seen, [Aim("mean", 10.0), Aim("p50", 0.5)])
    assert both.value == pytest.approx(figure(seen, Aim("p50", 1.0))[0] / 0.5)


def test_a_line_grows_only_where_that_is_sure() -> None:
    def sent(*loads: float, bounded: bool = False) -> list[Observation]:
        return [Observation(np.ones(9), 0, 9.0, (0.5, it), (False, bounded), 9) for it in loads]

    at_the_edge = sent(0.95, 1.09, 0.97, 1.01, 1.0, 0.99)  # what a slow one can serve, by and large
    assert not growing(at_the_edge)
    assert not steady(at_the_edge)
    assert math.isfinite(score(at_the_edge, [Aim("mean", 2.0)]).value)
    assert growing(sent(1.2, 1.21, 1.19, 1.2))
    assert growing(sent(1.0, 1.0))
    assert not growing(sent(1.2, 1.21, 1.19, 1.2, bounded=True))
    assert score(sent(1.3, 1.3), [Aim("mean", 2.0)]).value == math.inf


def test_the_best_of_unequal_backends_is_found_and_what_it_bears() -> None:
    there = pool(2.2, TWICE, EXPONENTIAL, EXPONENTIAL)
    names = ["round_robin", "random", "least_connections"]
    found = recommend(there, "mean < 3s", names, budget=1e6)
    assert found.answer is Answer.MET
    assert found.suggested is not None
    assert found.suggested.algorithm == "least_connections"
    assert [row.algorithm for row in found.set] == ["least_connections"]
    assert {row.algorithm for row in found.rows if not row.steady} == set()
    room, lost = found.suggested.headroom, found.suggested.one_lost
    assert room is not None
    assert lost is not None
    assert 1.0 < room.low < room.factor < room.high < 4 / 2.2
    assert lost.factor < room.factor
    assert lost.lost == "b:0"  # the quick one
    told = list(sentences(found))
    assert told[0].startswith("Suggested: least_connections. It meets mean < 3000ms (mean ")
    assert any("times today's traffic" in line for line in told)
    file = recommended_file(found)
    assert file is not None
    assert Scenario.parse(file).algorithm.name == "least_connections"


def test_the_same_comes_out_however_many_work() -> None:
    there = pool(1.2, EXPONENTIAL, EXPONENTIAL)
    names = ["round_robin", "p2c"]
    one = recommend(there, "p95 < 6s", names, budget=1e5).as_dict()
    two = recommend(there, "p95 < 6s", names, budget=1e5, workers=2).as_dict()
    assert one == two
    assert one["contenders"][0]["replications"] >= 10


def test_nothing_meets_what_is_quicker_than_service() -> None:
    found = recommend(pool(1.2, EXPONENTIAL, EXPONENTIAL), "mean < 0.5s", ["p2c"], budget=2e5)
    assert found.answer is Answer.MISSED
    assert found.suggested is None
    assert found.nearest is not None
    assert next(sentences(found)).startswith("Nothing meets mean < 500ms. Nearest is p2c")


def test_more_than_capacity_is_answered_with_a_number_of_backends() -> None:
    with pytest.raises(UsageError, match="nothing to aim at"):
        recommend(pool(2.5, EXPONENTIAL, EXPONENTIAL), budget=2e5)
    found = recommend(pool(2.5, EXPONENTIAL, EXPONENTIAL), "mean < 4s", budget=1e6)
    assert found.overloaded
    assert found.answer is Answer.MISSED
    assert found.number is not None
    assert found.number.least in (3, 4)
    assert "1.25 of capacity is offered" in next(sentences(found))


def test_overload_that_is_turned_away_is_ranked() -> None:
    model = serves(EXPONENTIAL, queue=3)
    there = scenario(model, model, rate=2.6, run="requests = 1500\nreplications = 1")
    found = recommend(there, ["mean < 8s", "failed < 50%"], ["random", "p2c"], budget=1.2e5)
    assert found.answer is Answer.MET
    assert found.suggested is not None
    assert found.suggested.algorithm == "p2c"  # it fills both lines
    assert 0 < found.suggested.figures["failed"].value < 0.5


def test_how_few_backends_do() -> None:
    # Each of n queues has a load of 1.6 / n under random: 1 / (1 - 0.4) at 4, 1 / (1 - 0.533) at 3.
    there = pool(1.6, EXPONENTIAL, EXPONENTIAL)
    with Crew() as crew:
        sampler = Sampler(crew, 1e9)
        least = number(sampler, there, "random", [Aim("mean", 1.9)], 3e6)
        lost = number(sampler, there, "random", [Aim("mean", 1.9)], 3e6, one_lost=True)
    assert least is not None
    assert lost is not None
    assert (least.least, lost.least) == (4, 5)
    assert m_m_1(1.6 / 4).mean < 1.9 < m_m_1(1.6 / 3).mean


def test_weights_are_those_of_the_square_root_rule_where_it_is_exact() -> None:
    there = pool(2.0, TWICE, EXPONENTIAL)
    with Crew() as crew:
        found = best_weights(Sampler(crew, 1e9), there, "weighted_random", [Aim("mean", 2.0)], 5e5)
    assert found is not None
    assert found.exact
    assert found.kept == "rule"
    share = found.weights[0] / sum(found.weights)
    spare, roots = 1.0, math.sqrt(2) + 1
    assert share == pytest.approx((2 - math.sqrt(2) * spare / roots) / 2.0, abs=0.005)
    searched = found.tried["found"]
    assert searched[0] / sum(searched) == pytest.approx(share, abs=0.06)
    assert found.distinguishable("file")  # even weights nearly fill the slow one
    assert 'address = "b:0"' in found.toml(there)


def test_alike_backends_have_nothing_to_weigh() -> None:
    with Crew() as crew:
        there = pool(1.0, EXPONENTIAL, EXPONENTIAL)
        sampler = Sampler(crew, 1e9)
        assert best_weights(sampler, there, "weighted_random", [Aim("mean", 2.0)], 1e6) is None
        assert sampler.spent == 0


def test_who_takes_part() -> None:
    plain = contenders(pool(1.0, EXPONENTIAL, EXPONENTIAL))
    names = [it.text for it in plain.contenders]
    assert names[0] == "round_robin"
    assert "peak_ewma:decay=1s" in names
    assert "p2c:choices=3" not in names  # there are two
    assert dict(plain.left_out)["maglev"] == "goes by keys, and the traffic has none"
    keyed = contenders(
        pool(1.0, EXPONENTIAL, EXPONENTIAL, traffic='keys = { law = "zipf", count = 9, s = 1.1 }')
    )
    assert "maglev" in [it.text for it in keyed.contenders]
    three = contenders(pool(1.0, *[EXPONENTIAL] * 3), ["p2c", "p2c:choices=1"])
    assert [it.text for it in three.contenders] == ["p2c", "p2c:choices=3", "p2c:choices=1"]
    with pytest.raises(ConfigError, match="maglev needs"):
        contenders(pool(1.0, EXPONENTIAL), ["maglev"])
    with pytest.raises(UsageError, match="did you mean 'p2c'"):
        contenders(pool(1.0, EXPONENTIAL), ["p3c"])


def test_variations_of_a_file() -> None:
    there = pool(
        1.0,
        EXPONENTIAL,
        EXPONENTIAL,
        TWICE,
        more='[[fault]]\nkind = "down"\nbackend = "b:1"\nfrom = "1s"\nto = "2s"',
    )
    assert kinds(there) == [0, 1, 2]
    (quick, first), *_ = losses(there)
    assert quick == "b:2"
    assert len(first.backends) == 2
    assert [len(one.faults) for _, one in losses(there)] == [1, 1, 0]
    assert scaled(there, 2.0).rate == pytest.approx(2.0)
    more = of_number(there, 5)
    assert more is not None
    assert len(more.backends) == 5
    assert of_number(there, 1) is None  # the fault names one that would be gone
    assert aims_at([Aim("goodput", 10.0), Aim("p99", 1.0)], 2.0) == [
        Aim("goodput", 20.0),
        Aim("p99", 1.0),
    ]


def test_one_lost_is_the_worst_to_lose() -> None:
    there = pool(1.5, EXPONENTIAL, TWICE)
    with Crew() as crew:
        sampler = Sampler(crew, 1e9)
        found = with_one_lost(sampler, there, "random", [Aim("mean", 4.0)], 6e5)
        alone = with_one_lost(sampler, queue(), "random", [Aim("mean", 4.0)], 1e6)
    assert alone is None
    assert found is not None
    assert found.lost == "b:1"
    assert found.low < 0.75 / 1.5 < found.high


@pytest.mark.parametrize(
    ("given", "expected"),
    [("2M", (2e6, None)), ("500k", (5e5, None)), (30_000, (3e4, None)), ("1.5m", (12e6, 90.0))],
)
def test_budgets(given: str | float, expected: tuple[float, float | None]) -> None:
    assert budget_of(given) == expected


@pytest.mark.parametrize("given", ["", "lots", "5", "0s", "30S", "-3M", "3 days"])
def test_budgets_that_cannot_be_meant(given: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        budget_of(given)


def test_what_a_calibration_could_not_identify_is_tried_at_both_ends() -> None:
    there = pool(1.4, EXPONENTIAL, EXPONENTIAL, more=UNKNOWN.format(8))
    found = recommend(there, "mean < 2.1s", ["round_robin", "least_connections"], budget=1.5e5)
    (end,) = found.ends  # the other one is what the file says
    assert end.settings == {"backend.1.model.workers": 8}
    assert end.best == ("least_connections",)
    assert end.answer is Answer.MET
    assert found.answer is not Answer.MET
    assert found.differs
    told = list(sentences(found))
    assert any(line.startswith("If backend.1.model.workers = 8: best least_conn") for line in told)
    assert "The answer depends on what the calibration could not identify." in told
    best = found.suggested
    assert best is not None
    found.ends = [End(end.settings, (best.algorithm,), best.answer)]
    assert not found.differs
    same = list(sentences(found))
    assert best.answer is Answer.UNCLEAR  # which is no answer, and so none that is the same
    assert any("there too it cannot be told" in line for line in same)
    assert not any(line.startswith("So ") for line in same)


def test_overload_that_hangs_on_what_is_not_known_is_no_overload() -> None:
    there = pool(2.5, EXPONENTIAL, EXPONENTIAL, more=UNKNOWN.format(8))
    found = recommend(there, "mean < 4s", ["random", "least_connections"], budget=3e5)
    assert found.overloaded
    assert found.answer is Answer.UNCLEAR
    (end,) = found.ends
    assert end.best == ("least_connections",)
    assert end.answer is Answer.MET
    first = next(sentences(found))
    assert first.startswith("Cannot tell: by the file 1.25 of capacity is offered")
    assert "workers of b:1, 1 to 8" in first
    sure = pool(2.5, EXPONENTIAL, EXPONENTIAL, more=UNKNOWN.format(1))
    assert recommend(sure, "mean < 4s", ["random"], budget=1e5).answer is Answer.MISSED


def test_settings_that_change_nothing_are_said_to() -> None:
    there = pool(1.0, EXPONENTIAL, EXPONENTIAL)  # alike weights: either sequence takes turns
    names = ["random", "weighted_round_robin"]
    with Crew() as crew:
        field = contenders(there, names).contenders
        rows = rank(Sampler(crew, 1e5), there, [Aim("mean", 9.0)], field, 0.5).rows
    assert {row.algorithm: row.same_as for row in rows} == {
        "random": "",
        "weighted_round_robin": "",
        "weighted_round_robin:sequence=edf": "weighted_round_robin",
    }


def test_what_few_replications_leave_open_is_settled_with_more() -> None:
    # The mean of M/M/1 is 2 s at a load of 0.5: so near a bound, ten runs do not tell.
    found = recommend(queue(), "mean < 2.05s", ["random"], budget=5e5)
    (row,) = found.rows
    assert row.replications > FIRST
    assert row.answer is found.answer is Answer.MET
    assert found.number is not None
    assert (found.number.least, found.number.unclear) == (1, ())


def test_whom_only_luck_leaves_open_is_suggested_when_nobody_is_nearer() -> None:
    there = pool(1.0, EXPONENTIAL, EXPONENTIAL)
    names = ["random", "p2c", "round_robin"]
    figures, answers = {"mean": Estimate(1.0, 0.5, 1.5)}, {"mean": Answer.UNCLEAR}
    field = [it for it in contenders(there, names).contenders if it.text in names]
    rows = [
        Row(one, figures, dict(answers), Answer.UNCLEAR, used, 10, steady=True, in_set=True)
        for one, used in zip(field, (1.9, 0.98, 0.95), strict=True)
    ]
    found = Recommendation(there, [Aim("mean", 1.0)], rows)
    assert found.suggested is rows[1]
    rows[1].used, rows[2].used = 1.5, 1.4
    assert found.suggested is rows[2]
    for row in rows:
        row.answers["mean"] = Answer.MISSED
    assert found.suggested is None
    assert found.answer is Answer.MISSED


def test_goodput_at_other_loads_is_said_to_be_in_proportion() -> None:
    found = recommend(queue(), "goodput > 0.4/s", ["random"], budget=2e5)
    assert any("goodput is asked for in proportion" in it for it in sentences(found))
