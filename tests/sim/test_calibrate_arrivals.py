"""Arrivals of every law are written with the rate that was seen; what is no traffic is left out."""

from __future__ import annotations

import numpy as np
import pytest

from lb.config import Batch, Geometric, Mmpp, Renewal, Scenario
from lb.config.laws import Bimodal
from sim import calibrate
from sim.fit.calibrate.arrivals import process
from sim.fit.calibrate.station import station, stays_of
from sim.fit.seen import Seen
from sim.fit.stood import stood
from sim.model.arrivals import Schedule
from sim.model.laws import Floats
from sim.model.processes import times_before
from tests.sim.observations import recorded, scenario


def arrivals(table: str, seconds: float = 60.0) -> Floats:
    """Times of one run of a process, from the first."""
    text = (
        f'[[backend]]\naddress = "10.0.0.1:80"\nmodel = {{ service = "exponential:1ms" }}\n'
        f"[traffic]\narrivals = {{ {table} }}\n"
        f'[run]\nduration = "{seconds}s"\nreplications = 1\nseed = 5\n'
    )
    times = Schedule.draw(Scenario.parse(text)).times
    return times - times[0]


def stopped(times: Floats, at: float, seconds: float) -> Floats:
    """What came while a machine stood still comes at its end, one after the other."""
    late = (times > at) & (times < at + seconds)
    moved = times.copy()
    moved[late] = at + seconds + 0.0007 * np.arange(np.count_nonzero(late))
    return np.sort(moved)


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ('process = "poisson", rate = 80', "poisson"),
        ('process = "deterministic", rate = 80', "deterministic"),
        ('process = "renewal", law = "erlang:12ms,k=3"', "renewal"),
        ('process = "renewal", law = "lognormal:12ms,cv=2"', "renewal"),
        ('process = "batch", rate = 80, size = 4', "batch"),
        ('process = "mmpp", rates = [80, 650], dwell = ["584ms", "43ms"]', "mmpp"),
        ('process = "mmpp", rates = [40, 160], dwell = ["2s", "1s"]', "mmpp"),
        ('process = "profile", points = [["0s", 20], ["60s", 140]]', "profile"),
        ('process = "sine", rate = 80, amplitude = 0.8, period = "25s"', "profile"),
    ],
)
def test_what_is_written_offers_the_rate_that_was_seen(table: str, name: str) -> None:
    times = arrivals(table)
    found = process(times, 1e-6)
    assert found.table.process == name
    offered = found.table.mean_rate(found.seconds, 1e9)
    assert offered == pytest.approx((len(times) - 1) / times[-1], rel=1e-4)
    assert (found.rate.low or 0.0) <= offered <= (found.rate.high or 0.0)


def test_a_file_offers_the_rate_that_was_seen() -> None:
    poisson = scenario('{ service = "exponential:2ms" }', rate=80, seconds=30)
    states = 'process = "mmpp", rates = [40, 300], dwell = ["600ms", "100ms"]'
    found = calibrate(
        recorded(poisson.replace('process = "poisson", rate = 80', states)), quick=True
    )
    written = Scenario.parse(found.text())
    offered = written.offered().arrivals
    assert isinstance(offered, Mmpp)
    mean = offered.mean_rate(written.run.duration, 1e9)
    assert mean == pytest.approx(found.arrivals.rate.value, rel=1e-3)


def test_a_burst_that_came_twice_does_not_recur() -> None:
    rng = np.random.default_rng(1)
    bursts = [at + rng.uniform(0, 0.1, 60) for at in (15.0, 22.0)]
    times = np.sort(np.concatenate([np.cumsum(rng.exponential(0.01, 3000)), *bursts]))
    assert not isinstance(process(times, 1e-6).table, Mmpp)


def test_a_stop_of_the_machine_is_left_out_of_the_arrivals() -> None:
    times = arrivals('process = "poisson", rate = 100', 30.0)
    found = process(stopped(times, 12.3, 0.8), 1e-6)
    assert found.table.process == "poisson"
    assert found.rate.value == pytest.approx((len(times) - 1) / times[-1], rel=0.02)
    assert any("stood still for 0.8" in it and "left out" in it for it in found.remarks)


def test_many_stops_are_a_busy_machine() -> None:
    times = arrivals('process = "poisson", rate = 100', 60.0)
    for at in (5, 15, 25, 35, 45, 55):
        times = stopped(times, float(at), 0.5)
    assert "this machine was busy while it recorded: figures may be off" in stood(times).remarks
    assert process(times, 1e-6).table.process == "poisson"


@pytest.mark.parametrize(
    "table",
    [
        'process = "poisson", rate = 100',
        'process = "batch", rate = 100, size = 4',
        'process = "mmpp", rates = [0, 500], dwell = ["500ms", "100ms"]',
        'process = "renewal", law = "lognormal:10ms,cv=3"',
    ],
)
def test_traffic_that_pauses_is_no_machine_that_stands_still(table: str) -> None:
    times = arrivals(table)
    assert stood(times).times is times


def test_a_schedule_with_jitter_is_not_called_poisson() -> None:
    rng = np.random.default_rng(3)
    times = np.sort(np.arange(1500) * 0.01 + rng.uniform(-0.004, 0.004, 1500))
    found = process(times, 1e-6)
    assert isinstance(found.table, Renewal)
    assert found.table.law.squared_cv**0.5 == pytest.approx(found.gap_cv, rel=0.1)
    assert any("as of a schedule" in it for it in found.remarks)


def test_even_gaps_that_fit_no_law_are_kept() -> None:
    rng = np.random.default_rng(3)
    gaps = rng.choice([0.004, 0.006, 0.02], 1500) * rng.uniform(0.95, 1.05, 1500)
    found = process(np.cumsum(gaps), 1e-6)
    assert isinstance(found.table, Renewal)
    assert isinstance(found.table.law, Bimodal)
    assert found.table.law.squared_cv**0.5 == pytest.approx(found.gap_cv, rel=0.05)


def test_the_interval_of_a_contention_has_a_width() -> None:
    """Where one step of the search was too unlikely, too."""
    usl = "usl = { contention = 0.15 }"
    model = f'{{ service = "exponential:20ms", workers = 4, discipline = "ps", {usl} }}'
    seen = Seen.of(recorded(scenario(model, rate=110, seconds=40)))
    found = station(stays_of(seen.visits(0), 1e-6, False), 0.0)
    own, (low, high) = found.hypothesis.usl, found.contention
    assert own is not None
    assert low < own.contention < high
    assert low < 0.15 < high
    # More of one is less of the other.
    least, most = found.ends
    assert least.usl.coherency > most.usl.coherency


def test_a_rate_that_is_high_for_a_while_is_no_batch_in_a_log_of_milliseconds() -> None:
    table = Mmpp(process="mmpp", rates=(38.2, 700.0), dwell=(2.21, 0.1))
    times = times_before(table, lambda: np.random.default_rng(100), 60.0)
    found = process(np.sort(np.round(times - times[0], 3)), 1e-3)
    assert found.table.process == "mmpp"
    assert found.table.rates == pytest.approx(table.rates, rel=0.25)


@pytest.mark.parametrize("mean", [2.0, 4.0])
def test_batches_are_batches_in_a_log_of_milliseconds(mean: float) -> None:
    table = Batch(process="batch", rate=200, size=Geometric(law="geometric", mean=mean))
    times = times_before(table, lambda: np.random.default_rng(3), 30.0)
    found = process(np.round(times - times[0], 3), 1e-3)
    assert found.table.process == "batch"
    assert found.table.size.mean == pytest.approx(mean, rel=0.25)
