"""Users who wait for their answers show in what arrives while many are in flight."""

import heapq

import numpy as np
import pytest

from lb.traces.observed import Observing
from sim.analysis.statistics import Estimate
from sim.fit.calibrate.doubts import misfits
from sim.fit.calibrate.loops import waits_for_answers
from sim.fit.calibrate.replay import Replayed
from sim.fit.seen import Seen


def served(arrivals: np.ndarray | None, think: float = 0.0) -> Seen:
    """Two workers; arrivals as given, or of eight users who think so long."""
    rng, rows = np.random.default_rng(1), Observing("made.rec")
    free = [0.0, 0.0]
    to_come = np.arange(8.0) / 100 if arrivals is None else arrivals
    coming = to_come.tolist()
    for _ in range(1500):
        at = heapq.heappop(coming)
        end = max(at, heapq.heappop(free)) + float(rng.exponential(0.02))
        heapq.heappush(free, end)
        request = rows.request(at, end)
        rows.attempt(request, "a", at, at, end, end)
        if arrivals is None:
            heapq.heappush(coming, end + think * float(rng.exponential()) + 1e-4)
    return Seen.of(rows.done())


@pytest.mark.parametrize("think", [0.0, 0.05])
def test_users_who_wait_are_told(think: float) -> None:
    assert waits_for_answers(served(None, think))


def test_arrivals_of_their_own_are_not_taken_for_users() -> None:
    rng = np.random.default_rng(2)
    steady = np.cumsum(rng.exponential(1 / 80, 1500))
    assert not waits_for_answers(served(steady))
    assert not waits_for_answers(served(np.where(steady > 8, steady + 600, steady)))
    assert not waits_for_answers(served(np.arange(1500) / 80))


def test_a_misfit_names_what_may_be_its_reason() -> None:
    figures = dict.fromkeys(("mean", "p50", "p95", "p99"), 0.05)
    again = {name: Estimate(0.07, 0.06, 0.08) for name in figures}
    found = Replayed(figures, again, (), (0.0, 0.0), (np.empty(0), np.empty(0)))
    (waits,) = misfits(found, served(None), guessed=True)
    assert "wait for its answers" in waits
    own = served(np.cumsum(np.random.default_rng(2).exponential(1 / 80, 1500)))
    (other,) = misfits(found, own, guessed=True)
    assert other.endswith("-a NAME")
    (rest,) = misfits(found, own, guessed=False)
    assert rest.endswith("other traffic at the backends, say")
