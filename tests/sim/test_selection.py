"""Ranking and selection on figures that are known: how often the best one stays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from sim.checks.honesty import at_most
from sim.fit.recommend.scores import Score
from sim.fit.recommend.selection import FIRST, ROUNDS, Selection, select

SEARCHES = 150
CHANCE = 0.001


def search(
    means: Sequence[float], seed: int, *, common: float = 1.0, own: float = 0.5, rounds: int = 5
) -> Selection:
    """Normal figures whose replications share `common` and have `own` of their own."""
    rng = np.random.default_rng(seed)
    most = FIRST * 2 ** (rounds - 1)
    shared = rng.normal(0.0, common, most)
    # The slower ones vary more, as they do in queues.
    parts = {
        str(k): mean + shared + rng.normal(0.0, own * mean, most) for k, mean in enumerate(means)
    }

    def played(names: Sequence[str], replications: int) -> Mapping[str, Score] | None:
        if replications > most:
            return None
        return {
            name: Score(float(parts[name][:replications].mean()), parts[name][:replications])
            for name in names
        }

    return select(list(parts), played)


@pytest.mark.parametrize(
    "means",
    [
        pytest.param((1.0, *[1.0] * 9), id="all alike"),
        pytest.param((1.0, *[1.02] * 9), id="one hardly better than all others"),
        pytest.param((1.0, 1.1, 1.2, 1.5, 2.0, 3.0), id="spread out"),
    ],
)
@pytest.mark.parametrize("common", [0.0, 3.0])
def test_the_best_stays_as_often_as_is_said(means: tuple[float, ...], common: float) -> None:
    stayed = sum("0" in search(means, seed, common=common).left for seed in range(SEARCHES))
    assert at_most(stayed, SEARCHES, 0.95) > CHANCE


def test_nobody_is_better_by_more_than_is_said() -> None:
    means = (1.0, 1.02, 1.04, 1.1, 1.3)
    kept = 0
    for seed in range(SEARCHES):
        found = search(means, seed, own=0.3)
        name = found.left[-1]
        mean = means[int(name)]
        kept += (mean - 1.0) / mean <= found.regret(name) * (1 + found.scores[name].value)
    assert at_most(kept, SEARCHES, 0.95) > CHANCE


def test_what_is_far_off_leaves_at_once_and_costs_no_more() -> None:
    found = search((1.0, 1.001, 9.0), 1, own=0.2)
    assert "2" not in found.left
    assert len(found.scores["2"].parts) == FIRST
    assert len(found.scores["0"].parts) > FIRST


def test_common_random_numbers_tell_apart_what_would_not_be_told() -> None:
    means = (1.0, 1.3, 1.3)
    assert search(means, 2, common=5.0, own=0.2).left == ("0",)
    assert len(search(means, 2, common=0.0, own=5.0).left) == 3


def test_equals_to_the_bit_stay_together_and_end_the_search() -> None:
    found = search((1.0, 1.0, 5.0), 3, own=0.0)
    assert found.left == ("0", "1")
    assert found.rounds == 1
    assert found.regret("0") == 0.0


def test_what_cannot_keep_up_is_worse_than_all_that_does() -> None:
    good = Score(1.0, np.array([0.9, 1.1] * 5))
    endless = Score(math.inf, np.full(10, math.inf))
    found = select(["endless", "good"], lambda names, _: {"endless": endless, "good": good})
    assert found.left == ("good",)
    nobody = select(["a", "b"], lambda names, _: dict.fromkeys(names, endless))
    assert nobody.left == ("a", "b")
    assert nobody.rounds < ROUNDS
