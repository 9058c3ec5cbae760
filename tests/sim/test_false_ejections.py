"""How often backends would be ejected, and how often falsely."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lb.config import Scenario
from sim import simulate
from sim.output.words import sentences
from sim.result import Result

FILE = """
[outliers]
{outliers}
[[backend]]
address = "10.0.0.1:80"
name = "a"
[backend.model]
service = {{ law = "exponential", mean = "20ms" }}
workers = 4
{first}
[[backend]]
address = "10.0.0.2:80"
name = "b"
[backend.model]
service = {{ law = "exponential", mean = "20ms" }}
workers = 4
[traffic]
arrivals = {{ process = "poisson", rate = 200 }}
{more}
[run]
duration = "20s"
replications = 2
"""


def simulated(outliers: str = "", first: str = "", more: str = "") -> Result:
    return simulate(Scenario.parse(FILE.format(outliers=outliers, first=first, more=more)))


def ejections(result: Result) -> list[tuple[float, float]]:
    return [(use.ejected, use.falsely_ejected) for use in result["round_robin"].backends]


def told(result: Result) -> list[str]:
    return [it for it in sentences(result) if "ejected" in it]


def test_without_trouble_nobody_is_ejected() -> None:
    result = simulated()
    assert ejections(result) == [(0.0, 0.0), (0.0, 0.0)]
    assert told(result) == []


def test_one_with_a_fault_is_ejected_rightly() -> None:
    fault = """
[[fault]]
backend = "a"
kind = "fail_fast"
from = "2s"
to = "5s"
"""
    result = simulated(more=fault)
    assert ejections(result) == [(1.0, 0.0), (0.0, 0.0)]
    assert told(result) == ["round_robin: ejected, times per replication: a 1"]
    row = result.as_dict()["runs"][0]["backends"][0]
    assert (row["ejected"], row["falsely_ejected"]) == (1.0, 0.0)


def test_one_that_only_turns_some_away_is_ejected_falsely_where_that_is_enough() -> None:
    result = simulated(outliers='consecutive_failures = 1\neject = "1s"', first="queue = 0")
    (a, falsely), b = ejections(result)
    assert a == falsely > 0
    assert b == (0.0, 0.0)
    assert told(result) == [
        f"round_robin: ejected, times per replication: a {a:.3g} ({a:.3g} without a fault)"
    ]


@pytest.mark.parametrize(
    ("at", "counts"),
    [(9.9, (1, 1)), (10.0, (1, 0)), (20.0, (1, 0)), (23.0, (1, 0)), (23.1, (1, 1))],
)
def test_false_is_what_no_fault_of_late_explains(at: float, counts: tuple[int, int]) -> None:
    (record,) = simulated()["round_robin"].records[:1]
    another = replace(record, ejected=[(0, at), (1, 5.0)], troubles=[(0, 10.0, 20.0)])
    assert another.ejections(0, memory=3.0) == counts
    assert another.ejections(1, memory=3.0) == (1, 1)
