"""Clients that lose patience, and clients that come again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.errors import ConfigError
from lb.strategies import REGISTRY
from sim import simulate
from sim.engine.world import World
from sim.model.arrivals import Schedule
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves
from tests.sim.test_world import counts, replicated

TWO_SECONDS = '{ law = "deterministic", mean = "2s" }'


def patience(seconds: float, **more: object) -> str:
    law = f'patience = {{ law = "deterministic", mean = "{seconds}s" }}'
    return "\n".join([law, *(f"{key} = {value}" for key, value in more.items())])


# --- patience


def test_who_leaves_a_backends_line_spares_the_others_the_wait() -> None:
    """Arrivals at 0.5, 1, 1.5, 2; two seconds each: the third leaves the line, the others work."""
    file = scenario(
        serves(TWO_SECONDS), rate=2, process="deterministic", traffic=patience(1.25),
        run="requests = 4",
    )  # fmt: skip
    record = replicated(file)  # the first is gone too, at 1.75, but its work is done at 2.5
    assert counts(record) == {"gone": 4}
    by_end = sorted(zip(record.lost.started, record.lost.ended, record.lost.left, strict=True))
    assert by_end == [(0.5, 1.75, 2.5), (1.0, 2.25, 2.25), (1.5, 2.75, math.inf), (2.0, 3.25, 3.25)]


def test_where_backends_cancel_a_worker_is_free_at_once() -> None:
    file = scenario(
        serves(TWO_SECONDS), rate=2, process="deterministic",
        traffic=patience(1.25, cancels="true"), run="requests = 4",
    )  # fmt: skip
    record = replicated(file)
    assert counts(record) == {"gone": 4}
    np.testing.assert_array_equal(record.lost.left, record.lost.ended)


def drawn_as(*requests: tuple[float, float]) -> Schedule:
    """A schedule of arrivals with their patience; everybody brings the same work."""
    times, limits = np.array(requests).T
    return Schedule(times, ("deterministic",), np.ones((1, len(times))), None, limits)


def test_who_leaves_the_balancers_line_takes_no_backend() -> None:
    file = scenario(
        serves(TWO_SECONDS), traffic=patience(1), backend=["max_in_flight = 1"],
        more='[queue]\nlimit = 9\ntimeout = "100s"',
    )  # fmt: skip
    world = World(file, drawn_as((0.5, 9.0), (1.0, 1.0), (1.5, 9.0), (2.0, 1.0)))
    record = world.replicate()
    assert counts(record) == {"completed": 2, "gone": 2}
    assert record.started.tolist() == [0.5, 2.5]
    snapshot = world.dispatchers[0].balancer.snapshot(world.now)
    assert (snapshot.left_line, snapshot.waiting) == (2, 0)
    (backend,) = snapshot.backends
    assert (backend.picked, backend.succeeded, backend.gone, backend.connections) == (2, 2, 0, 0)


def test_an_answer_at_the_very_moment_counts() -> None:
    file = scenario(serves(CONSTANT), run="requests = 1", traffic=patience(1))
    assert counts(replicated(file)) == {"completed": 1}


def test_news_of_a_client_that_left_travels_as_long_as_its_request_did() -> None:
    network = 'network = { law = "deterministic", mean = "250ms" }'
    file = scenario(serves(TWO_SECONDS), traffic=f"{patience(1, cancels='true')}\n{network}")
    lost = World(file, drawn_as((0.5, 1.0), (9.0, 9.0))).replicate().lost
    assert (lost.ended[0], lost.left[0]) == (1.5, 1.75)


def test_patience_is_drawn_apart_from_everything_else() -> None:
    plain = scenario(serves(EXPONENTIAL))
    law = f"patience = {EXPONENTIAL}"
    drawn, with_patience = (
        Schedule.draw(plain),
        Schedule.draw(scenario(serves(EXPONENTIAL), traffic=law)),
    )
    assert drawn.patience is None
    assert with_patience.patience is not None
    assert with_patience.patience.mean() == pytest.approx(1.0, abs=0.15)
    np.testing.assert_array_equal(drawn.times, with_patience.times)
    np.testing.assert_array_equal(drawn.sizes, with_patience.sizes)


def test_patience_without_an_end_changes_nothing() -> None:
    """The stations that can be left and the dispatcher that sees to clients, against the others."""
    models = [serves(EXPONENTIAL, workers=2), serves(EXPONENTIAL, discipline="ps")]
    plain = replicated(scenario(*models, rate=2.5), "random")
    patient = replicated(scenario(*models, rate=2.5, traffic=patience(1e6)), "random")
    np.testing.assert_array_equal(plain.ended, patient.ended)
    np.testing.assert_array_equal(plain.backend, patient.backend)


def test_a_schedule_that_does_not_say_how_patient_clients_are_is_refused() -> None:
    drawn = Schedule.draw(scenario(serves(CONSTANT)))
    with pytest.raises(ConfigError, match="how patient"):
        simulate(scenario(serves(CONSTANT), traffic=patience(1)), schedule=drawn)


def test_impatience_keeps_a_queue_that_cannot_keep_up_from_growing() -> None:
    """M/M/1 + M at twice the capacity: as many are served as a worker can do."""
    file = scenario(
        serves(EXPONENTIAL), rate=2.0, traffic='patience = { law = "exponential", mean = "5s" }',
        run="requests = 20000",
    )  # fmt: skip
    run = simulate(file).runs[0]
    assert run.steady
    # As many leave the line as a birth-and-death chain says: n there, of whom n - 1 may leave.
    held = np.cumprod([1.0, *(2.0 / (1.0 + n / 5.0) for n in range(400))])
    assert run.backends[0].utilisation == pytest.approx(1 - held[0] / held.sum(), abs=0.01)
    assert run.completed + run.gone == run.requests


# --- clients that come again


def test_a_client_that_failed_comes_again_and_its_latency_counts_from_the_first_try() -> None:
    """Arrivals at 0.5 and 1, no line: the second fails at 1, 1.1 and 1.3, and is in at 1.7."""
    file = scenario(
        serves(CONSTANT), rate=2, process="deterministic", run="requests = 2",
        backend=["max_in_flight = 1"], traffic="client_retries = 3",
    )  # fmt: skip
    record = replicated(file)
    assert counts(record) == {"completed": 2}
    assert record.came_again == 3
    np.testing.assert_allclose(record.latency, [1.0, 1.7])
    assert record.retried == 0


def test_a_client_gives_up_after_its_last_try() -> None:
    file = scenario(
        serves('{ law = "deterministic", mean = "100s" }'), rate=2, process="deterministic",
        run="requests = 2", backend=["max_in_flight = 1"], traffic="client_retries = 2",
    )  # fmt: skip
    world = World(file, Schedule.draw(file))
    record = world.replicate()
    assert counts(record) == {"completed": 1, "rejected": 1}
    assert record.came_again == 2
    assert world.dispatchers[0].balancer.snapshot(world.now).requests == 4


def test_who_has_left_comes_no_more() -> None:
    file = scenario(
        serves(TWO_SECONDS), backend=["max_in_flight = 1"], traffic=patience(1, client_retries=9)
    )
    record = World(file, drawn_as((0.5, 9.0), (1.0, 0.25))).replicate()
    assert counts(record) == {"completed": 1, "gone": 1}
    assert record.came_again == 1  # at 1.1; it would have been at 1.3


@settings(max_examples=40)
@given(
    rate=st.sampled_from([1.0, 5.0, 20.0]),
    limit=st.sampled_from(["", "max_in_flight = 2"]),
    line=st.integers(0, 3),
    mean=st.sampled_from([0.2, 1.0, 5.0]),
    retries=st.integers(0, 2),
    cancels=st.sampled_from(["true", "false"]),
    network=st.sampled_from(["", f"network = {EXPONENTIAL}"]),
    discipline=st.sampled_from(["fifo", "ps"]),
    algorithm=st.sampled_from(sorted(REGISTRY)),
)
def test_the_books_balance(
    rate: float, limit: str, line: int, mean: float, retries: int, cancels: str, network: str,
    discipline: str, algorithm: str,
) -> None:  # fmt: skip
    file = scenario(
        *[serves(EXPONENTIAL, discipline=discipline, queue=3)] * 2,
        rate=rate,
        traffic=f'patience = {{ law = "exponential", mean = "{mean}s" }}\n'
        f"client_retries = {retries}\ncancels = {cancels}\n{network}",
        run="requests = 80",
        backend=[limit] * 2,
        more=f"[queue]\nlimit = {line if limit else 0}\n"
        'timeout = "2s"\n[timeouts]\nresponse = "1500ms"',
    )
    world = World(file, Schedule.draw(file), algorithm)
    record = world.replicate()
    seen = world.dispatchers[0].balancer.snapshot(world.now)
    assert record.completed + record.failed == record.requests == 80
    assert seen.requests == 80 + record.came_again
    assert (seen.requests + seen.retried) == (
        sum(backend.picked for backend in seen.backends)
        + seen.turned_away + seen.left_line + seen.waiting
    )  # fmt: skip
    assert seen.waiting == 0
    for backend in seen.backends:
        assert backend.connections == 0
        ends = backend.succeeded + backend.failed + backend.gone + backend.cancelled
        assert backend.picked == ends
