"""One scenario under several algorithms: the document, the comparison, the Python API."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest

from lb.errors import ConfigError, UsageError
from sim import AlgorithmRun, Estimate, Result, Scenario, Schedule, simulate
from sim.result import COMPARED
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

NAMES = ["random", "round_robin", "weighted_round_robin", "least_connections"]
METRICS = ["mean", "p50", "p90", "p95", "p99", "p999"]
GIVE_UP = '[retries]\nmax = 0\n[timeouts]\nresponse = "100ms"'


@pytest.fixture(scope="module")
def file() -> Scenario:
    return scenario(
        *[serves(EXPONENTIAL)] * 3,
        rate=2.4,
        run="requests = 2000\nreplications = 4",
        more='[expect]\np50 = "1ms"\np90 = "1h"',
    )


@pytest.fixture(scope="module")
def result(file: Scenario) -> Result:
    return simulate(file, NAMES)


@pytest.fixture(scope="module")
def document(result: Result) -> dict[str, Any]:
    return reread(result)


def reread(result: Result) -> dict[str, Any]:
    """What a program gets: strict JSON, there and back."""
    text = json.dumps(result.as_dict(), allow_nan=False)
    read: dict[str, Any] = json.loads(text)
    return read


# --- the document


def test_the_document_has_these_keys(document: dict[str, Any], file: Scenario) -> None:
    assert list(document) == ["schema", "seed", "scenario", "runs", "comparison"]
    assert document["schema"] == 1
    assert document["seed"] == file.run.seed
    assert [run["algorithm"] for run in document["runs"]] == NAMES
    for run in document["runs"]:
        assert list(run) == [
            "algorithm",
            "requests",
            "completed",
            "failed",
            "rejected",
            "timed_out",
            "gone",
            "retried",
            "came_again",
            "refused",
            "latency",
            "throughput",
            "backends",
            "wall_seconds",
            "requests_per_wall_second",
            "warmup",
            "transient",
        ]
        assert list(run["latency"]) == METRICS
        assert run["latency"]["p99"] is run["latency"]["p999"] is None  # of 8,000 requests
        for figure in (run["latency"][name] for name in METRICS[:3]):
            assert list(figure) == ["value", "low", "high"]
            assert figure["low"] < figure["value"] < figure["high"]
        for backend in run["backends"]:
            assert list(backend) == [
                "name",
                "share",
                "utilisation",
                "mean_in_flight",
                "offered",
                "ejected",
                "falsely_ejected",
            ]


def test_the_scenario_stands_in_the_document_with_times_in_seconds(
    document: dict[str, Any],
) -> None:
    told = document["scenario"]
    assert told["traffic"]["arrivals"] == {"process": "poisson", "rate": 2.4}
    assert told["backend"][2] == {
        "address": "b:2",
        "weight": 1,
        "name": "",
        "priority": 0,
        "zone": "",
        "model": {
            "service": {"law": "exponential", "mean": 1.0},
            "discipline": "fifo",
            "workers": 1,
            "accept": "shared",
            "report_every": 1.0,
            "report_delay": 0.0,
        },
    }
    length = {"requests": 2000, "warmup": 0.0}
    assert told["run"] == {**length, "replications": 4, "seed": 20261123, "balancers": 1}
    assert told["expect"] == {"p50": 0.001, "p90": 3600.0}


def test_counts_add_up(document: dict[str, Any]) -> None:
    for run in document["runs"]:
        assert run["completed"] + run["failed"] == run["requests"] == 2000
        assert sum(backend["share"] for backend in run["backends"]) == pytest.approx(1)
        assert run["throughput"] == pytest.approx(2.4, rel=0.1)
        load = sum(backend["utilisation"] for backend in run["backends"]) / 3
        assert load == pytest.approx(0.8, rel=0.1)
        whole = run["requests_per_wall_second"] * run["wall_seconds"]
        assert whole == pytest.approx(4 * run["requests"])


def test_by_littles_law_flight_is_rate_times_latency(document: dict[str, Any]) -> None:
    for run in document["runs"]:
        flight = sum(backend["mean_in_flight"] for backend in run["backends"])
        assert flight == pytest.approx(run["throughput"] * run["latency"]["mean"]["value"], rel=0.1)


def test_whole_counts_are_whole_and_means_of_replications_need_not_be() -> None:
    file = scenario(serves(EXPONENTIAL, queue=0), rate=1, run="requests = 101\nreplications = 2")
    (run,) = reread(simulate(file))["runs"]
    assert isinstance(run["requests"], int)
    assert run["failed"] * 2 == int(run["failed"] * 2)
    assert run["completed"] + run["failed"] == 101


def test_nothing_completed_is_null() -> None:
    file = scenario(serves(CONSTANT), run="requests = 20\nreplications = 2", more=GIVE_UP)
    document = reread(simulate(file, ["random", "round_robin"]))
    for run in document["runs"]:
        assert (run["completed"], run["failed"], run["timed_out"]) == (0, 20, 20)
        assert (run["refused"], run["throughput"]) == ({"timeout": 20}, 0)
        assert run["latency"]["p99"] == {"value": None, "low": None, "high": None}
    for pair in document["comparison"]["pairs"]:
        assert pair["difference"]["value"] is None
        assert pair["distinguishable"] is False


# --- the comparison


def test_every_two_are_compared_by_every_metric(document: dict[str, Any]) -> None:
    comparison = document["comparison"]
    assert list(comparison) == ["common_random_numbers", "ranking", "pairs"]
    assert comparison["common_random_numbers"] is True
    assert list(comparison["ranking"]) == list(COMPARED)
    for ranking in comparison["ranking"].values():
        assert sorted(name for group in ranking for name in group) == sorted(NAMES)
    assert len(comparison["pairs"]) == 6 * len(COMPARED)
    for pair in comparison["pairs"]:
        assert list(pair) == ["metric", "a", "b", "difference", "distinguishable", "p"]
        low, high = pair["difference"]["low"], pair["difference"]["high"]
        if low is None:  # neither's figure can be told
            assert pair["metric"] in ("p95", "p99")
            assert high is pair["p"] is None
            assert not pair["distinguishable"]
        else:
            assert pair["distinguishable"] is (low > 0 or high < 0) is (pair["p"] < 0.05)


def test_a_pair_is_found_in_either_order(result: Result) -> None:
    for a, b in permutations(NAMES, 2):
        row = result.between(a, b, "mean")
        assert {row.a, row.b} == {a, b}
        assert row is result.between(b, a, "mean")
        expected = result[row.b].latency["mean"].value - result[row.a].latency["mean"].value
        assert row.difference.value == pytest.approx(expected)
    with pytest.raises(KeyError):
        result.between("random", "random")
    with pytest.raises(KeyError):
        result["p2c"]


def test_the_ranking_goes_by_value_and_groups_by_what_can_be_told(result: Result) -> None:
    for metric in COMPARED:
        ranking = result.ranking(metric)
        values = [result[name].latency[metric].value for group in ranking for name in group]
        if metric != "p99":  # which 8,000 requests do not tell, but who is better
            assert values == sorted(values)
        for first, *others in ranking:
            assert not any(result.between(first, o, metric).distinguishable for o in others)
        for group, after in pairwise(ranking):
            assert result.between(group[0], after[0], metric).distinguishable


def test_whose_figure_is_not_to_be_told_comes_last(result: Result) -> None:
    best = result.ranking("mean")[0][0]
    runs = [
        replace(run, latency={**run.latency, "mean": Estimate.beyond(3.0)})
        if run.algorithm == best
        else run
        for run in result.runs
    ]
    assert replace(result, runs=runs).ranking("mean")[-1] == [best]


def test_arguments_that_cannot_be_meant(file: Scenario) -> None:
    with pytest.raises(UsageError, match="no algorithms; name one at least"):
        simulate(file, algorithms=[])
    workers: Any = "x"
    with pytest.raises(UsageError, match="'x' is neither a number of workers, nor \"auto\""):
        simulate(file, workers=workers)


def test_one_algorithm_is_compared_with_nobody() -> None:
    document = reread(simulate(scenario(serves(CONSTANT), run="requests = 100")))
    assert document["comparison"]["ranking"] == {}
    assert document["comparison"]["pairs"] == []


# --- objectives


def test_every_run_that_misses_an_objective_says_so(result: Result) -> None:
    missed = result.missed()
    assert [line.partition(":")[0] for line in missed] == NAMES
    for line, run in zip(missed, result.runs, strict=True):
        assert line.startswith(f"{run.algorithm}: p50: missed: ")
        assert line.endswith(" ms, at most 1 ms wanted")


def test_an_objective_that_cannot_be_measured_is_missed() -> None:
    more = f'{GIVE_UP}\n[expect]\np99 = "1h"'
    (line,) = simulate(scenario(serves(CONSTANT), run="requests = 20", more=more)).missed()
    assert line == "round_robin: p99: missed: no request succeeded"


# --- the API


def test_the_api(tmp_path: Path) -> None:
    path = tmp_path / "lb.toml"
    path.write_text(
        '[traffic]\narrivals = { process = "poisson", rate = 90 }\n'
        "[run]\nrequests = 500\nreplications = 2\n"
        '[[backend]]\naddress = "127.0.0.1:3001"\n'
        '[backend.model]\nservice = { law = "exponential", mean = "10ms" }\n'
    )
    result = simulate(Scenario.load(path), algorithms=["round_robin", "p2c:choices=3"])
    assert isinstance(result["round_robin"], AlgorithmRun)
    assert isinstance(result["p2c:choices=3"].latency["p99"], Estimate)
    assert [len(sample) <= 500 for sample in result["round_robin"].samples] == [True, True]
    assert len(result["round_robin"].records[0].latency) == 500


def test_replications_are_counted_as_they_come() -> None:
    calls = []
    file = scenario(serves(CONSTANT), run="requests = 10\nreplications = 3")
    simulate(file, ["random", "round_robin"], on_replication=lambda: calls.append(1))
    assert len(calls) == 6


def test_a_warm_up_longer_than_the_run_is_refused() -> None:
    file = scenario(serves(CONSTANT), rate=1, run="requests = 20", warmup="1h")
    with pytest.raises(ConfigError, match=r"run\.warmup: no request arrives after it"):
        simulate(file)
    own = Schedule.draw(file)
    with pytest.raises(ConfigError, match=r"run\.warmup"):
        simulate(file, schedule=own)
