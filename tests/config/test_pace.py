"""The same traffic at another rate or load, and what is offered without end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lb.config import Scenario
from lb.errors import ConfigError, UsageError

BACKEND = {"address": "a:1", "model": {"service": "exponential:20ms", "workers": 2}}
PROCESSES: dict[str, dict[str, Any]] = {
    "poisson": {"process": "poisson", "rate": 40.0},
    "paced": {"process": "deterministic", "rate": 40.0},
    "gamma": {"process": "renewal", "law": "gamma:25ms,cv=2"},
    "uniform": {"process": "renewal", "law": {"law": "uniform", "low": 0.01, "high": 0.04}},
    "bimodal": {"process": "renewal", "law": "bimodal:1ms,50ms,weights=9,1"},
    "batch": {"process": "batch", "rate": 40.0, "size": 5},
    "mmpp": {"process": "mmpp", "rates": [10.0, 70.0], "dwell": ["200ms", "400ms"]},
    "sine": {"process": "sine", "rate": 40.0, "amplitude": 1.0, "period": "3s"},
    "profile": {"process": "profile", "points": [["0s", 10.0], ["2s", 50.0], ["4s", 30.0]]},
}


def offering(arrivals: dict[str, Any], **tables: Any) -> Scenario:
    backends = tables.pop("backends", [BACKEND])
    return Scenario(backends=backends, traffic={"arrivals": arrivals}, **tables)


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("run", [{"duration": "7s"}, {"requests": 300}], ids=["duration", "number"])
def test_every_process_can_be_given_a_rate(name: str, run: dict[str, Any]) -> None:
    given = offering(PROCESSES[name], run=run)
    if name in ("sine", "profile") and "requests" in run:
        # So many requests end sooner, in a faster part of the day.
        quicker = given.at_rate(given.rate)
        assert quicker.rate == pytest.approx(given.rate)
        return
    assert given.at_rate(123.0).rate == pytest.approx(123.0)
    assert given.at_load(0.5).rate == pytest.approx(0.5 * 100)
    assert given.at_load(0.5).utilisation == pytest.approx(0.5)


def test_a_plain_rate_is_set_to_the_digit() -> None:
    wanted = 0.1 + 0.2
    assert offering({"process": "poisson", "rate": 0.7}).at_rate(wanted).rate == wanted


def test_rates_keep_their_proportion_and_times_stay() -> None:
    mmpp: Any = offering(PROCESSES["mmpp"]).at_rate(100).offered().arrivals
    assert mmpp.rates == pytest.approx((20, 140))
    assert mmpp.dwell == (0.2, 0.4)
    profile: Any = (
        offering(PROCESSES["profile"], run={"duration": 4}).at_rate(70).offered().arrivals
    )
    assert [at for at, _ in profile.points] == [0, 2, 4]
    assert [rate for _, rate in profile.points] == pytest.approx([20, 100, 60])
    law: Any = offering(PROCESSES["bimodal"]).at_rate(1 / 0.0118).offered().arrivals
    assert law.law.values == pytest.approx((0.002, 0.1))
    assert law.law.weights == (9, 1)


def test_all_else_stays() -> None:
    given = offering(PROCESSES["poisson"], run={"seed": 7})
    other = given.at_load(0.3)
    assert other.run == given.run
    assert other.backends == given.backends
    assert other.at_rate(40.0) == given


def test_gaps_that_were_measured_have_no_other_rate(tmp_path: Path) -> None:
    (tmp_path / "gaps").write_text("0.1\n0.2\n")
    law = {"law": "empirical", "file": str(tmp_path / "gaps")}
    with pytest.raises(UsageError, match="as they were measured"):
        offering({"process": "renewal", "law": law}).at_rate(3)


def test_backends_that_take_no_time_have_no_load() -> None:
    free = {"address": "a:1", "model": {"service": "deterministic:0s"}}
    with pytest.raises(UsageError, match="no load to offer"):
        offering(PROCESSES["poisson"], backends=[free]).at_load(0.5)


# --- more than can be served


OVER = {"process": "poisson", "rate": 125.0}


def test_more_than_can_be_served_is_named_with_its_cures() -> None:
    (told,) = offering(OVER).endless()
    assert told.startswith("traffic.arrivals: offered load 1.25 of capacity: give a duration or ")
    assert told.endswith("requests, a limit, or a lower rate")
    assert offering(OVER).lacking() == offering(OVER).endless()
    assert offering({**OVER, "rate": 100.0}).endless()
    assert not offering({**OVER, "rate": 99.0}).endless()


@pytest.mark.parametrize(
    "tables",
    [
        {"run": {"duration": "5s"}},
        {"run": {"requests": 100}},
        {"backends": [{**BACKEND, "max_in_flight": 9}]},
        {"backends": [{**BACKEND, "model": {**BACKEND["model"], "queue": 9}}]},
    ],
    ids=["duration", "requests", "max_in_flight", "queue"],
)
def test_each_cure_is_one(tables: dict[str, Any]) -> None:
    assert not offering(OVER, **tables).endless()


def test_clients_that_leave_bound_every_line() -> None:
    traffic = {"arrivals": OVER, "patience": "exponential:1s"}
    assert not Scenario(backends=[BACKEND], traffic=traffic).endless()


def test_a_limit_on_some_backends_is_none_on_all() -> None:
    other = {**BACKEND, "address": "b:1", "max_in_flight": 3}
    over = {**OVER, "rate": 250.0}
    assert offering(over, backends=[BACKEND, other]).endless()


def test_it_is_not_simulated() -> None:
    from sim import Schedule, simulate

    with pytest.raises(ConfigError, match=r"offered load 1\.25 of capacity"):
        simulate(offering(OVER))
    long = offering(OVER, run={"requests": 100, "replications": 1})
    simulate(long)
    simulate(offering(OVER, run={"replications": 1}), schedule=Schedule.draw(long))


def test_a_duration_that_nobody_waits_for() -> None:
    given = offering(PROCESSES["poisson"], run={"duration": 2e8})
    assert given.endless() == ["run.duration: 2e+08 s; give 1e+08 s at most"]
    assert offering(PROCESSES["poisson"], run={"duration": 1e8}).endless() == []


def test_users_who_think_for_years() -> None:
    users = {"count": 1, "think": {"law": "constant", "mean": 1e7}}
    run = {"requests": 500}
    (why,) = Scenario(backends=[BACKEND], traffic={"users": users}, run=run).endless()
    assert why.startswith("traffic.users: 500 requests at 1e-07/s are a run of more than 1e+08 s")


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({"run": {"balancers": 10_001}}, "run.balancers: should be less than or equal to 10000"),
        (
            {"traffic": {"users": {"count": 10**11, "think": "exponential:1s"}}},
            "traffic.users.count: should be less than or equal to 1000000",
        ),
    ],
)
def test_more_than_there_are(tables: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Scenario(backends=[BACKEND], **tables)
