"""Runs that change with time are judged phase by phase."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lb.config import Scenario
from sim import Schedule, rehearse
from sim.analysis.fates import Fates
from sim.live.phases import Phase, phases
from sim.live.rehearsal import rehearsed
from sim.live.verdict import Judgement, judge
from sim.output.plots.beside import distributions
from sim.output.plots.pictures import draw_distributions
from tests.sim.live_runs import changed
from tests.sim.printed import printed
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

DOWN = '[[fault]]\nbackend = "b:0"\nkind = "down"\nfrom = "100s"\nto = "150s"\n'


def troubled(fault: str = DOWN) -> Scenario:
    """One of three backends is down for a while; seconds stand for milliseconds."""
    return scenario(
        *[serves(EXPONENTIAL, workers=8)] * 3,
        rate=4.0,
        run='duration = "300s"',
        more=f'algorithm = "least_connections"\n{fault}',
    )


def profile(shape: str, points: str) -> Scenario:
    text = f"""
        [[backend]]
        address = "b:1"
        model = {{ service = {{ law = "exponential", mean = "10ms" }}, workers = 2 }}
        [traffic]
        arrivals = {{ process = "profile", shape = "{shape}", points = [{points}] }}
        [run]
        duration = "60s"
        """
    return Scenario.parse(text)


def calm(looks: int, out: slice = slice(0)) -> Fates:
    """A run with an answer each second after 10 ms, and who was usable."""
    at = np.arange(300.0)
    rotation = np.ones((looks, 3))
    rotation[out, 0] = 0.0
    return Fates(at, at + 0.01, np.ones(300, bool), rotation)


def told(found: list[Phase]) -> list[tuple[str, float, float, bool]]:
    return [(one.name, one.since, round(one.until, 9), one.loose) for one in found]


def test_trouble_has_a_before_a_during_and_an_after() -> None:
    """And a recovery: two seconds, or until the backend is back in every predicted run."""
    assert told(phases(troubled(), [calm(3000)] * 2, 20.0, 290.0)) == [
        ("before", 20.0, 100.0, False),
        ("during", 100.0, 150.0, True),
        ("recovery", 150.0, 152.0, True),
        ("after", 152.0, 290.0, False),
    ]
    longer = calm(3000, slice(1000, 1700))
    assert told(phases(troubled(), [calm(3000), longer], 20.0, 290.0))[2:] == [
        ("recovery", 150.0, 172.0, True),
        ("after", 172.0, 290.0, False),
    ]


def test_what_is_never_over_has_no_after() -> None:
    ever = calm(3000, slice(1000, 3000))
    assert [one.name for one in phases(troubled(), [ever], 20.0, 290.0)][-1] == "recovery"


def test_what_is_before_the_cut_or_after_the_end_is_no_phase() -> None:
    assert [one.name for one in phases(troubled(), [calm(3000)], 90.0, 140.0)] == [
        "before",
        "during",
    ]
    assert phases(scenario(serves(CONSTANT)), [], 0.0, 100.0) == []


def test_trouble_throughout_is_how_it_is() -> None:
    assert told(phases(troubled(), [calm(3000)], 110.0, 140.0)) == [
        ("throughout", 110.0, 140.0, False)
    ]


def test_a_stepped_rate_has_a_phase_for_each_step() -> None:
    """Above the capacity of 200/s lines grow, and what comes later is felt by them."""
    points = '["0s", 50], ["10s", 100], ["20s", 300], ["40s", 50]'
    found = phases(profile("step", points), [], 3.0, 59.0)
    assert told(found) == [
        ("1: 50/s", 3.0, 10.0, False),
        ("2: 100/s", 10.0, 20.0, False),
        ("3: 300/s", 20.0, 40.0, True),
        ("4: 50/s", 40.0, 59.0, True),
    ]


def test_a_slope_is_trouble() -> None:
    found = phases(profile("linear", '["10s", 50], ["20s", 150]'), [calm(600)], 0.0, 59.0)
    assert [one.name for one in found] == ["before", "during", "recovery", "after"]


def test_each_phase_has_its_requests_its_distribution_and_its_failures() -> None:
    verdict = rehearse(troubled(), 5)
    assert verdict.judgement is Judgement.PASSED
    names = [one.phase.name for one in verdict.phases]
    assert names[:2] == ["before", "during"]
    assert names[-1] == "after"
    assert sum(one.requests for one in verdict.phases) == verdict.requests
    during = verdict.phases[1]
    assert during.shares["b:0"].measured < 0.1 < verdict.phases[0].shares["b:0"].measured
    assert during.failures is not None
    document = verdict.as_dict()["phases"]
    assert list(document[0]) == [
        *("name", "from", "to", "requests", "ok", "latency", "distribution", "shares", "failed"),
    ]
    assert [one["ok"] for one in document] == [True] * len(names)


@pytest.mark.parametrize(("phase", "since", "until"), [("before", 0, 100), ("after", 200, 300)])
def test_a_phase_that_is_off_is_named(phase: str, since: float, until: float) -> None:
    of = troubled()
    schedule = Schedule.draw(of)
    measured = rehearsed(of, schedule)
    mine = (schedule.times >= since) & (schedule.times < until)
    slower = changed(measured, ended=measured.ended + np.where(mine, 3.0, 0.0))
    verdict = judge(of, schedule, slower)
    assert verdict.judgement is Judgement.MISSED
    (off,) = [one.phase.name for one in verdict.phases if one.misses]
    assert off == phase
    assert f"p50 {phase}" in verdict.off
    assert f"distribution {phase}" in verdict.off


def test_failures_have_a_kind() -> None:
    """A backend that fails at once is retried nowhere: its clients hear 5xx."""
    of = troubled(
        '[[fault]]\nbackend = "b:0"\nkind = "fail_fast"\nfrom = "100s"\nto = "150s"\n'
        "[retries]\nmax = 0\n"
    )
    schedule = Schedule.draw(of)
    measured = rehearsed(of, schedule)
    verdict = judge(of, schedule, measured)
    assert verdict.judgement is Judgement.PASSED
    assert list(verdict.errors) == ["5xx"]
    lost = verdict.errors["5xx"].measured
    assert lost == verdict.failures.measured > 0
    assert measured.kind is not None
    kinds = np.where(measured.kind == 4, 2, measured.kind).astype(np.int8)
    other = judge(of, schedule, changed(measured, kind=kinds))
    assert {name: line.measured for name, line in other.errors.items()} == {
        "timeouts": lost,
        "5xx": 0,
    }


@pytest.mark.parametrize("width", [60, 80])
def test_phases_and_backends_are_printed_in_any_width(width: int) -> None:
    of = troubled()
    schedule = Schedule.draw(of)
    measured = rehearsed(of, schedule)
    assert measured.service is not None
    slow = np.where(measured.backend == 1, 1.4, 1.0)
    late = schedule.times + slow * (measured.ended - schedule.times)
    verdict = judge(of, schedule, changed(measured, ended=late, service=slow * measured.service))
    text = printed(verdict, width)
    assert max(map(len, text.splitlines())) <= width
    assert "Each backend while all is calm: measured/predicted" in " ".join(text.split())
    assert "before (0-100 s)" in text
    assert "Where it comes from: backends: b:1 works" in " ".join(text.split())
    assert "Off: " in text


def test_distributions_are_drawn_whole_or_phase_by_phase(tmp_path: Path) -> None:
    whole = rehearse(scenario(serves(EXPONENTIAL), run="requests = 300", warmup="auto"), 1)
    parts = rehearse(troubled(), 5)
    for verdict, count in ((whole, 1), (parts, len(parts.phases))):
        panels = [ax for ax in distributions(verdict).axes if ax.lines]
        assert len(panels) == count
        for ax in panels:
            predicted, measured = ax.lines[:2]
            assert (predicted.get_label(), measured.get_label()) == ("predicted", "measured")
            assert np.all(np.diff(np.asarray(measured.get_ydata())) >= 0)
            assert ax.get_xscale() == "log"
    path = draw_distributions(parts, tmp_path / "verdict.json")
    assert path.name == "verdict.distributions.png"
    assert path.read_bytes().startswith(b"\x89PNG")
