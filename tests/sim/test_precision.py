"""Replications are added until intervals are as narrow as wanted, or it is said what that takes."""

from __future__ import annotations

import re

import pytest

from lb.config import Scenario
from lb.errors import ConfigError, UsageError
from sim import Result, simulate
from sim.precision import FEWEST, FIGURES, replications, wanted, width
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves


@pytest.fixture(scope="module")
def file() -> Scenario:
    run = "requests = 500\nreplications = 3"
    return scenario(*[serves(EXPONENTIAL)] * 2, rate=1.0, run=run, warmup="auto")


@pytest.fixture(scope="module")
def narrow(file: Scenario) -> Result:
    return simulate(file, ["random", "round_robin"], precision={"mean": 0.04, "p95": 0.08})


# --- what is wanted


def test_a_share_may_be_in_per_cent() -> None:
    given = ["p99=2%", "mean=0.01", " p50 = 5 % ", "p999=10%"]
    assert wanted(given) == pytest.approx({"p99": 0.02, "mean": 0.01, "p50": 0.05, "p999": 0.1})
    assert wanted([]) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p99", "'p99' does not say how precise; p99=2% does"),
        ("p98=2%", "no figure 'p98'; did you mean"),
        ("max=2%", f"no figure 'max'; known: {', '.join(sorted(FIGURES))}"),
        ("p99=little", "p99: 'little' is not a share such as 2% or 0.02"),
        ("p99=0%", "p99: 0 is not between 0 % and 100 %"),
        ("p99=-1%", "p99: -0.01 is not between"),
        ("p99=2", "p99: 2 is not between"),
        ("p99=nan", "p99: nan is not between"),
    ],
)
def test_what_cannot_be_meant_is_told(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        wanted([text])


def test_in_python_too(file: Scenario) -> None:
    with pytest.raises(UsageError, match="no figure 'p42'"):
        simulate(file, precision={"p42": 0.1})


# --- rounds


def test_every_algorithm_gets_there(narrow: Result) -> None:
    assert narrow.scenario.run.replications >= FEWEST
    for run in narrow.runs:
        assert len(run.records) == narrow.scenario.run.replications
        assert width(run.latency["mean"]) <= 0.04
        assert width(run.latency["p95"]) <= 0.08


def test_it_is_what_so_many_replications_are(narrow: Result, file: Scenario) -> None:
    """The file with the number that it came to gives the same without a precision."""
    again = simulate(narrow.scenario, ["random", "round_robin"])
    for run, other in zip(narrow.runs, again.runs, strict=True):
        assert run.latency == other.latency
    assert narrow.scenario.run.replications > file.run.replications


def test_it_does_not_depend_on_who_simulates(file: Scenario) -> None:
    one, two = (simulate(file, workers=n, precision={"mean": 0.06}) for n in (1, 2))
    assert one.scenario.run.replications == two.scenario.run.replications > FEWEST
    assert one.runs[0].latency == two.runs[0].latency


def test_enough_is_enough(file: Scenario) -> None:
    run = file.run.model_copy(update={"replications": 12})
    result = simulate(file.model_copy(update={"run": run}), precision={"mean": 0.9})
    assert len(result.runs[0].records) == 12
    certain = scenario(serves(CONSTANT), rate=0.1, run="requests = 200")
    paced = certain.model_copy(
        update={
            "traffic": Scenario.parse(
                '[traffic]\narrivals = { process = "deterministic", rate = 0.1 }'
            ).traffic
        }
    )
    assert len(simulate(paced, precision={"mean": 0.001}).runs[0].records) == FEWEST


def test_a_round_is_at_most_four_times_the_one_before(narrow: Result) -> None:
    done = len(narrow.runs[0].records)
    assert replications(narrow, {"mean": 0.004}, 10**9) == 4 * done
    assert replications(narrow, {"mean": 0.5}, 10**9) == done
    requests = 500 * done
    near = width(max((run.latency["mean"] for run in narrow.runs), key=width)) / 1.3
    assert done < replications(narrow, {"mean": near}, 10**9) <= 2 * done
    assert replications(narrow, {"mean": near}, int(1.7 * requests)) <= 1.7 * done


# --- what would take too long


def test_what_takes_too_many_requests_is_told_at_once(file: Scenario) -> None:
    calls: list[int] = []
    with pytest.raises(ConfigError) as raised:
        simulate(
            file,
            precision={"mean": 0.001},
            max_requests=100_000,
            on_replication=lambda: calls.append(1),
        )
    (line,) = raised.value.problems
    assert len(calls) == FEWEST
    said = re.search(r"would need about ([\d,]+) requests for mean of round_robin to 0.001", line)
    assert said
    assert 1e6 < int(said[1].replace(",", "")) < 1e9
    assert "--max-requests is 100,000" in line
    assert "run.requests" in line


def test_the_first_round_is_doubted(narrow: Result) -> None:
    requests = max(sum(record.requests for record in run.records) for run in narrow.runs)
    wide = max(width(run.latency["mean"]) for run in narrow.runs)
    share = wide / 3**0.5  # three times as many requests
    with pytest.raises(ConfigError):
        replications(narrow, {"mean": share}, 2 * requests)
    assert replications(narrow, {"mean": share}, 2 * requests, first=True) > 0


def test_without_a_success_there_is_no_precision() -> None:
    more = '[retries]\nmax = 0\n[timeouts]\nresponse = "100ms"'
    dead = scenario(serves(CONSTANT), run="requests = 20", more=more)
    with pytest.raises(ConfigError, match="no request succeeded under round_robin"):
        simulate(dead, precision={"p50": 0.1})
