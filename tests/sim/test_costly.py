"""Balancers whose own work takes time: beside theory, step by step, and in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lb.config import Scenario
from lb.errors import ConfigError
from sim import simulate
from sim.analysis.record import Record
from sim.engine.costly import Costly
from sim.engine.world import World
from sim.model.arrivals import Schedule
from sim.output.words import offered, sentences
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

HALF = '{ law = "exponential", mean = "500ms" }'
TENTH = '{ law = "constant", mean = "100ms" }'
LONG = "requests = 60000\nreplications = 4"


def costly(service: str, answer: str = "", *models: str, **more: Any) -> Scenario:
    table = f"[server.model]\nservice = {service}\n" + f"answer = {answer}\n" * bool(answer)
    return scenario(*(models or (serves(EXPONENTIAL),)), more=table + more.pop("more", ""), **more)


# --- theory


def test_a_balancer_is_one_more_queue_before_the_backends() -> None:
    """Burke 1956: the sojourns of two M/M/1 in a row add up."""
    (run,) = simulate(costly(HALF, rate=0.7, run=LONG)).runs
    assert run.latency["mean"].value == pytest.approx(1 / (1 - 0.7) + 1 / (2 - 0.7), rel=0.05)
    assert run.proxy is not None
    assert run.proxy.utilisation == pytest.approx(0.35, rel=0.03)
    assert run.proxy.mean_present == pytest.approx(0.35 / 0.65, rel=0.05)
    assert run.proxy.offered == pytest.approx(0.35)
    assert run.backends[0].utilisation == pytest.approx(0.7, rel=0.03)


def test_answers_wait_for_the_same_thread() -> None:
    """A Jackson network in which everybody comes to the balancer twice."""
    (run,) = simulate(costly(HALF, HALF, rate=0.7, run=LONG)).runs
    assert run.latency["mean"].value == pytest.approx(1 / (1 - 0.7) + 2 / (2 - 1.4), rel=0.06)
    assert run.proxy is not None
    assert run.proxy.utilisation == pytest.approx(0.7, rel=0.03)
    assert run.backends[0].utilisation == pytest.approx(0.7, rel=0.03)  # without the waiting there


def test_each_of_several_balancers_has_a_thread() -> None:
    run = f"{LONG}\nbalancers = 2"
    (used,) = simulate(costly(EXPONENTIAL, "", *[serves(EXPONENTIAL)] * 3, rate=1, run=run)).runs
    assert used.proxy is not None
    assert used.proxy.name == "each balancer"
    assert used.proxy.utilisation == pytest.approx(0.5, rel=0.03)
    assert used.proxy.mean_present == pytest.approx(1.0, rel=0.05)


# --- step by step


def played(file: Scenario, algorithm: str = "round_robin") -> Record:
    return World(file, Schedule.draw(file), algorithm).replicate()


def test_one_request_after_the_other() -> None:
    """Two at a second's distance, a second of the balancer's each, and a tenth for the answer."""
    file = costly(
        CONSTANT, TENTH, serves(CONSTANT), rate=1, process="deterministic", run="requests = 3"
    )
    record = played(file)
    assert record.started.tolist() == pytest.approx([2.0, 3.0, 4.1])  # after the first answer
    assert record.ended.tolist() == pytest.approx([3.1, 4.2, 5.2])
    assert record.left.tolist() == pytest.approx([3.0, 4.0, 5.1])


def test_a_thread_that_costs_nothing_changes_nothing() -> None:
    nothing = '{ law = "constant", mean = "0s" }'
    network = 'network = { law = "exponential", mean = "100ms" }'
    free, plain = (
        played(file, "least_connections")
        for file in (
            costly(nothing, nothing, *[serves(EXPONENTIAL)] * 3, rate=2, traffic=network),
            scenario(*[serves(EXPONENTIAL)] * 3, rate=2, traffic=network),
        )
    )
    np.testing.assert_array_equal(free.latency, plain.latency)
    np.testing.assert_array_equal(free.backend, plain.backend)


def test_who_leaves_while_the_balancer_is_busy_was_never_there() -> None:
    patience = 'patience = { law = "constant", mean = "2500ms" }'
    file = costly(
        '{ law = "constant", mean = "2s" }',
        "",
        serves(TENTH),
        rate=1,
        process="deterministic",
        run="requests = 4",
        traffic=patience,
    )
    record = played(file)  # seen to after 2, 3, 4 and 5 s
    assert (record.completed, record.gone) == (1, 3)
    assert record.failures[1].tolist() == pytest.approx([4.5, 5.5, 6.5])
    assert record.lost.backend.size == 0


def test_an_answer_that_comes_too_late_was_here_all_the_same() -> None:
    """The limit of a whole request ends it while its answer waits for the balancer."""
    file = costly(
        TENTH,
        CONSTANT,
        serves(TENTH),
        rate=1,
        process="deterministic",
        run="requests = 3",
        more='[timeouts]\ntotal = "1s"\n',
    )
    record = played(file)
    assert (record.timed_out, record.completed) == (3, 0)
    assert record.lost.left[:2].tolist() == pytest.approx([1.2, 2.4])


@pytest.mark.parametrize("algorithm", ["p2c", "prequal", "peak_ewma"])
def test_trouble_goes_through_it_like_anything_else(algorithm: str) -> None:
    fault = '[[fault]]\nbackend = "b:0"\nkind = "errors"\nfrom = "20s"\nto = "60s"\nrate = 0.5\n'
    file = costly(
        TENTH,
        TENTH,
        *[serves(EXPONENTIAL)] * 3,
        rate=2,
        run="requests = 400\nbalancers = 2",
        traffic='patience = { law = "exponential", mean = "20s" }\nclient_retries = 1',
        more=fault + "[retries]\non = ['connect', 500]\n".replace("'", '"'),
    )
    shared = World(file, Schedule.draw(file), algorithm)
    record = shared.replicate()
    assert record.completed + record.failed == 400
    assert all(type(dispatcher) is Costly for dispatcher in shared.dispatchers)
    busy = sum(len(visits.entered) for visits in record.proxies)
    assert busy >= 400 + record.came_again + record.completed


# --- words


def test_its_saturation_is_predicted() -> None:
    file = costly(HALF, HALF, *[serves(EXPONENTIAL)] * 4, rate=1.2, run="requests = 2000")
    assert (file.capacity, file.utilisation) == (1.0, 1.2)
    (told,) = (line for line in offered(file, ["random"]) if "own work" in line)
    assert told == (
        "The balancer's own work is a bottleneck: "
        "it sees to 1 requests/s, the backends could serve 4."
    )
    result = simulate(file, "random")
    assert any("the balancer cannot keep up" in line for line in sentences(result))
    proxy = result.runs[0].as_dict()["proxy"]
    assert proxy["utilisation"] > 0.9
    assert proxy["offered"] == pytest.approx(1.2)
    two = file.model_copy(update={"run": file.run.model_copy(update={"balancers": 2})})
    assert two.capacity == 2.0
    assert any("The 2 balancers' own work" in line for line in offered(two, ["random"]))
    assert simulate(scenario(serves(EXPONENTIAL))).runs[0].proxy is None


def test_a_cost_that_cannot_be_meant_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"scenario:2 server.model.service"):
        costly('{ law = "exponentail", mean = "1s" }')
    with pytest.raises(ConfigError, match=r"server.model.workers: unknown"):
        costly(HALF, more="workers = 2\n")
