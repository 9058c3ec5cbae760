"""Figures of systems beside what is known: what is off is seen, and what says nothing too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.checks import papers, queues
from sim.checks.systems import QUICK, SHARES, Figure, System, checked
from sim.checks.theory import m_g_1

pytestmark = pytest.mark.no_cover  # watched, it takes three times as long
SYSTEMS = {system.name: system for room in (queues, papers) for system in room.systems()}
CONSTANT = SYSTEMS["M/D/1 at 0.8"]
MEAN = replace(
    CONSTANT,
    theory=None,
    figures=(Figure("mean", m_g_1(0.0, 0.8), widest=0.1),),
    requests=500_000,
)


def of(system: System, figure: Figure) -> System:
    return replace(system, figures=(figure,))


@pytest.mark.parametrize("name", ["M/D/1 at 0.8", "two choices of 3 at 0.7", "JSQ(2) at 0.8"])
def test_service_that_is_three_percent_slower_is_seen(name: str) -> None:
    system = next(system for title, system in SYSTEMS.items() if title.startswith(name))
    off = replace(system, models=tuple(model.replace("10ms", "10.3ms") for model in system.models))
    assert all(check.kept for check in checked(system, quick=True))
    assert not all(check.kept for check in checked(off, quick=True))


def test_an_oracle_that_is_wrong_by_a_tenth_is_outside() -> None:
    (figure,) = MEAN.figures
    assert figure.oracle is not None
    for factor, kept in ((1.0, True), (1.1, False), (0.9, False)):
        (check,) = checked(of(MEAN, replace(figure, oracle=factor * figure.oracle)))
        assert check.kept is kept
        assert check.why == ("" if kept else "the oracle is outside")
        assert check.simulated is not None
        assert check.oracle == factor * figure.oracle


def test_what_may_be_off_by_so_much_is_given_it() -> None:
    (figure,) = MEAN.figures
    assert figure.oracle is not None
    (check,) = checked(of(MEAN, replace(figure, oracle=1.1 * figure.oracle, off=0.1)))
    assert check.kept


def test_too_wide_an_interval_says_nothing() -> None:
    (check,) = checked(of(MEAN, replace(MEAN.figures[0], widest=1e-4)))
    assert check.kept is False
    assert check.why == "too uncertain to tell"


@pytest.mark.parametrize(
    ("relation", "oracle", "why"),
    [
        ("<", 3.5, ""),
        ("<", 3.0, "not surely less"),
        (">", 2.5, ""),
        (">", 3.0, "not surely more"),
    ],
)
def test_bounds_must_be_kept_by_the_whole_interval(relation: str, oracle: float, why: str) -> None:
    (check,) = checked(of(MEAN, Figure("mean", oracle, relation, widest=0.1)))
    assert check.kept is not bool(why)
    assert check.why == why


def test_figures_of_two_algorithms_are_divided_request_by_request() -> None:
    same = of(MEAN, Figure("mean", 1.0, against="random", title="another", widest=1e-9))
    (check,) = checked(same)
    assert check.kept, "one backend is one backend, whoever picks it"
    assert check.says == "mean over that of another"


def test_a_figure_without_theory_must_say_what_is_known() -> None:
    with pytest.raises(AssertionError, match="states what is known"):
        checked(of(replace(MEAN, requests=40_000), Figure("mean")))


def test_each_system_is_a_scenario_and_each_figure_is_one_of_those_that_can_be_read() -> None:
    for system in SYSTEMS.values():
        most = system.requests // QUICK if system.quick else system.requests
        seconds = most / system.replications / (system.rate or 2.0)
        assert system.warmup < 0.6 * seconds, system.name
        assert len(f"{system.name} ({system.source})") <= 80
        for figure in system.figures:
            assert figure.name in {"mean", "p50", "p99", *SHARES}
            assert system.theory is not None or figure.oracle is not None
            assert len(figure.name) <= 34


def test_no_two_systems_see_the_same_requests() -> None:
    seeds = [system.scenario(system.requests).run.seed for system in SYSTEMS.values()]
    assert len(set(seeds)) == len(seeds)
