"""Backends whose requests go on at a shared station: beside theory, in trouble, and in words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lb.config import Scenario
from lb.errors import ConfigError
from sim import simulate
from sim.analysis.record import Record, occupancy, time_average
from sim.engine.world import World
from sim.model.arrivals import Schedule
from sim.model.slowing import SlowingFifo
from sim.output.words import offered, sentences
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

FAST = '{ law = "exponential", mean = "500ms" }'


def db(law: str = FAST, more: str = "") -> str:
    return f'[[shared]]\nname = "db"\nservice = {law}\n{more}'


def before(law: str = EXPONENTIAL, more: str = "", **settings: object) -> str:
    return f'{serves(law, **settings)}\nthen = "db"\n{more}'


def tandem(rate: float, **more: Any) -> Scenario:
    """A backend that takes others while the database is at work."""
    run = "requests = 60000\nreplications = 4"
    return scenario(before(more="holds_worker = false"), rate=rate, run=run, more=db(), **more)


# --- theory


@pytest.mark.no_cover
def test_two_queues_in_a_row_are_two_queues() -> None:
    """Burke 1956: what leaves an M/M/1 is a Poisson process, so the sojourns add up."""
    (run,) = simulate(tandem(0.7)).runs
    assert run.latency["mean"].value == pytest.approx(1 / (1 - 0.7) + 1 / (2 - 0.7), rel=0.05)
    (use,), (shared,) = run.backends, run.shared
    assert use.utilisation == pytest.approx(0.7, rel=0.03)
    assert shared.utilisation == pytest.approx(0.35, rel=0.03)
    assert shared.mean_present == pytest.approx(0.35 / 0.65, rel=0.05)
    assert shared.offered == pytest.approx(0.35)


@pytest.mark.no_cover
def test_how_many_are_in_one_says_nothing_of_the_other() -> None:
    """The product form, at moments far from each other: P(n, m) = P(n) P(m), both geometric."""
    (record, *_) = simulate(tandem(0.7)).runs[0].records
    looks = np.arange(50.0, record.until, 7.0)

    def at(entered: Any, left: Any) -> Any:
        times, inside = occupancy(np.asarray(entered), np.asarray(left))
        return inside[np.searchsorted(times, looks, side="right") - 1]

    own, after = at(*record.own[0]), at(*record.shared["db"])
    for n in range(3):
        for m in range(3):
            expected = 0.3 * 0.7**n * 0.65 * 0.35**m
            seen = float(np.mean((own == n) & (after == m)))
            assert seen == pytest.approx(expected, abs=4 * (expected / len(looks)) ** 0.5)


def test_several_backends_meet_in_one_database() -> None:
    """A Jackson network: two M/M/1 at 0.6 each, then one with two workers for all of it."""
    lines = before(more="holds_worker = false")
    file = scenario(
        lines,
        lines,
        rate=1.2,
        run="requests = 60000\nreplications = 4",
        more=db(EXPONENTIAL, "workers = 2"),
    )
    (run,) = simulate(file, "random").runs
    two = 1 / (1 - 0.6**2)  # M/M/2 at 0.6
    assert run.latency["mean"].value == pytest.approx(1 / 0.4 + two, rel=0.04)


@pytest.mark.no_cover
def test_a_worker_that_waits_is_one_server_of_both_services() -> None:
    """M/G/1 by Pollaczek and Khinchine: a second of work, then half a one of the database's."""
    lines = before(CONSTANT)
    file = scenario(lines, rate=0.5, run="requests = 60000\nreplications = 4", more=db())
    mean, variance, rate = 1.5, 0.25, 0.5
    waits = rate * (variance + mean**2) / (2 * (1 - rate * mean))
    (run,) = simulate(file).runs
    assert run.latency["mean"].value == pytest.approx(mean + waits, rel=0.04)
    assert run.backends[0].utilisation == pytest.approx(0.75, rel=0.02)
    assert run.backends[0].offered == pytest.approx(0.75)
    assert file.utilisation == pytest.approx(0.75)


# --- step by step


def played(file: Scenario) -> Record:
    return World(file, Schedule.draw(file), "round_robin").replicate()


def paced(*models: str, more: str, rate: float = 1.0, **rest: Any) -> Scenario:
    return scenario(
        *models, rate=rate, process="deterministic", run="requests = 4", more=more, **rest
    )


@pytest.mark.parametrize(
    ("holds", "ends"),
    [("false", [6.0, 11.0, 16.0, 21.0]), ("true", [6.0, 11.0, 16.0, 21.0])],
)
def test_a_slow_database_holds_everybody_up(holds: str, ends: list[float]) -> None:
    """Half a second of work, then five seconds of a database that takes one at a time, from 1 s."""
    five = '{ law = "constant", mean = "4500ms" }'
    half = '{ law = "constant", mean = "500ms" }'
    lines = before(half, more=f"holds_worker = {holds}")
    record = played(paced(lines, more=db(five)))
    if holds == "true":
        assert record.ended.tolist() == ends
    else:  # the work of the next is done meanwhile
        assert record.ended.tolist() == [6.0, 10.5, 15.0, 19.5]


def test_the_worker_of_another_request_is_free_only_when_that_is_answered() -> None:
    lines = before(CONSTANT, more="holds_worker = true", workers=2)
    record = played(paced(lines, more=db(CONSTANT, "workers = 9")))
    assert record.ended.tolist() == [3.0, 4.0, 5.0, 6.0]
    alone = played(paced(before(CONSTANT, more="holds_worker = true"), more=db(CONSTANT)))
    assert alone.ended.tolist() == [3.0, 5.0, 7.0, 9.0]


def test_a_database_without_a_place_is_an_error_of_the_backend() -> None:
    lines = before('{ law = "constant", mean = "100ms" }')
    nine = '{ law = "constant", mean = "9s" }'
    file = paced(lines, lines, more=db(nine, "queue = 0"))
    record = played(file)  # the third waits for the worker of the first, and so for a place
    assert (record.completed, record.failed) == (2, 2)
    assert record.ended.tolist() == pytest.approx([10.1, 19.2])


def test_what_a_backend_had_at_the_database_is_lost_when_it_goes_down() -> None:
    fault = '[[fault]]\nbackend = "b:0"\nkind = "down"\nfrom = "2s"\nto = "3s"\n'
    half = '{ law = "constant", mean = "500ms" }'
    lines = before(half, more="holds_worker = true", workers=3)
    three = '{ law = "constant", mean = "3s" }'
    more = db(three, "workers = 9") + f"\n{fault}[retries]\nmax = 0\n[health]\ninterval = '0.5s'"
    record = played(paced(lines, more=more.replace("'", '"'), rate=1.25))
    assert record.failed >= 1
    assert record.completed + record.failed == 4
    (visits,) = record.shared.values()
    assert len(visits.entered) == len(visits.left) == record.completed + 1


def test_who_leaves_gives_up_its_place_in_both_lines() -> None:
    patience = 'patience = { law = "constant", mean = "2500ms" }'
    lines = before(CONSTANT, more="holds_worker = true")
    four = '{ law = "constant", mean = "4s" }'
    record = played(paced(lines, lines, more=db(four), traffic=patience))
    assert record.gone == 4
    assert len(record.shared["db"].left) < 4  # in the middle of its work nobody is stopped
    stopped = played(paced(lines, lines, more=db(four), traffic=f"{patience}\ncancels = true"))
    assert stopped.gone == 4


def test_a_released_worker_takes_the_next_in_line() -> None:
    place: SlowingFifo[str] = SlowingFifo([1.0, 1.0], queue=1, holds=True)
    assert place.arrive("a", 0.0, 1.0)
    assert place.arrive("b", 0.5, 1.0)
    assert not place.arrive("c", 0.5, 1.0)
    assert place.depart() == (1.0, "a")
    assert len(place) == 2
    assert place.next_departure() == float("inf")
    place.release("a", 3.0)
    assert place.next_departure() == 4.0


@pytest.mark.parametrize("algorithm", ["least_connections", "prequal", "weighted_feedback"])
def test_every_algorithm_works_with_a_database_and_faults(algorithm: str) -> None:
    fault = '[[fault]]\nbackend = "b:0"\nkind = "{}"\nfrom = "{}"\nto = "{}"\n{}\n'
    more = db() + "\n" + fault.format("slow", "20s", "60s", "factor = 3")
    more += fault.format("errors", "80s", "120s", "rate = 0.5")
    more += fault.format("down", "140s", "150s", "")
    file = scenario(
        before(workers=2),
        before(more="holds_worker = false"),
        serves(EXPONENTIAL),
        rate=2,
        more=more,
        run="requests = 400",
        traffic='patience = { law = "exponential", mean = "20s" }',
    )
    record = World(file, Schedule.draw(file), algorithm).replicate()
    assert record.completed + record.failed == 400
    for visits in (*record.own.values(), *record.shared.values()):
        entered, left = np.sort(visits.entered), np.sort(visits.left)
        assert np.all(left >= entered[: len(left)])


# --- words


def test_the_bottleneck_is_named_before_and_after() -> None:
    run = "requests = 2000\nreplications = 1"
    lines = before(more="holds_worker = false", workers=4)
    file = scenario(lines, lines, serves(EXPONENTIAL), rate=4, more=db(), run=run)
    assert file.capacity == 3  # two of the database, one beside it
    told = list(offered(file, ["random"]))
    assert told[0] == "Offered load 1.33 of capacity: 4 requests/s."
    assert (
        "The shared station db is a bottleneck: it serves 2 requests/s, the backends before it 8."
        in told
    )
    result = simulate(file, "random")
    assert any("db" in line and "cannot keep up" in line for line in sentences(result))
    (used,) = result.runs
    assert not used.steady
    (shared,) = json.loads(json.dumps(used.as_dict()))["shared"]
    assert shared["name"] == "db"
    assert shared["utilisation"] > 0.95
    assert "shared" not in simulate(scenario(serves(EXPONENTIAL))).runs[0].as_dict()
    times, inside = occupancy(*map(np.asarray, used.records[0].shared["db"]))
    assert time_average(times, inside, 0.0, used.records[0].until) == pytest.approx(
        shared["mean_present"]
    )


@pytest.mark.parametrize(
    ("model", "more", "where", "why"),
    [
        (
            'then = "bd"',
            db(),
            "backend[0].model.then",
            "no [[shared]] station is called 'bd'; did you mean 'db'?",
        ),
        ('then = "db"', "", "backend[0].model.then", "give [[shared]], with this name"),
        ("", db(), "shared[0].name", 'write then = "db" in a [backend.model]'),
        ('then = "db"', db() + db(), "shared[1].name", "given twice, first as shared[0]"),
        ("holds_worker = true", "", "backend[0].model.holds_worker", "nothing to wait for"),
        (
            'then = "db"\nholds_worker = true\ndiscipline = "ps"',
            db(),
            "backend[0].model.holds_worker",
            "nobody has a worker to hold",
        ),
        ('then = "db"', db(more='then = "x"'), "shared[0].then", "unknown"),
    ],
)
def test_stages_that_cannot_be_meant_are_mistakes(
    model: str, more: str, where: str, why: str
) -> None:
    with pytest.raises(ConfigError) as told:
        scenario(f"{serves(EXPONENTIAL)}\n{model}", more=more)
    assert f"{where}: " in str(told.value)
    assert why in str(told.value)
