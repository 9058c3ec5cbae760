"""How useful old information is: balancers that go by a board which is new only now and then."""

from __future__ import annotations

import pytest

from sim import simulate
from tests.sim.scenarios import EXPONENTIAL, scenario, serves


def test_old_boards_make_the_least_loaded_worse_than_random_and_two_choices_little_worse() -> None:
    """Mitzenmacher 2000: 50 M/M/1 at 0.9, a board that is new every T service times."""
    run = "requests = 20000\nreplications = 1"
    file = scenario(*[serves(EXPONENTIAL)] * 50, rate=45, run=run, warmup="60s")

    def mean(settings: str) -> float:
        name = f"least_reported:{settings}"
        return simulate(file, name)[name].latency["mean"].value

    (random,) = simulate(file, "random").runs
    fresh, stale = (mean(f"every={every}s,own=false,choices=0") for every in (0.2, 10))
    two_fresh, two_stale = (mean(f"every={every}s,own=false") for every in (0.2, 10))
    assert fresh < two_fresh < two_stale < random.latency["mean"].value < stale
    mended = mean("every=10s,choices=0")  # with its own requests one balancer knows everything
    (shortest,) = simulate(file, "least_connections").runs
    assert mended == pytest.approx(shortest.latency["mean"].value, rel=0.01)
