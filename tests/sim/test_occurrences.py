"""When faults happen: lines of a file, and the plain spans they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import ColdStart, Down, FaultTable, Flapping, Scenario, Slow
from lb.errors import ConfigError
from sim import Schedule, simulate
from sim.model.occurrences import occurrences
from tests.sim.scenarios import EXPONENTIAL, scenario, serves
from tests.sim.test_faults import TWO, fault

ONE = ("one",)


def spans(
    *faults: FaultTable, seed: int = 1, replication: int = 0
) -> list[tuple[str, float, float]]:
    return [(f.kind, f.since, f.until) for f in occurrences(faults, seed, replication)]


def test_a_plain_fault_stands_for_itself() -> None:
    slow = Slow(kind="slow", backends=ONE, since=1, until=2, factor=3)
    assert occurrences([slow], 1) == [slow]


def test_flapping_is_down_in_the_first_half_of_each_period() -> None:
    flapping = Flapping(kind="flapping", backends=ONE, since=1, until=8, period=3)
    assert spans(flapping) == [("down", 1, 2.5), ("down", 4, 5.5), ("down", 7, 8)]


def test_a_restart_is_down_and_then_cold() -> None:
    cold = ColdStart(kind="cold_start", backends=ONE, since=1, until=9, factor=4, down=2)
    assert spans(cold) == [("down", 1, 3), ("cold_start", 3, 9)]


def down(mttf: float, mttr: float, until: float = 1e6) -> Down:
    return Down(kind="down", backends=ONE, since=10, until=until, mttf=mttf, mttr=mttr)


def test_random_failures_and_repairs_have_the_means_that_the_file_says() -> None:
    found = spans(down(60, 5))
    assert len(found) == pytest.approx(1e6 / 65, rel=0.03)
    lasting = [until - since for _, since, until in found]
    assert np.mean(lasting) == pytest.approx(5, rel=0.03)
    assert np.std(lasting) == pytest.approx(5, rel=0.05)  # as an exponential has it


@given(
    seed=st.integers(0, 99),
    replication=st.integers(0, 3),
    mttf=st.floats(0.5, 50),
    mttr=st.floats(0.5, 50),
)
def test_random_spans_lie_within_their_line_one_after_the_other(
    seed: int, replication: int, mttf: float, mttr: float
) -> None:
    line = down(mttf, mttr, until=200.0)
    found = spans(line, seed=seed, replication=replication)
    edges = [10.0, *(edge for _, since, until in found for edge in (since, until)), 200.0]
    assert edges == sorted(edges)
    assert found == spans(line, seed=seed, replication=replication)


def test_lines_fail_independently_and_the_backends_of_one_line_together() -> None:
    one, other = (
        occurrences([down(60, 5, 200), down(60, 5, 200)], 4),
        spans(down(60, 5, 200), seed=5),
    )
    halves = one[: len(one) // 2], one[len(one) // 2 :]
    assert [f.since for f in halves[0]] != [f.since for f in halves[1]]
    assert [since for _, since, _ in other] != [f.since for f in halves[0]]
    pair = Down(kind="down", backends=("one", "two"), since=0, until=100, mttf=10, mttr=1)
    assert all(f.backends == ("one", "two") for f in occurrences([pair], 1))


def test_replications_have_random_faults_of_their_own_and_one_schedule_has_one_set() -> None:
    """So that an interval covers what chance makes of faults, and a live run has its prediction."""
    file = scenario(
        *[serves(EXPONENTIAL, workers=4)] * 2,
        rate=3,
        run="requests = 500\nreplications = 3",
        more="[retries]\nmax = 0\n[health]\nenabled = false\n[outliers]\nenabled = false\n"
        + fault("down", "0s", "1h", more='mttf = "20s"\nmttr = "5s"'),
    )
    failed = [record.failed for record in simulate(file)["round_robin"].records]
    assert len(set(failed)) > 1
    given_one = simulate(file, schedule=Schedule.draw(file))["round_robin"].records
    assert len({record.failed for record in given_one}) == 1


LINES = 'backend = "one"\nto = "9s"\n'


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            'kind = "down"\nmttf = "60s"\n' + LINES,
            "7 fault[0].mttr: missing; mttf is given, and one needs the other",
        ),
        (
            'kind = "errors"\nrate = 1.5\n' + LINES,
            "9 fault[0].rate: should be less than or equal to 1, not 1.5",
        ),
        (
            'kind = "reset"\nrate = 0\n' + LINES,
            "9 fault[0].rate: should be greater than 0, not 0",
        ),
        ('kind = "errors"\n' + LINES, "7 fault[0].rate: missing"),
        (
            'kind = "flapping"\nperiod = "18s"\n' + LINES,
            "9 fault[0].period: down all the time; make it shorter than 18 s",
        ),
        (
            'kind = "flapping"\nperiod = "1us"\n' + LINES,
            "9 fault[0].period: 1e-06 s is too short to be told from work; give at least 1 ms",
        ),
        (
            'kind = "cold_start"\nfactor = 2\ndown = "9s"\n' + LINES,
            "10 fault[0].down: it never comes up; make it shorter than 9 s",
        ),
        (
            'kind = "blackhole"\n' + LINES,
            "7 fault[0]: unknown kind 'blackhole'; did you mean 'black_hole'?",
        ),
        (
            'kind = "down"\nmtff = "60s"\n' + LINES,
            "9 fault[0].mtff: unknown key; did you mean 'mttf'?",
        ),
    ],
)
def test_a_mistake_in_a_fault_is_named_with_what_would_be_right(lines: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Scenario.parse(TWO + lines, "lb.toml")
    assert raised.value.problems == [f"lb.toml:{told}"]


SLOW = fault("slow", "1s", "5s", "one", "factor = 2")
POSSIBLE = [
    fault("errors", "2s", "3s", "one", "rate = 0.5"),
    fault("health_lost", "2s", "3s", "one"),
    fault("flapping", "2s", "4s", "one", 'period = "1s"'),
    fault("down", "5s", "6s", "one"),
    fault("down", "2s", "3s", "127.0.0.1:3002"),
]
WITH = TWO.removesuffix("[[fault]]\n")


@pytest.mark.parametrize("other", POSSIBLE)
def test_a_fault_of_the_door_may_meet_one_of_the_clock(other: str) -> None:
    assert len(Scenario.parse(WITH + SLOW + other).faults) == 2
    assert len(Scenario.parse(WITH + other + SLOW).faults) == 2


@pytest.mark.parametrize("kind", ["down", "black_hole", "fail_fast"])
def test_what_lets_nothing_in_meets_no_other_fault(kind: str) -> None:
    shut = fault(kind, "2s", "3s", "one")
    with pytest.raises(ConfigError) as raised:
        Scenario.parse(WITH + SLOW + shut, "f")
    why = "overlaps fault[0] of one, which is from 1 s to 5 s and would be shut out"
    assert raised.value.problems == [f"f:16 fault[1].from: {why}"]
    with pytest.raises(ConfigError, match="from 2 s to 3 s and shuts the rest out"):
        Scenario.parse(WITH + shut + SLOW, "f")


def test_two_faults_of_one_door_cannot_be_at_one_time() -> None:
    first = fault("errors", "1s", "5s", "one", "rate = 0.5")
    cold = fault("cold_start", "4s", "9s", "one", 'factor = 2\ndown = "1s"')
    for second in (fault("reset", "4s", "6s", "one", "rate = 0.5"), cold):
        with pytest.raises(ConfigError, match="overlaps fault"):
            Scenario.parse(WITH + first + second)
    assert Scenario.parse(WITH + cold + fault("errors", "5s", "6s", "one", "rate = 1")).faults
