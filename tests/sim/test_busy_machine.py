"""A machine that is too busy to judge by: invalid, and never a miss of the proxy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.live.lateness import WAKES
from sim.live.verdict import (
    Judgement,
)
from tests.sim.live_runs import Case, judged


def test_a_generator_that_was_late_is_invalid_and_not_missed(case: Case) -> None:
    """Even when the figures are off: whose fault they are cannot be told."""
    sent, ended = case[2].sent + 0.5, case[2].ended + 0.5
    verdict = judged(case, sent=sent, ended=ended)
    assert not all(line.ok for line in verdict.latency.values())
    assert verdict.judgement is Judgement.INVALID
    assert verdict.invalid[0].startswith("this machine was busy: the load generator was late by ")
    for figure in ("mean", "p50", "p95"):
        assert f"500 ms ({figure})" in verdict.invalid[0]


def starved(case: Case, seed: int, typical: float, worst: float = 0.0) -> dict[str, NDArray[Any]]:
    """A run on a machine where every wait for a turn takes exponentially long, `typical` seconds;
    with `worst`, where all stands still for so long ten times as well."""
    schedule, measured = case[1:3]
    rng = np.random.default_rng(seed)
    waits = rng.exponential(typical, (WAKES, len(schedule)))
    sent, ended = schedule.times + waits[0], measured.ended + waits.sum(axis=0)
    for begins in np.linspace(schedule.times[60], schedule.times[-60], 10):
        for times in (sent, ended):
            held = (times >= begins) & (times < begins + worst)
            times[held] = begins + worst
    return {"sent": sent, "ended": np.maximum(ended, sent)}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("typical", "worst"), [(0.04, 0.0), (0.1, 0.0), (0.01, 9.0), (1.0, 0.0)])
def test_a_starved_machine_is_invalid_and_never_missed(
    case: Case, seed: int, typical: float, worst: float
) -> None:
    """The generator is late by less than the verdict tolerates; the other processes were too."""
    verdict = judged(case, **starved(case, seed, typical, worst))
    assert verdict.judgement is not Judgement.MISSED
    if typical > 0.05 or worst:
        assert verdict.judgement is Judgement.INVALID
        assert verdict.invalid[0].startswith("this machine was busy: ")


@pytest.mark.parametrize("slower", [1.3, 2.0, 5.0])
def test_a_slow_proxy_is_missed_when_the_generator_was_punctual(case: Case, slower: float) -> None:
    schedule, measured = case[1:3]
    sent = schedule.times + np.random.default_rng(1).exponential(2e-4, len(schedule))
    ended = schedule.times + slower * (measured.ended - schedule.times)
    assert judged(case, sent=sent, ended=ended).judgement is Judgement.MISSED


def test_a_proxy_far_slower_than_the_machine_was_late_is_missed(case: Case) -> None:
    schedule = case[1]
    columns = starved(case, 1, 0.02)
    ended = schedule.times + 5 * (columns["ended"] - schedule.times)
    assert judged(case, sent=columns["sent"], ended=ended).judgement is Judgement.MISSED


def test_an_honest_run_on_an_ordinary_machine_is_judged(case: Case) -> None:
    assert judged(case, **starved(case, 1, 3e-4)).judgement is Judgement.PASSED


def test_shares_on_a_busy_machine_are_not_judged(case: Case) -> None:
    backend = np.where(np.arange(1000) % 3 == 0, 1, case[2].backend)
    assert judged(case, backend=backend).judgement is Judgement.MISSED
    late = starved(case, 1, 0.02)
    verdict = judged(case, backend=backend, sent=late["sent"])
    assert verdict.judgement is Judgement.INVALID
    assert verdict.invalid[0].endswith("would explain what is off")


def test_lateness_is_judged_where_latency_is(case: Case) -> None:
    """One late request in a hundred matters to p99 and to nothing else."""
    sent = case[2].sent.copy()
    sent[50::90] += 5.0
    verdict = judged(case, sent=sent)
    (reason,) = verdict.invalid
    assert "p99" in reason
    sent[50::90] -= 5.0
    sent[100:103] += 5.0
    assert judged(case, sent=sent).judgement is Judgement.PASSED


def test_backends_whose_work_is_another_are_found_out_on_any_machine(case: Case) -> None:
    """How much work a request was is no matter of time."""
    sent, ended, service = case[2].sent + 0.5, case[2].ended + 0.5, case[2].service
    assert service is not None
    verdict = judged(case, sent=sent, ended=ended, service=1.3 * service)
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert verdict.cause.who == "backends"
