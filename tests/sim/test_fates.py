"""What becomes of requests: every one is counted once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.strategies import REGISTRY
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves
from tests.sim.test_world import counts, letters, replicated

NO_RETRY = "[retries]\nmax = 0"


# --- counts


def test_a_full_station_fails_what_it_has_no_place_for() -> None:
    file = scenario(serves(CONSTANT, queue=1), rate=2, process="deterministic", run="requests = 5")
    record = replicated(file)  # at 0.5, 1, 1.5, 2, 2.5; served from 0.5 and from 1.5
    assert counts(record) == {"completed": 4, "broken": 1}
    assert record.arrived.tolist() == [0.5, 1.0, 1.5, 2.5]


def test_a_backend_at_its_limit_rejects_without_a_line() -> None:
    file = scenario(
        serves(CONSTANT),
        rate=2,
        process="deterministic",
        run="requests = 6",
        backend=["max_in_flight = 1"],
    )
    record = replicated(file)
    assert counts(record) == {"completed": 3, "rejected": 3}
    np.testing.assert_array_equal(record.latency, 1.0)


def test_a_line_serves_in_order_and_to_its_limit() -> None:
    file = scenario(
        serves('{ law = "deterministic", mean = "2s" }'),
        rate=2,
        process="deterministic",
        run="requests = 5",
        backend=["max_in_flight = 1"],
        more='[queue]\nlimit = 2\ntimeout = "100s"',
    )
    record = replicated(file)  # 1 and 1.5 wait, 2 is turned away, 2.5 finds the place just left
    assert counts(record) == {"completed": 4, "rejected": 1}
    assert record.arrived.tolist() == [0.5, 1.0, 1.5, 2.5]
    assert record.started.tolist() == [0.5, 2.5, 4.5, 6.5]


def test_patience_in_line_ends_on_time() -> None:
    """Nothing else happens in between: the alarm alone must tell."""
    file = scenario(
        serves('{ law = "deterministic", mean = "10s" }'),
        rate=1,
        process="deterministic",
        run="requests = 3",
        backend=["max_in_flight = 1"],
        more='[queue]\nlimit = 9\ntimeout = "1s"',
    )
    assert counts(replicated(file)) == {"completed": 1, "timed_out": 2}


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        ("1400ms", {"completed": 1, "timed_out": 2}),
        ("1500ms", {"completed": 2, "timed_out": 1}),  # an answer at the very moment counts
        ("2500ms", {"completed": 3}),
        ("900ms", {"timed_out": 3}),
    ],
)
def test_a_late_answer_is_given_up_and_its_work_still_done(
    timeout: str, expected: dict[str, int]
) -> None:
    """One a half second, one second each: the n-th would take 1 + (n - 1) / 2 seconds."""
    file = scenario(
        serves(CONSTANT),
        rate=2,
        process="deterministic",
        run="requests = 3",
        more=f'{NO_RETRY}\n[timeouts]\nresponse = "{timeout}"',
    )
    assert counts(replicated(file)) == expected


def test_what_timed_out_is_tried_again_elsewhere() -> None:
    slow = '{ law = "deterministic", mean = "10s" }'
    file = scenario(
        serves(slow),
        serves(CONSTANT),
        rate=0.1,
        process="deterministic",
        run="requests = 1",
        more='[timeouts]\nresponse = "3s"',
    )
    record = replicated(file, "round_robin")
    assert counts(record) == {"completed": 1}
    assert record.retried == 1
    assert record.latency.tolist() == [4.0]
    assert letters(record) == "b"


LAWS = st.sampled_from([EXPONENTIAL, CONSTANT, '{ law = "gamma", mean = "2s", cv = 2 }'])
MODELS = st.builds(
    serves,
    LAWS,
    discipline=st.sampled_from(["fifo", "ps"]),
    workers=st.integers(1, 3),
    queue=st.integers(0, 2),
)


@settings(max_examples=60)
@given(
    models=st.lists(MODELS, min_size=1, max_size=3),
    rate=st.sampled_from([0.5, 3.0, 20.0]),
    process=st.sampled_from(["poisson", "deterministic"]),
    limit=st.sampled_from(["", "max_in_flight = 1", "max_in_flight = 3"]),
    line=st.integers(0, 3),
    timeouts=st.sampled_from(["", '[timeouts]\nresponse = "1500ms"']),
    network=st.sampled_from(["", f"network = {EXPONENTIAL}"]),
    algorithm=st.sampled_from(sorted(REGISTRY)),
)
def test_every_request_has_one_fate(
    models: list[str],
    rate: float,
    process: str,
    limit: str,
    line: int,
    timeouts: str,
    network: str,
    algorithm: str,
) -> None:
    file = scenario(
        *models,
        rate=rate,
        process=process,
        traffic=network,
        run="requests = 60",
        backend=[limit] * len(models),
        more=f'[queue]\nlimit = {line if limit else 0}\ntimeout = "2s"\n{timeouts}',
    )
    record = replicated(file, algorithm)
    assert sum(counts(record).values()) == record.requests == 60
    assert (record.started >= record.arrived).all()
    assert (record.started <= record.arrived + 2 + 1.5 * 2).all()
    assert (record.reached >= record.started).all()
    assert (record.left >= record.reached).all()
    assert (record.ended >= record.left).all()
