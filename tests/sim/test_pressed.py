"""Hedges, answers tried elsewhere, and the limits of a try and of a whole request, simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.config import Scenario
from lb.strategies import REGISTRY
from sim import simulate
from sim.analysis.intervals import latency_estimates
from sim.analysis.record import Record
from sim.engine.world import World
from sim.model.arrivals import Schedule
from sim.model.laws import Floats
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves
from tests.sim.test_world import counts, letters, replicated

HEDGED = '[hedging]\nafter = "200ms"\n'
SLOW = '[[fault]]\nbackend = "b:0"\nkind = "slow"\nfrom = "0s"\nto = "100s"\nfactor = 5\n'
FAILING = '[[fault]]\nbackend = "b:0"\nkind = "fail_fast"\nfrom = "0s"\nto = "100s"\n'


def five(more: str, **rows: object) -> Record:
    """Five requests, a second of work each, at 2, 4, 6, 8 and 10; attempts go in turn."""
    file = scenario(
        serves(CONSTANT), serves(CONSTANT), rate=0.5, process="deterministic",
        run="requests = 5", more=more, **rows,
    )  # fmt: skip
    return replicated(file)


def test_a_slow_backend_s_requests_are_answered_by_their_hedges() -> None:
    record = five(HEDGED + SLOW)
    assert counts(record) == {"completed": 5}
    assert record.hedged == 5
    np.testing.assert_allclose(record.latency, 1.2)
    assert record.retried == 0
    assert letters(record) == "bbbbb"
    assert record.lost.backend.tolist() == [0] * 5
    np.testing.assert_allclose(record.lost.ended, [3.2, 5.2, 7.2, 9.2, 11.2])


def test_the_loser_s_work_goes_on_as_it_does_live() -> None:
    record = five(HEDGED + SLOW)
    assert record.lost.left.tolist()[:2] == [7.0, np.inf], "the run is over before the second"


def test_who_notices_that_nobody_waits_ends_the_loser_s_work() -> None:
    record = five(HEDGED + SLOW, traffic="cancels = true")
    np.testing.assert_array_equal(record.lost.left, record.lost.ended)


def test_what_is_answered_in_time_is_not_hedged() -> None:
    record = five('[hedging]\nafter = "1001ms"\n')
    assert (record.hedged, counts(record)) == (0, {"completed": 5})
    assert five('[hedging]\nafter = "999ms"\n').hedged == 5


def test_an_attempt_that_times_out_leaves_its_request_to_the_hedge() -> None:
    record = five(HEDGED + SLOW + '[timeouts]\nattempt = "1100ms"\n[retries]\nmax = 0')
    assert counts(record) == {"completed": 5}
    np.testing.assert_allclose(record.latency, 1.2)
    np.testing.assert_allclose(record.lost.ended, [3.1, 5.1, 7.1, 9.1, 11.1])
    assert record.retried == 0


def test_an_attempt_that_takes_too_long_is_tried_elsewhere() -> None:
    record = five(SLOW + '[timeouts]\nattempt = "1500ms"')
    assert counts(record) == {"completed": 5}
    assert record.retried == 5
    np.testing.assert_allclose(record.latency, 2.5)


@pytest.mark.parametrize(("response", "latency"), [("700ms", 1.7), ("2s", 2.5)])
def test_the_shorter_limit_of_an_answer_counts(response: str, latency: float) -> None:
    limits = f'[timeouts]\nattempt = "1500ms"\nresponse = "{response}"\n'
    file = SLOW + limits
    record = replicated(
        scenario(
            serves(CONSTANT), serves('{ law = "deterministic", mean = "600ms" }'), rate=0.5,
            process="deterministic", run="requests = 1", more=file,
        )
    )  # fmt: skip
    np.testing.assert_allclose(record.latency, [latency - 0.4])


def test_a_request_that_takes_too_long_ends_wherever_it_is() -> None:
    """The first is served, the second waits in line, and the third finds it full."""
    file = scenario(
        serves('{ law = "deterministic", mean = "3s" }'), rate=2, process="deterministic",
        run="requests = 3", backend=["max_in_flight = 1"],
        more='[timeouts]\ntotal = "2s"\n[queue]\nlimit = 1\ntimeout = "10s"',
    )  # fmt: skip
    world = World(file, Schedule.draw(file), None)
    record = world.replicate()
    assert counts(record) == {"timed_out": 2, "rejected": 1}
    assert [float(at) for at in record.lost.ended] == [2.5, 3.0]
    (dispatcher,) = world.dispatchers
    assert dispatcher.balancer.snapshot(5.0).waiting == 0


def test_a_hedged_request_that_takes_too_long_ends_both_attempts() -> None:
    record = five(HEDGED + SLOW + '[timeouts]\ntotal = "900ms"')
    assert counts(record) == {"timed_out": 5}
    assert len(record.lost.backend) == 10
    assert simulate(
        scenario(serves(EXPONENTIAL), rate=0.5, more='[timeouts]\ntotal = "1s"'), "round_robin"
    ).runs[0].refused["too_late"]  # fmt: skip


@pytest.mark.parametrize("on", ["503", '"server_error"'])
def test_answers_of_a_backend_that_fails_fast_are_tried_elsewhere(on: str) -> None:
    assert counts(five(FAILING)) == {"completed": 2, "broken": 3}
    record = five(FAILING + f"[retries]\non = [{on}]")
    assert counts(record) == {"completed": 5}
    assert record.retried == 5
    assert counts(five(FAILING + "[retries]\non = [500]")) == {"completed": 2, "broken": 3}


def test_errors_after_their_work_are_500() -> None:
    errors = FAILING.replace('"fail_fast"', '"errors"') + "rate = 1.0\n"
    assert counts(five(errors + "[retries]\non = [503]")) == {"completed": 2, "broken": 3}
    record = five(errors + "[retries]\non = [500]")
    assert counts(record) == {"completed": 5}
    np.testing.assert_allclose(record.latency, 2.0)


@given(
    algorithm=st.sampled_from(sorted(REGISTRY)),
    more=st.sets(
        st.sampled_from(
            [
                '[hedging]\nafter = "p95"',
                '[timeouts]\ntotal = "4s"\nattempt = "2s"',
                '[retries]\non = ["timeout", 503]\nmax = 2',
                "[queue]\nlimit = 3",
            ]
        )
    ),
    traffic=st.sampled_from(
        ["", 'network = { law = "exponential", mean = "200ms" }', "client_retries = 1"]
    ),
)
@settings(max_examples=60, deadline=None)
def test_every_request_has_one_fate_and_the_books_balance(
    algorithm: str, more: set[str], traffic: str
) -> None:
    file = scenario(
        serves(EXPONENTIAL, queue=2), serves(EXPONENTIAL), serves(EXPONENTIAL), rate=2,
        run="requests = 300", more="\n".join(more), traffic=traffic,
        backend=["max_in_flight = 4"] * 3,
    )  # fmt: skip
    world = World(file, Schedule.draw(file), algorithm)
    record = world.replicate()
    assert record.completed + record.failed == record.requests == 300
    (dispatcher,) = world.dispatchers
    now = dispatcher.balancer.snapshot(world.now)
    assert sum(b.connections for b in now.backends) == 0
    assert now.requests + now.retried + now.hedged == (
        sum(b.picked for b in now.backends) + now.turned_away + now.left_line
    )
    assert now.hedged == record.hedged


def test_the_scenario_of_hedging_shows_what_it_is_for() -> None:
    path = Path(__file__).parents[2] / "loadtests/scenarios/hedging.toml"
    text = path.read_text().replace('duration = "60s"', 'duration = "30s"')
    with_hedges, without = (
        simulate(Scenario.parse(file)).runs[0].latency["p99"].value
        for file in (text, text.replace('after = "p95"', ""))
    )
    assert with_hedges is not None
    assert without is not None
    assert with_hedges < without / 3


def test_a_hedge_travels_by_itself() -> None:
    """Ways of two exponential delays; by 99.9 % intervals of the mean over 40,000 requests."""
    file = scenario(
        *[serves('{ law = "deterministic", mean = "1us" }', workers=100)] * 2,
        rate=1,
        run="requests = 10000\nreplications = 4",
        traffic='network = { law = "exponential", mean = "1s" }',
        more='[hedging]\nafter = "2s"',
    )
    run = simulate(file, "round_robin").runs[0]
    t = np.linspace(0, 60, 60_001)

    def takes_longer(t: Floats) -> Floats:
        return np.exp(-t) * (1 + t)

    both = np.where(t < 2, 1.0, takes_longer(np.maximum(t - 2, 0)))
    exact = float(np.sum(takes_longer(t) * both)) * 0.001 - 0.0005  # by the trapezoid rule
    mean = latency_estimates(run.samples, 0.999)[0]["mean"]
    assert mean.low is not None
    assert mean.high is not None
    assert mean.low < exact < mean.high
    assert mean.high - mean.low < 0.1  # ways that are those of the first attempt make it 2
    record = run.records[0]
    assert np.all(record.reached <= record.left)
    assert np.all(record.left <= record.ended + 1e-9)


@pytest.mark.parametrize("more", ['[hedging]\nafter = "2s"', '[timeouts]\nattempt = "3s"'])
@pytest.mark.parametrize("noticed", ["", "cancels = true\npatience = 'exponential:9s'"])
def test_nothing_of_an_attempt_stays_when_its_work_is_over(more: str, noticed: str) -> None:
    file = scenario(
        *[serves(EXPONENTIAL, workers=2)] * 2,
        run="requests = 400\nreplications = 1",
        traffic='network = { law = "exponential", mean = "1s" }\n' + noticed,
        more=more,
    )
    world = World(file, Schedule.draw(file), "round_robin")
    record = world.replicate()
    assert record.hedged + record.retried > 20
    world.run(until=world.now + 1000)  # what nobody waits for any more is served too
    (dispatcher,) = world.dispatchers
    assert not dispatcher._own_ways
