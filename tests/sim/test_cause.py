"""Where a miss comes from, each time on paper: who is slow is who is named."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from lb.config import Scenario
from sim import Schedule, rehearse
from sim.checks.honesty import slowed
from sim.live.rehearsal import rehearsed
from sim.live.verdict import Judgement, judge
from tests.sim.live_runs import Case, changed, judged
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

RANDOM = {"name": "random"}
NETWORK = 'network = {{ law = "lognormal", mean = "{}", cv = 0.5 }}'


def file(network: str = "20ms", **settings: object) -> Scenario:
    """A second of work on average, at half of the capacity."""
    return scenario(
        *[serves(EXPONENTIAL, workers=4, **settings)] * 3,
        rate=6.0,
        run="requests = 1500",
        warmup="auto",
        traffic=NETWORK.format(network),
        more='algorithm = "least_connections"',
    )


def test_a_run_as_predicted_has_no_cause() -> None:
    verdict = rehearse(file(), 1)
    assert verdict.judgement is Judgement.PASSED
    assert verdict.cause is None
    assert verdict.parts is not None
    measured, predicted = verdict.parts.measured, verdict.parts.predicted
    assert measured.whole == pytest.approx(verdict_mean(file(), 1), rel=1e-6)
    assert measured.backends == pytest.approx(predicted.backends, rel=0.05)
    assert measured.proxy == pytest.approx(0.04, rel=0.05)
    assert (measured.generator, measured.machine) == (0, 0)


def verdict_mean(of: Scenario, seed: int) -> float:
    run = of.run.model_copy(update={"seed": seed})
    schedule = Schedule.draw(of.model_copy(update={"run": run}))
    seen = rehearsed(of, schedule, seed)
    late = schedule.times >= 0.05 * schedule.times[-1]
    return float(np.mean((seen.ended - schedule.times)[late]))


@pytest.mark.parametrize("seed", range(3))
def test_a_backend_that_works_longer_is_named_with_its_figures(seed: int) -> None:
    verdict = rehearse(file(), seed, slowed(file(), seed, 1.3))
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert verdict.cause.who == "backends"
    name = f"b:{seed % 3}"
    assert verdict.cause.says.startswith(f"{name} works ")
    assert ", 1.3 times the " in verdict.cause.says
    assert list(verdict.cause.evidence["backends"]) == [name]


def test_backends_with_fewer_workers_are_backends_too() -> None:
    """They work as long as modelled, and their lines are longer: they say how long that takes."""
    few = scenario(
        *[serves(EXPONENTIAL, workers=3)] * 3,
        rate=6.0,
        run="requests = 1500",
        traffic=NETWORK.format("20ms"),
        more='algorithm = "least_connections"',
    )
    verdict = rehearse(file(), 2, few)
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert verdict.cause.who == "backends"
    assert "at its backend it was" in verdict.cause.says
    evidence = verdict.cause.evidence
    assert evidence["measured"]["backends"] > 1.05 * evidence["predicted"]["backends"]
    assert any(one["stayed"] > 1.05 * one["modelled"] for one in evidence["as_got"].values())


def test_backends_that_are_sent_too_many_at_a_time_are_not_slow() -> None:
    """Another algorithm fills one line while others are empty: models would be as full."""
    blind = file().model_copy(update={"algorithm": scenario(serves(EXPONENTIAL)).algorithm})
    busy = blind.model_copy(update={"algorithm": blind.algorithm.model_copy(update=RANDOM)})
    verdict = rehearse(file(), 2, busy)
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert verdict.cause.who == "proxy"
    assert "their models keep the requests that they got as long" in verdict.cause.says
    for one in verdict.cause.evidence["as_got"].values():
        assert one["stayed"] == pytest.approx(one["modelled"], rel=0.01)


def test_a_slow_way_is_the_proxys() -> None:
    verdict = rehearse(file(), 2, file("200ms"))
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert verdict.cause.who == "proxy"
    assert "between client and backend (network, proxy) it was 394 ms " in verdict.cause.says
    assert "where 40 ms is modelled" in verdict.cause.says
    json.dumps(verdict.as_dict(), allow_nan=False)


def test_a_proxy_whose_own_work_takes_long_is_named() -> None:
    slow = file()
    own = Scenario.parse(
        'backend = ["b:1"]\n[server]\nmodel = { service = "deterministic:150ms" }'
    ).server.model
    slow = slow.model_copy(update={"server": slow.server.model_copy(update={"model": own})})
    verdict = rehearse(file(), 1, slow)
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert verdict.cause.who == "proxy"


def test_backends_that_say_nothing_are_known_by_their_clients(case: Case) -> None:
    """One of three is off: that is its own affair. All of them, nobody can tell."""
    of, schedule, measured, _ = case
    silent = changed(measured, service=None, sojourn=None, late=None)  # type: ignore[arg-type]
    stays = silent.ended - schedule.times
    one = changed(silent, ended=schedule.times + stays * np.where(silent.backend == 1, 1.5, 1.0))
    verdict = judge(of, schedule, one, case[3])
    assert verdict.cause is not None
    assert verdict.cause.who == "backends"
    assert verdict.cause.says.startswith("b:1 kept what it got ")
    failing = changed(one, ended=np.where(np.arange(1000) == 500, np.nan, one.ended))
    verdict = judge(of, schedule, failing, case[3])
    assert verdict.cause is not None
    assert verdict.cause.says.startswith("only b:1 is off: b:1 took ")
    every = judge(of, schedule, changed(silent, ended=silent.ended + 1.0), case[3])
    assert every.cause is not None
    assert (every.cause.who, every.parts) == ("unknown", None)
    assert "X-LB-Served" in every.cause.says


def test_picks_that_are_not_the_algorithms_are_the_proxys(case: Case) -> None:
    other = np.where(np.arange(1000) % 7 == 0, 1, case[2].backend)
    verdict = judged(case, backend=other, service=np.full(1000, np.nan))
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert verdict.cause.who == "proxy"
    assert verdict.cause.says.startswith("b:1 gets ")


def test_a_late_machine_is_the_cause_of_an_invalid_run(case: Case) -> None:
    late = judged(case, sent=case[2].sent + 0.5, ended=case[2].ended + 0.5)
    assert late.cause is not None
    assert late.cause.who == "generator"
    full = judge(*case[:2], replace(case[2], busy=np.full(20, 0.99)), case[3])
    assert full.cause is not None
    assert full.cause.who == "machine"


def test_where_everybody_did_as_modelled_the_model_is_left() -> None:
    """An objective that is missed though all is as predicted."""
    strict = scenario(
        *[serves(EXPONENTIAL, workers=4)] * 3,
        rate=6.0,
        run="requests = 1500",
        more='[expect]\np50 = "100ms"',
    )
    verdict = rehearse(strict, 3)
    assert verdict.off == ["objective p50"]
    assert verdict.cause is not None
    assert verdict.cause.who == "model"
    assert "what [expect] asks for" in verdict.cause.says
