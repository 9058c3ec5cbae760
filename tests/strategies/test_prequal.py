"""Prequal: the hot and cold rule, the pool, and how many probes are asked for."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from lb.errors import UsageError
from lb.strategies import create
from lb.strategies.prequal import Prequal
from tests.doubles import Draws, Server, joined, servers

MANY = 40


def prequal(n: int, **settings: object) -> tuple[Prequal[Any], list[Server]]:
    members = servers(*[1] * n)
    strategy = joined(create("prequal", Random(5), settings), members)
    assert isinstance(strategy, Prequal)
    return strategy, members


def told(strategy: Prequal[Any], *reports: tuple[Server, int, float], now: float = 0.0) -> None:
    for server, in_flight, latency in reports:
        strategy.probed(server, now, in_flight, latency)


def test_of_the_cold_the_fastest_is_picked() -> None:
    strategy, (a, b, c) = prequal(3)
    told(strategy, (a, 1, 0.030), (b, 1, 0.010), (c, 1, 0.020))
    assert strategy.pick(0.0) is b


def test_of_two_as_fast_the_one_that_spoke_first_is_picked() -> None:
    strategy, (a, b, c) = prequal(3)
    told(strategy, (c, 1, 0.030), (b, 1, 0.010), (a, 1, 0.010))
    assert strategy.pick(0.0) is b


def test_by_weight_or_beyond_their_number_other_backends_are_asked_all_the_same() -> None:
    strategy, members = prequal(2, probes=5)
    strategy.pick(0.0)
    assert sorted(strategy.probes(0.0), key=lambda it: it.order) == members
    uneven = servers(1, 1000, 1000)
    weighted = joined(create("prequal", Random(5), {"probes": 2}), uneven)
    weighted.pick(0.0)
    assert uneven[0] not in weighted.probes(0.0)


def test_a_hot_one_is_passed_over_however_fast_it_is() -> None:
    strategy, (a, b, c) = prequal(3, quantile=0.5)
    told(strategy, (a, 9, 0.001), (b, 2, 0.010), (c, 2, 0.020))
    assert strategy.pick(0.0) is b


def test_if_all_are_hot_the_fewest_in_flight_is_picked() -> None:
    strategy, (a, b, _, d) = prequal(4, quantile=0.0, pool=2)
    told(strategy, (d, 0, 1.0), (d, 0, 1.0))  # sets the threshold, then falls out of the pool
    told(strategy, (a, 7, 0.001), (b, 3, 0.900))
    assert strategy.pick(0.0) is b


def test_an_answer_that_is_used_counts_what_was_sent_there() -> None:
    """Otherwise all picks between two probes would go to one backend."""
    strategy, (a, b) = prequal(2, quantile=0.4)
    told(strategy, (a, 0, 0.010), (b, 0, 0.011), (a, 1, 0.010), (b, 1, 0.011))
    picks = {strategy.pick(0.0) for _ in range(3)}
    assert picks == {a, b}


def test_old_answers_are_thrown_away() -> None:
    strategy, members = prequal(3, max_age="1s")
    told(strategy, (members[2], 0, 0.001), (members[2], 0, 0.001))
    told(strategy, (members[0], 0, 0.5), (members[1], 0, 0.6), now=0.9)
    assert strategy.pick(1.5) is members[0]  # the fastest spoke more than a second ago


def test_with_fewer_than_two_answers_the_pick_is_random() -> None:
    strategy, members = prequal(4)
    told(strategy, (members[0], 0, 0.001))
    assert len({strategy.pick(0.0) for _ in range(100)}) == 4


def test_a_random_pick_is_one_draw() -> None:
    members = servers(1, 1, 1, 1)
    script = Draws(0.6)
    assert joined(create("prequal", script), members).pick(0.0) is members[2]
    assert script.left == []


def test_answers_of_the_blocked_and_the_departed_are_dropped() -> None:
    strategy, (a, b, c) = prequal(3)
    told(strategy, (a, 0, 0.001), (a, 0, 0.001), (b, 0, 0.002), (b, 0, 0.002), (c, 0, 0.5))
    strategy.block(a, 0.0)
    assert strategy.pick(0.0) is b
    strategy.leave(b, 0.0)
    assert strategy.pick(0.0) is c
    told(strategy, (a, 0, 0.001), (b, 0, 0.001))
    assert strategy.pick(0.0) is c


def test_avoided_backends_are_passed_over() -> None:
    strategy, (a, b, c) = prequal(3)
    told(strategy, (a, 0, 0.001), (b, 0, 0.002), (c, 0, 0.003))
    assert strategy.pick(0.0, b"", (a,)) is b


@pytest.mark.parametrize(
    ("per_pick", "picks", "expected"), [(3, 10, 30), (0.5, 10, 5), (1.5, 4, 6)]
)
def test_probes_are_asked_for_at_their_rate(per_pick: float, picks: int, expected: int) -> None:
    strategy, _ = prequal(MANY, probes=per_pick)
    asked = []
    for _ in range(picks):
        strategy.pick(0.0)
        batch = strategy.probes(0.0)
        assert len(set(batch)) == len(batch), "different backends"
        asked += batch
    assert len(asked) == expected


def test_a_lone_backend_is_not_probed() -> None:
    strategy, (only,) = prequal(1)
    assert strategy.pick(0.0) is only
    assert not strategy.probes(0.0)


def test_who_is_left_alone_is_not_probed_for_what_was_owed() -> None:
    strategy, (gone, _) = prequal(2)
    strategy.pick(0.0)
    strategy.leave(gone, 0.0)
    assert not strategy.probes(0.0)


def test_the_pool_is_bounded() -> None:
    strategy, members = prequal(MANY, pool=4, probes=3)
    told(strategy, *[(member, 1, 0.01) for member in members])
    assert len(strategy._answers) == 4


def left(strategy: Prequal[Any]) -> str:
    return "".join(repr(answer.backend) for answer in strategy._answers)


def test_each_pick_takes_the_oldest_answer_and_the_worst_out_in_turn() -> None:
    """An answer that was used counts one more in flight, and all began alike: it is hot then."""
    strategy, members = prequal(6)
    slowness = (0.06, 0.01, 0.05, 0.02, 0.03, 0.04)
    told(strategy, *[(member, 1, s) for member, s in zip(members, slowness, strict=True)])
    seen = [(repr(strategy.pick(0.0)), left(strategy)) for _ in range(6)]
    assert seen == [
        ("b", "bcdef"),  # the oldest
        ("d", "cdef"),  # of the hot, the first with most in flight
        ("e", "def"),
        ("f", "ef"),
        ("e", "ef"),  # two stay
        ("f", "ef"),
    ]


def test_when_none_is_hot_the_worst_is_the_slowest() -> None:
    strategy, (a, b, c, d, e) = prequal(5, quantile=1.0)
    told(strategy, (a, 9, 0.9), (b, 1, 0.01), (c, 1, 0.03), (d, 1, 0.05), (e, 1, 0.02))
    assert [strategy.pick(0.0) for _ in range(2)] == [b, b]
    assert left(strategy) == "bce"


def test_an_answer_that_is_used_up_is_thrown_away() -> None:
    members = servers(*[1] * 160)
    strategy: Any = joined(create("prequal", Draws(0.9, 0.9, 0.0, 0.9)), members)
    told(strategy, *[(member, 1, 0.01 * member.order) for member in members[:4]])
    assert [answer.uses_left for answer in strategy._answers] == [1, 1, 2, 1]
    assert strategy.pick(0.0) is members[0]
    assert left(strategy) == "bcd"
    assert strategy.pick(0.0) is members[1]
    assert left(strategy) == "cd"
    assert strategy.pick(0.0) is members[2]
    assert left(strategy) == "cd"
    assert strategy.pick(0.0) is members[3]
    assert left(strategy) == "c"


def test_an_answer_is_good_for_its_age_and_no_longer() -> None:
    for at, answers in ((1.0, "ab"), (1.001, "b")):
        strategy, (a, b) = prequal(2)
        told(strategy, (a, 1, 0.01))
        told(strategy, (b, 1, 0.02), now=0.5)
        strategy.pick(at)
        assert left(strategy) == answers


def test_heat_is_measured_by_the_last_128_counts() -> None:
    for later, picked in ((127, "a"), (128, "b")):
        strategy, (a, b) = prequal(2, quantile=0.99, pool=2)
        told(strategy, (a, 9, 0.01), *[(b, 1, 0.02)] * (later - 1), (a, 2, 0.01))
        assert left(strategy) == "ba"
        assert repr(strategy.pick(0.0)) == picked


def test_the_coldest_of_the_hot_is_the_first_of_them() -> None:
    strategy, (a, b, c) = prequal(3, quantile=0.0)
    told(strategy, (a, 0, 0.1), (b, 2, 0.1), (c, 2, 0.01))
    strategy.block(a, 0.0)  # the count it told stays
    assert strategy.pick(0.0) is b


def test_answers_that_leave_as_fast_as_they_come_are_never_used_up() -> None:
    """n = 32, m = 16, 2 probes: half of what is asked is removed anyway, and nothing is left."""
    strategy, members = prequal(32, probes=2)
    told(strategy, (members[0], 1, 0.01))
    assert strategy._answers[0].uses_left == float("inf")


def test_an_answer_is_used_as_often_as_the_paper_allows() -> None:
    """n = 160, m = 16, 3 probes, delta 1: 2 / (0.9 x 3 - 1) = 1.18 uses, 1 or 2 by a draw."""
    strategy, members = prequal(160)
    uses = []
    for member in members:
        told(strategy, (member, 1, 0.01))
        uses.append(strategy._answers[-1].uses_left)
    assert set(uses) == {1.0, 2.0}
    assert 0.05 < uses.count(2.0) / len(uses) < 0.35


@pytest.mark.parametrize(
    "wrong",
    [
        {"pool": 1},
        {"probes": 0},
        {"quantile": 1.5},
        {"quantile": -0.1},
        {"max_age": "0s"},
        {"surplus": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="prequal"):
        create("prequal", Random(1), wrong)


@pytest.mark.parametrize("right", [{"pool": 2}, {"quantile": 0}, {"quantile": 1}])
def test_settings_at_their_limits_are_taken(right: dict[str, object]) -> None:
    create("prequal", Random(1), right)
