"""Runs that keep none of their requests: the same requests, and nearly the same figures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lb.config import Scenario
from sim import simulate
from sim.analysis.brief import PARTS
from sim.analysis.histogram import BUCKETS, ERROR, bucket_of, middles, stand_in
from sim.engine.world import World
from sim.model.arrivals import Schedule
from sim.model.flow import BITS, CHUNK, Flow, flows
from sim.model.laws import Floats
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

KEYS = 'keys = { law = "zipf", count = 20, s = 1.1 }'
NETWORK = 'network = { law = "exponential", mean = "0.2s" }'
LOGNORMAL = '{ law = "lognormal", mean = "1s", cv = 2.0 }'


def column(of: object) -> Floats:
    return np.array([of[index] for index in range(len(of))])  # type: ignore[index, arg-type]


# --- histograms


def test_a_bucket_tells_a_latency_to_its_error() -> None:
    seconds = np.exp(np.random.default_rng(1).uniform(-20, 10, 10_000))
    found = middles()[bucket_of(seconds)]
    assert float(np.max(np.abs(found / seconds - 1))) <= ERROR


def test_what_no_bucket_is_for_goes_to_the_first_and_the_last() -> None:
    assert bucket_of(np.array([0.0, -1.0, 1e-300])).tolist() == [0, 0, 0]
    assert bucket_of(np.array([1e300])).tolist() == [BUCKETS - 1]


def test_numbers_stand_in_for_those_that_were_counted() -> None:
    seconds = np.random.default_rng(2).standard_exponential(200_000)
    counts = np.bincount(bucket_of(seconds), minlength=BUCKETS)
    few = stand_in(counts, float(seconds.mean()), 5_000)
    assert len(few) == 5_000
    assert few.mean() == pytest.approx(seconds.mean(), rel=1e-12)
    for q in (0.5, 0.9, 0.99):
        assert np.quantile(few, q) == pytest.approx(np.quantile(seconds, q), rel=2 * ERROR)
    assert len(stand_in(counts[:0], 0.0, 10)) == 0


# --- flows


@pytest.mark.parametrize("process", ["poisson", "deterministic"])
def test_a_flow_gives_what_a_schedule_gives(process: str) -> None:
    models = [serves(EXPONENTIAL), serves(LOGNORMAL), serves(CONSTANT)]
    requests = CHUNK + 1000
    file = scenario(*models, process=process, traffic=KEYS, run=f"requests = {requests}")
    whole, flow = Schedule.draw(file), Flow(file, 0)
    np.testing.assert_array_equal(column(flow.times), whole.times)
    for name, sizes in zip(whole.shapes, whole.sizes, strict=True):
        np.testing.assert_array_equal(column(flow.sizes[name]), sizes)
    assert [flow.keys[index] for index in range(requests)] == whole.all_keys()
    assert flow.until == whole.times[-1]


def test_what_is_forgotten_cannot_be_asked_for() -> None:
    flow = Flow(scenario(serves(EXPONENTIAL), run=f"requests = {CHUNK + 1}"), 0)
    assert flow.times[CHUNK] > flow.times[0]
    flow.forget(0)
    with pytest.raises(LookupError, match="forgotten"):
        flow.times[0]


@pytest.mark.parametrize(
    "change",
    [
        {"process": "poisson", "run": 'duration = "10s"'},
        {"run": "requests = 10\nbalancers = 2"},
        {"traffic": 'patience = { law = "exponential", mean = "1s" }'},
        {"more": '[[fault]]\nbackend = "b:0"\nkind = "slow"\nfactor = 2\nto = "5s"'},
    ],
)
def test_what_is_not_plain_does_not_flow(change: dict[str, str]) -> None:
    assert flows(scenario(serves(EXPONENTIAL)))
    assert not flows(scenario(serves(EXPONENTIAL), **change))


# --- the world


def files() -> list[Scenario]:
    two = [serves(EXPONENTIAL), serves(EXPONENTIAL, workers=2)]
    return [
        scenario(*two, rate=2.0, run="requests = 3000", traffic=KEYS),
        scenario(*two, rate=2.0, run="requests = 3000", traffic=NETWORK),
        scenario(*two, rate=4.0, run="requests = 1000", more='[timeouts]\nresponse = "9s"'),
        scenario(*two, rate=2.0, run="requests = 2000", backend=["max_in_flight = 1"] * 2),
        scenario(
            serves(EXPONENTIAL, queue=1), serves(CONSTANT, queue=0), rate=2.0, run="requests = 2000"
        ),
        scenario(serves(EXPONENTIAL, discipline="ps"), rate=0.7, run="requests = 3000"),
    ]


@pytest.mark.parametrize("file", files())
@pytest.mark.parametrize("algorithm", ["round_robin", "p2c", "prequal"])
def test_it_counts_what_happens_when_everything_is_kept(file: Scenario, algorithm: str) -> None:
    if file.offered().network is not None:  # whose delays are drawn in another order
        flow = Flow(file, 0)
        ways = [column(way) for way in flow.ways]
        assert ways[0].mean() == pytest.approx(0.2, rel=0.1)
        brief = World(file, Flow(file, 0), algorithm, cut=50.0).count()
        assert brief.completed == 3000
        assert brief.taken.sum() == np.count_nonzero(column(flow.times) >= 50.0)
        return
    record = World(file, Schedule.draw(file), algorithm).replicate()
    brief = World(file, Flow(file, 0), algorithm, cut=50.0).count()
    for name in ("requests", "completed", "failed", "rejected", "timed_out", "gone", "retried"):
        assert getattr(brief, name) == getattr(record, name), name
    assert dict(brief.refused) == record.refused
    assert brief.until == record.until
    kept = record.after(50.0)
    assert int(brief.counts.sum()) == brief.taken.sum() == kept.completed
    assert brief.sums.sum() == pytest.approx(kept.latency.sum())
    buckets = np.bincount(bucket_of(kept.latency), minlength=BUCKETS)
    np.testing.assert_array_equal(brief.counts.sum(axis=0), buckets)
    assert [brief.entered(order) for order in range(brief.places)] == [
        int(
            np.count_nonzero(record.backend == order)
            + np.count_nonzero(record.lost.backend == order)
        )
        for order in range(brief.places)
    ]


def test_nothing_is_kept_of_what_has_ended() -> None:
    requests = 5 * CHUNK
    file = scenario(*[serves(CONSTANT)] * 2, rate=1.6, run=f"requests = {requests}")
    flow = Flow(file, 0)
    held: list[int] = []
    forget = flow.forget

    def noted(chunk: int) -> None:
        forget(chunk)
        held.append(len(flow.times.chunks))

    flow.forget = noted  # type: ignore[method-assign]
    brief = World(file, flow, "round_robin").count()
    assert brief.completed == requests
    assert len(held) == requests >> BITS
    assert max(held) <= 2
    assert held[-1] == 0


# --- what is said of it


def test_figures_are_those_of_a_run_that_keeps_everything() -> None:
    file = scenario(
        *[serves(EXPONENTIAL)] * 2,
        rate=1.4,
        run="requests = 20000\nreplications = 3",
        warmup="500s",
    )
    kept = simulate(file, ["p2c", "random"])
    counted = simulate(file, ["p2c", "random"], trace=False)
    for one, other in zip(kept.runs, counted.runs, strict=True):
        assert not other.records
        assert other.latency["mean"].value == pytest.approx(one.latency["mean"].value, rel=1e-9)
        for name in ("p50", "p90", "p95", "p99"):
            assert other.latency[name].value == pytest.approx(one.latency[name].value, rel=0.01)
            low, high = other.latency[name].low, other.latency[name].high
            assert low is not None
            assert high is not None
            assert low < one.latency[name].value < high
        assert other.throughput == pytest.approx(one.throughput)
        for use, same in zip(other.backends, one.backends, strict=True):
            assert use.share == pytest.approx(same.share)
            assert use.utilisation == pytest.approx(same.utilisation, rel=1e-6)
            assert use.mean_in_flight == pytest.approx(same.mean_in_flight)
            assert use.offered == pytest.approx(same.offered)
    assert counted.ranking("mean") == [["p2c"], ["random"]]
    assert counted.as_dict()["runs"][0]["requests"] == 20000


def test_without_a_steady_state_one_run_has_no_interval() -> None:
    file = scenario(serves(EXPONENTIAL), rate=1.5, run="requests = 2000\nreplications = 1")
    (run,) = simulate(file, trace=False).runs
    assert run.transient
    assert run.latency["p50"].low is None
    assert math.isfinite(run.latency["p50"].value)


def test_what_does_not_flow_is_simulated_whole_and_not_kept() -> None:
    file = scenario(serves(EXPONENTIAL), run="requests = 500\nbalancers = 2\nreplications = 2")
    kept, dropped = simulate(file), simulate(file, trace=False)
    assert not dropped.runs[0].records
    assert dropped.runs[0].latency == kept.runs[0].latency
    assert PARTS > 1
