"""Backends that are alike but for their discipline: one of them is in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sim.analysis.statistics import Estimate
from sim.fit.calibrate.ranking import TELLING
from sim.fit.calibrate.station import Station
from sim.fit.calibrate.stays import Discipline

CERTAIN = 10 * TELLING
"""How much likelier a discipline must be than the other, as a logarithm, for twins to differ."""


def doubted(stations: Sequence[Station], means: Sequence[Estimate]) -> list[Station]:
    """The same, with either discipline for those whose twin seems to have the other one: machines
    of one kind, with as many workers and services as long, hardly ever differ in that alone.
    """
    result = []
    for one, mean in zip(stations, means, strict=True):
        twins = [other for other, its in zip(stations, means, strict=True) if _overlap(mean, its)]
        unlike = any(_differ(one, other) for other in twins)
        if unlike and one.margin < CERTAIN:
            one = replace(one, disciplines=_either(one))
        result.append(one)
    return result


def _either(one: Station) -> tuple[Discipline, ...]:
    return ("fifo", "ps") if one.hypothesis.discipline == "fifo" else ("ps", "fifo")


def _differ(one: Station, other: Station) -> bool:
    a, b = one.hypothesis, other.hypothesis
    sure = len(one.disciplines) == len(other.disciplines) == 1
    return sure and a.workers == b.workers and a.discipline != b.discipline


def _overlap(one: Estimate, other: Estimate) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low < other.high and other.low < one.high
