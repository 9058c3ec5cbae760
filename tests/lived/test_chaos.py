"""Random fault schedules lived: the real proxy over real sockets, in virtual time."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from sim.analysis.books import imbalances, unsettled
from sim.checks.chaos import ALGORITHMS
from sim.model.trials import trial
from tests.lived.world import lived

SECONDS = 60.0


@pytest.mark.parametrize("seed", range(100, 104))
def test_live_too_all_come_back_and_the_books_balance(seed: int) -> None:
    text = trial(seed, ALGORITHMS, SECONDS)
    seen = lived(text)
    account = asdict(seen.snapshot)
    assert [*imbalances(account), *unsettled(account)] == [], text
