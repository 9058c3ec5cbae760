"""Arrival processes: rates, gaps and bursts are what the file says, and no draw changes another."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import stats

from lb.config import Arrivals, Batch, Mmpp, ProcessTable, Renewal, Sine
from lb.errors import ConfigError
from sim.model.arrivals import Schedule
from sim.model.processes import arrival_times, times_before
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

SIGNIFICANCE = 0.001
TABLES: TypeAdapter[ProcessTable] = TypeAdapter(Arrivals)
PROCESSES = {
    "poisson": {"process": "poisson", "rate": 40.0},
    "paced": {"process": "deterministic", "rate": 40.0},
    "renewal": {"process": "renewal", "law": "gamma:25ms,cv=2"},
    "batch": {"process": "batch", "rate": 40.0, "size": 5},
    "geometric": {"process": "batch", "rate": 40.0, "size": "geometric:4"},
    "mmpp": {"process": "mmpp", "rates": [10.0, 70.0], "dwell": ["200ms", "200ms"]},
    "on and off": {"process": "mmpp", "rates": [0.0, 120.0, 0.0], "dwell": ["1s", "1s", "1s"]},
    "sine": {"process": "sine", "rate": 40.0, "amplitude": 1.0, "period": "3s"},
    "profile": {"process": "profile", "points": [["0s", 20.0], ["5s", 40.0]]},
}
NAMES = pytest.mark.parametrize("name", PROCESSES)


def process(name: str) -> ProcessTable:
    return TABLES.validate_python(PROCESSES[name])


def rng(seed: int = 20261123) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- what holds for all


@NAMES
def test_times_ascend_and_are_a_function_of_the_seed(name: str) -> None:
    times = arrival_times(process(name), rng(), 2000)
    assert len(times) == 2000
    assert times[0] >= 0
    assert (np.diff(times) >= 0).all()
    np.testing.assert_array_equal(times, arrival_times(process(name), rng(), 2000))


@NAMES
def test_the_first_arrivals_are_the_same_however_many_are_drawn(name: str) -> None:
    many = arrival_times(process(name), rng(), 5000)
    for n in (1, 10, 777):
        np.testing.assert_allclose(arrival_times(process(name), rng(), n), many[:n], rtol=1e-12)


@NAMES
def test_a_duration_takes_all_that_come_in_it(name: str) -> None:
    many = arrival_times(process(name), rng(), 20_000)
    for duration in (0.5, 20.0):
        some = times_before(process(name), rng, duration)
        np.testing.assert_allclose(some, many[many < duration], rtol=1e-12)


@NAMES
def test_the_rate_is_that_which_is_promised(name: str) -> None:
    """Of 400 runs of 6 s, which is two periods of the sine, within five standard errors."""
    table, seconds = process(name), 6.0
    counts = np.array(
        [len(times_before(table, lambda s=seed: rng(s), seconds)) for seed in range(400)]
    )
    expected = table.mean_rate(seconds, 0) * seconds
    error = counts.std() / math.sqrt(len(counts))
    # A renewal process that begins with a full gap is ahead by (squared cv - 1) / 2 requests
    # (Feller 1971, XI.4); at equal distances the last is due when the time is over.
    ahead = {"renewal": 1.5, "paced": -1.0}.get(name, 0.0)
    assert abs(counts.mean() - expected - ahead) < 5 * error + 0.01


# --- each by itself


@pytest.mark.parametrize("law", ["gamma:25ms,cv=2", "erlang:25ms,k=3", "uniform:low=0s,high=50ms"])
def test_gaps_of_a_renewal_process_have_its_law(law: str) -> None:
    table = TABLES.validate_python({"process": "renewal", "law": law})
    assert isinstance(table, Renewal)
    assert table.mean_rate(None, 1000) == pytest.approx(40)
    gaps = np.diff(arrival_times(table, rng(), 20_000), prepend=0.0)
    laws = {
        "gamma:25ms,cv=2": stats.gamma(1 / 4, scale=0.1),
        "erlang:25ms,k=3": stats.gamma(3, scale=0.025 / 3),
        "uniform:low=0s,high=50ms": stats.uniform(0, 0.05),
    }
    assert stats.kstest(gaps, laws[law].cdf).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("size", [1, 7, "geometric:4", {"law": "geometric", "mean": 1.0}])
def test_batches_come_as_poisson_arrivals_and_hold_what_they_should(size: object) -> None:
    table = TABLES.validate_python({"process": "batch", "rate": 60.0, "size": size})
    assert isinstance(table, Batch)
    times = arrival_times(table, rng(), 40_000)
    instants, held = np.unique(times, return_counts=True)
    instants, held = instants[:-1], held[:-1]  # the last may be cut
    mean = table.size.mean
    gaps = np.diff(instants, prepend=0.0)
    assert stats.kstest(gaps, stats.expon(scale=mean / 60).cdf).pvalue > SIGNIFICANCE
    if table.size.law == "geometric" and mean > 1:
        seen = np.bincount(np.minimum(held, 20), minlength=21)[1:]
        expected = [(1 - 1 / mean) ** (k - 1) / mean for k in range(1, 20)]
        expected.append(1 - sum(expected))
        assert stats.chisquare(seen, len(held) * np.array(expected)).pvalue > SIGNIFICANCE
    else:
        assert set(held) == {mean}


def test_counts_of_an_mmpp_are_as_dispersed_as_theory_says() -> None:
    """Variance over mean of the arrivals in 1 s (Heffes and Lucantoni 1986, equation 3)."""
    slow, fast, leave_slow, leave_fast = 30.0, 110.0, 5.0, 2.0
    table = Mmpp(process="mmpp", rates=(slow, fast), dwell=(1 / leave_slow, 1 / leave_fast))
    mean = (slow * leave_fast + fast * leave_slow) / (leave_slow + leave_fast)
    assert table.mean_rate(None, 10) == pytest.approx(mean)
    both = leave_slow + leave_fast
    factor = 2 * leave_slow * leave_fast * (slow - fast) ** 2
    factor /= both**2 * (slow * leave_fast + fast * leave_slow)
    dispersion = 1 + factor * (1 - (1 - math.exp(-both)) / both)
    counts = np.array([len(times_before(table, lambda s=s: rng(s), 1.0)) for s in range(4000)])
    assert abs(counts.mean() - mean) < 5 * counts.std() / math.sqrt(len(counts))
    squares = (counts - mean) ** 2
    error = squares.std() / math.sqrt(len(counts))
    assert abs(squares.mean() - dispersion * mean) < 5 * error


def test_an_mmpp_is_stationary_from_its_first_instant() -> None:
    """Which rate is first goes by how long each stays; within the first stay gaps tell which."""
    table = Mmpp(process="mmpp", rates=(1.0, 1000.0), dwell=(1e6, 3e6))
    fast = [arrival_times(table, rng(seed), 2)[-1] < 0.1 for seed in range(1000)]
    assert stats.binomtest(sum(fast), 1000, 0.75).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("amplitude", [0.0, 0.5, 1.0])
def test_a_sine_is_a_poisson_process_of_its_rate(amplitude: float) -> None:
    """In operational time, where so many are expected, gaps are of a unit Poisson process."""
    table = Sine(process="sine", rate=50.0, amplitude=amplitude, period=4.0)
    times = arrival_times(table, rng(), 20_000)
    operational = [table.expected(time) for time in times]
    gaps = np.diff(operational, prepend=0.0)
    assert stats.kstest(gaps, stats.expon.cdf).pvalue > SIGNIFICANCE
    assert stats.kstest(gaps[::2] + gaps[1::2], stats.gamma(2).cdf).pvalue > SIGNIFICANCE


def test_a_sine_begins_at_its_mean_and_rises() -> None:
    table = Sine(process="sine", rate=100.0, amplitude=0.8, period=8.0)
    times = times_before(table, rng, 80.0) % 8
    seen = np.histogram(times, bins=16, range=(0, 8))[0]
    edges = [table.expected(edge) for edge in np.linspace(0, 8, 17)]
    assert stats.chisquare(seen, 10 * np.diff(edges) * seen.sum() / 8000).pvalue > SIGNIFICANCE
    assert seen[3:5].sum() > 4 * seen[11:13].sum()


@pytest.mark.parametrize(("requests", "until"), [(300, 4.0), (1000, 12.0), (100, None)])
def test_the_mean_rate_of_a_sine_over_so_many_requests(requests: float, until: object) -> None:
    table = Sine(process="sine", rate=75.0, amplitude=0.9, period=4.0)
    ends = requests / table.mean_rate(None, requests)
    assert table.expected(ends) == pytest.approx(requests)
    if requests == 300:
        assert ends == pytest.approx(until)


# --- in a file


def test_bursts_reach_the_schedule() -> None:
    run = 'duration = "600s"\nreplications = 1'
    arrivals = 'arrivals = { process = "batch", rate = 6, size = { law = "geometric", mean = 3 } }'
    text = scenario(serves(EXPONENTIAL), run=run)
    assert text.rate == 0.8
    file = type(text).parse(
        f'[traffic]\n{arrivals}\n[run]\n{run}\n[[backend]]\naddress = "b:1"\n'
        f"[backend.model]\n{serves(EXPONENTIAL)}"
    )
    drawn = Schedule.draw(file)
    assert file.rate == 6
    assert abs(len(drawn) - 3600) < 5 * math.sqrt(3600 * 5)  # geometric: E[B^2] / E[B] = 5
    assert np.unique(drawn.times).size < len(drawn) / 2
    assert not file.eventful


def told(arrivals: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        type(scenario(serves(EXPONENTIAL))).parse(f"[traffic]\narrivals = {arrivals}\n", "lb.toml")
    return caught.value.problems


GEOMETRIC = '{ law = "geometric", mean = 2.5 }'
WHERE = "lb.toml:2 traffic.arrivals"


@pytest.mark.parametrize(
    ("arrivals", "line"),
    [
        (
            '{ process = "mmpp", rates = [1, 2], dwell = ["1s"] }',
            f"{WHERE}.dwell: holds 1, and rates 2; give one for each",
        ),
        (
            '{ process = "mmpp", rates = [1], dwell = ["1s"] }',
            f"{WHERE}.rates: holds 1; give two, or the process poisson",
        ),
        (
            '{ process = "mmpp", rates = [0, 0], dwell = ["1s", "1s"] }',
            f"{WHERE}.rates: every rate is 0: nobody would ever come",
        ),
        (
            '{ process = "batch", rate = 1, size = 2.5 }',
            f"{WHERE}.size: a whole number from 1 up, or a law such as {GEOMETRIC}, not 2.5",
        ),
        (
            '{ process = "batch", rate = 1, size = { law = "geometrc", mean = 2 } }',
            f"{WHERE}.size: unknown law 'geometrc'; did you mean 'geometric'?",
        ),
        (
            '{ process = "batch", rate = 1, size = { law = "geometric", mean = 0.5 } }',
            f"{WHERE}.size.mean: should be greater than or equal to 1, not 0.5",
        ),
        (
            '{ process = "renewal", law = "constant:0s" }',
            f"{WHERE}.law.mean: 0 s between requests; write how long a gap is",
        ),
        (
            '{ process = "renewal", law = { law = "gamma", mean = "1s", c = 1, cv = 1 } }',
            f"{WHERE}.law.c: unknown key; did you mean 'cv'?",
        ),
        (
            '{ process = "sine", rate = 1, amplitude = 1.5, period = "1s" }',
            f"{WHERE}.amplitude: should be less than or equal to 1, not 1.5",
        ),
        (
            '{ process = "renewl", rate = 1 }',
            f"{WHERE}: unknown process 'renewl'; did you mean 'renewal'?",
        ),
    ],
)
def test_what_is_wrong_with_a_process(arrivals: str, line: str) -> None:
    assert told(arrivals) == [line]
