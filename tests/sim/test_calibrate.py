"""Calibration recovers the models that simulated recordings were made of, and says what it cannot.

Seeds are fixed; tolerances are those that a recording of that length allows.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lb.config import Exponential, Lognormal, Scenario, changed
from lb.errors import ConfigError
from lb.traces.observed import CLIENT_GONE, TIMEOUT, Observed, Observing
from lb.units import seconds
from sim import Schedule, calibrate
from sim.analysis.statistics import Estimate
from sim.engine.world import World
from sim.fit import witnessed
from sim.fit.calibrate import Calibration
from sim.fit.calibrate.limits import completed, patience, time_limit
from sim.fit.calibrate.services import services
from sim.fit.calibrate.station import Station
from sim.fit.calibrate.stays import Hypothesis, Stays
from sim.fit.calibrate.twins import doubted
from sim.fit.seen import Seen
from sim.model.laws import Floats, draw
from tests.sim.observations import recorded, scenario

EXPONENTIAL = '{ service = "exponential:20ms", workers = 2 }'


def fitted(*models: str, noise: float = 0.0003, **given: object) -> Calibration:
    return calibrate(recorded(scenario(*models, **given), noise), quick=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "discipline", "workers", "law", "cv"),
    [
        ("exponential:20ms", "fifo", 1, "exponential", 1.0),
        ("lognormal:20ms,cv=1.5", "ps", 2, "lognormal", 1.5),
        ("erlang:20ms,k=4", "fifo", 4, "erlang", 0.5),
        ("deterministic:20ms", "ps", 1, "deterministic", 0.0),
        ("bimodal:10ms,60ms,weights=4,1", "fifo", 3, "bimodal", 1.0),
    ],
)
def test_workers_discipline_and_law_are_found(
    service: str, discipline: str, workers: int, law: str, cv: float
) -> None:
    model = f'{{ service = "{service}", discipline = "{discipline}", workers = {workers} }}'
    found = fitted(model, rate=0.65 * workers / 0.02, seconds=100 / workers)
    (backend,) = found.backends
    own = backend.station.hypothesis
    assert (own.discipline, own.workers) == (discipline, workers)
    assert (backend.station.fewest, backend.station.most) == (workers, workers)
    assert backend.station.disciplines == (discipline,)
    assert backend.service.law.best.name == law
    told = found.scenario.backends[0].model
    assert told is not None
    assert math.isclose(math.sqrt(told.service.squared_cv), cv, rel_tol=0.15, abs_tol=0.02)
    assert not found.unknown


@pytest.mark.parametrize(
    ("model", "rate", "more"),
    [
        ('service = "gamma:30ms,cv=1.5", discipline = "ps", workers = 3', 92, ""),
        ('service = "deterministic:20ms", workers = 4', 60, 'network = "deterministic:2ms"'),
    ],
    ids=["shared under load", "behind long ways"],
)
def test_workers_are_not_made_up_for_what_is_none_of_theirs(
    model: str, rate: float, more: str
) -> None:
    found = fitted(f"{{ {model} }}", noise=0.0, rate=rate, seconds=60, more=more)
    station = found.backends[0].station
    assert f"workers = {station.fewest}" in model
    assert station.most == station.fewest


def test_what_never_waits_is_a_range() -> None:
    found = fitted('{ service = "exponential:10ms", workers = 8 }', rate=40, seconds=60)
    keys = {row.key: (row.low, row.high) for row in found.unknown}
    most = found.backends[0].station.never_more
    low, high = keys["backend.0.model.workers"]
    assert most - 2 <= int(low) <= most  # of the most that were ever there, some may have shared
    assert high == 1000
    assert keys["backend.0.model.discipline"] == ("fifo", "ps")
    assert f"never more than {most} in flight" in found.unknown[0].why


def test_a_backend_that_nobody_waited_at_takes_what_stays_take_and_its_range_has_pairs() -> None:
    text = scenario('{ service = "exponential:450ms", workers = 20 }', rate=10, seconds=22)
    found = calibrate(recorded(text.replace("seed = 4", "seed = 2"), 0.0003), quick=True)
    (backend,), (unknown, _) = found.backends, found.unknown
    stays = backend.station.stays
    assert backend.station.hypothesis.workers == stays.most
    assert backend.service.mean.value == pytest.approx(float(stays.sojourn.mean()), rel=0.01)
    fewer = {row.key.rpartition(".model.")[2]: row for row in unknown.also}
    assert int(unknown.low) < stays.most - 1
    assert fewer["discipline"].low == "ps"  # of whom each stay is shared, and its service shorter
    shorter = seconds(str(fewer["service.mean"].low))
    assert shorter < 0.95 * backend.service.mean.value
    assert backend.mean.low is not None
    assert backend.service.mean.low is not None
    assert backend.mean.low < shorter  # the interval holds every station that is about as likely
    told = found.scenario.calibration
    assert told is not None
    (mean,) = (row for row in told.estimate if row.key.endswith("service.mean"))
    assert mean.given is not None
    assert seconds(str(mean.given.low)) == pytest.approx(backend.service.mean.low, rel=1e-3)
    ends = (changed(found.scenario, unknown.settings(end)) for end in ("low", "high"))
    few, many = (it.backends[0].model for it in ends)
    assert few is not None
    assert many is not None
    assert (few.workers, few.discipline, few.service.mean) == (unknown.low, "ps", shorter)
    assert many.service.mean == pytest.approx(backend.service.mean.value, rel=1e-3)


def test_ways_are_told_from_service_where_somebody_waits() -> None:
    more = 'network = { law = "constant", mean = "1ms" }'
    found = fitted(EXPONENTIAL, rate=70, seconds=60, more=more, noise=0.0)
    assert found.way.identified
    assert math.isclose(found.way.overhead.value, 0.002, rel_tol=0.15)


def test_the_file_can_be_read_again_and_is_the_same_model() -> None:
    more = 'keys = { law = "zipf", count = 200, s = 1.0 }'
    head = 'algorithm = "p2c"'
    found = calibrate(
        recorded(scenario(EXPONENTIAL, EXPONENTIAL, rate=120, seconds=30, more=more, head=head)),
        replays=2,
    )
    again = Scenario.parse(found.text())
    for name in ("backends", "traffic", "faults", "run", "outliers"):
        assert getattr(again, name) == getattr(found.scenario, name)
    assert again.algorithm.name == "p2c"
    assert again.calibration is not None
    assert again.calibration.error is not None
    assert abs(found.error["mean"]) < 0.1
    assert found.keys is not None
    low, high = found.keys.s.low, found.keys.s.high
    assert low is not None
    assert high is not None
    assert low < 1.0 < high


def test_a_backend_that_slows_down_has_a_course() -> None:
    fault = '[[fault]]\nbackend = "b0"\nkind = "slow"\nfrom = "15s"\nto = "30s"\nfactor = 2'
    model = '{ service = "exponential:20ms", workers = 4 }'
    found = fitted(model, rate=60, seconds=30, more=fault)
    ((_, before), (at, after)) = found.backends[0].course
    assert math.isclose(before / after, 2.0, rel_tol=0.15)
    assert 13 < at < 16
    assert any("changes its speed" in remark for remark in found.remarks)


def test_too_little_is_refused_with_what_it_takes() -> None:
    few = recorded(scenario(EXPONENTIAL, rate=10, seconds=5))
    with pytest.raises(ConfigError, match=r"made.rec: \d+ answered requests; a model takes 200"):
        calibrate(few)


def test_too_few_at_each_backend_are_no_model() -> None:
    seen = Observing("thin.log")
    for number in range(300):
        at = number / 100
        request = seen.request(at, at + 0.01)
        seen.attempt(request, f"10.0.0.{number % 30}:80", at, at, at + 0.01, at + 0.01)
    with pytest.raises(ConfigError, match=r"thin.log: 10 answers .* of one backend; a model takes"):
        calibrate(seen.done())


def test_services_that_were_cut_short_count_for_what_they_would_have_been() -> None:
    rng = np.random.default_rng(3)
    whole = rng.exponential(1.0, 20_000)
    limit = rng.uniform(0.5, 3.0, 20_000)
    kept, cut = whole[whole <= limit], limit[whole > limit]
    assert kept.mean() < 0.8
    mended = completed(kept, cut, rng)
    assert len(mended) == len(whole)
    assert math.isclose(mended.mean(), 1.0, rel_tol=0.05)


def test_a_time_limit_and_patience_show_in_what_was_broken_off() -> None:
    rows = Observing("made.rec")
    rng = np.random.default_rng(5)
    for n in range(2000):
        at = n * 0.01
        wait, service = float(rng.exponential(1.0)), float(rng.exponential(0.2))
        if service > 0.5:
            request = rows.request(at, at + 0.5, outcome=TIMEOUT)
            rows.attempt(request, "a", at, ended=at + 0.5, outcome=TIMEOUT)
        elif wait < service:
            request = rows.request(at, at + wait, outcome=CLIENT_GONE)
            rows.attempt(request, "a", at, ended=at + wait, outcome=CLIENT_GONE)
        else:
            request = rows.request(at, at + service)
            rows.attempt(request, "a", at, at, at + service, at + service)
    seen = Seen.of(rows.done())
    assert time_limit(seen) == 0.5
    found = patience(seen)
    assert isinstance(found, Exponential)
    assert math.isclose(found.mean, 1.0, rel_tol=0.25)  # some 250 left


def test_a_sample_tells_workers_as_a_range_and_the_whole_rate() -> None:
    whole = recorded(scenario(EXPONENTIAL, rate=75, seconds=80), 0.0002)
    seen, some = Seen.of(whole), np.random.default_rng(2).random(len(whole)) < 0.5
    rows = Observing("sampled.rec")
    for n in np.flatnonzero(some).tolist():
        request = rows.request(whole.arrived[n], whole.ended[n])
        started, ended = whole.attempts.started[n], whole.attempts.ended[n]
        rows.attempt(request, "b0", started, started, ended, ended, in_flight=int(seen.found[n]))
    found = calibrate(rows.done(share=0.5), replays=0)
    assert math.isclose(found.arrivals.rate.value, 75, rel_tol=0.06)
    (backend,) = found.backends
    assert math.isclose(backend.service.mean.value, 0.020, rel_tol=0.1)
    assert backend.station.fewest <= 2 <= (backend.station.most or 1000)
    assert len(backend.station.disciplines) == 2
    assert any("sample" in remark for remark in found.remarks)


def test_the_mean_of_a_heavy_tail_is_told_by_its_law() -> None:
    law = Lognormal(law="lognormal", mean=0.02, cv=3.0)
    sample = draw(law, np.random.default_rng(9), 4000)
    told = services([sample], [0.0], 1e-6, 0.0008)[0].mean
    assert told.low is not None
    assert told.high is not None
    assert told.low < 0.02 < told.high
    assert told.high - told.low < 0.2 * 0.02


def test_a_discipline_that_a_twin_speaks_against_is_a_range() -> None:
    rng = np.random.default_rng(3)
    arrived = np.cumsum(rng.exponential(0.02, 400))
    none = np.zeros(400, bool)
    stays = Stays(arrived, arrived + 0.03, ~none, floor=0.0005, slack=0.002, cut=none)
    one = Station(stays, Hypothesis("ps", 2), 2, 2, ("ps",), 10.0)
    other = replace(one, hypothesis=Hypothesis("fifo", 2), disciplines=("fifo",), margin=50.0)
    mean = Estimate(0.03, 0.029, 0.031)
    first, second = doubted([one, other], [mean, mean])
    assert (first.disciplines, second.disciplines) == (("ps", "fifo"), ("fifo",))
    apart = Estimate(0.04, 0.039, 0.041)
    assert doubted([one, other], [mean, apart]) == [one, other]


def of_whole_seconds(durations: Floats) -> Observed:
    """Two backends in turns, stamps of whole seconds spread over these, as of an access log."""
    seen = Observing("access.log")
    for n, took in enumerate(durations.tolist()):
        at = n / 40
        request = seen.request(at, at + took)
        seen.attempt(request, f"b{n % 2}", at, at, at + took, at + took)
    return seen.done(resolution=1.0)


def test_durations_may_be_finer_than_the_stamps_of_a_log() -> None:
    rng = np.random.default_rng(1)
    found = calibrate(of_whole_seconds(np.round(rng.exponential(0.03, 600), 3)), quick=True)
    for row in found.backends:
        assert row.service.mean.value == pytest.approx(0.03, rel=0.15)
        assert len(row.service.law.cells.edges) > 5  # so that laws can be told apart


def test_services_shorter_than_a_tick_are_refused_and_those_of_one_backend_are_half_a_tick() -> (
    None
):
    with pytest.raises(ConfigError, match=r"less than a tick of its clock, 1ms.*\$msec"):
        calibrate(of_whole_seconds(np.zeros(600)), quick=True)
    durations = np.round(np.random.default_rng(1).exponential(0.03, 600), 3)
    durations[1::2] = 0.0
    found = calibrate(of_whole_seconds(durations), quick=True)
    assert found.backends[1].service.mean.value == pytest.approx(0.0005)


def test_one_law_is_told_of_samples_that_a_clock_cannot_divide() -> None:
    rng = np.random.default_rng(1)
    samples = [rng.exponential(0.02, 300), rng.exponential(0.02, 300)]
    made = services(samples, [0.0, 0.0], grain=1.0, jitter=1.0)
    assert [one.law.cells.number for one in made] == [600, 600]


def test_what_several_balancers_did_is_a_model_of_as_many() -> None:
    two = "balancers = 2\n"
    text = scenario(EXPONENTIAL, EXPONENTIAL, rate=150, seconds=12) + two
    file = changed(Scenario.parse(text), {"algorithm": "least_connections"})
    drawn = Schedule.draw(file)
    luck = (np.random.default_rng(5).random(len(drawn)) < 0.2).astype(np.int64)
    routed = replace(drawn, balancers=luck)
    record = World(file, routed, None, watched=False).replicate()
    seen = witnessed.observed(file, routed, record)
    assert seen.balancers == 2
    found = calibrate(seen, quick=True)
    assert found.scenario.run.balancers == 2
    assert found.schedule().balancers.tolist() == luck.tolist()
    assert "balancers = 2" in found.text()
