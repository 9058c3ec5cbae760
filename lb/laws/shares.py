"""Laws of shares: how often each is picked, and who is compared with whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import Any

from lb.laws.kit import Seeded, Server, end, make, require, send, servers
from lb.strategies.base import Random
from lb.strategies.spec import Spec


def fits(counts: Sequence[int], expected: Sequence[float]) -> bool:
    """Pearson's chi-square at one in a thousand; quantile after Wilson and Hilferty, 1931."""
    statistic = sum((o - e) ** 2 / e for o, e in zip(counts, expected, strict=True))
    spread = 2 / (9 * (len(counts) - 1))
    limit: float = (len(counts) - 1) * (1 - spread + 3.0902 * spread**0.5) ** 3
    return statistic <= limit


def shares_follow_weights(row: Spec, seeded: Seeded) -> None:
    """Of an idle service, in the long run."""
    draws = 20_000
    for weights in ((1, 1), (3, 1), (1, 2, 5), (0.5, 1.5, 4, 4)):
        strategy = make(row, seeded(11), servers(*weights))
        counts: Counter[int] = Counter()
        for number in range(draws):
            picked = send(strategy, key=b"%d" % number)
            counts[picked.order] += 1
            end(strategy, picked)
        expected = [draws * weight / sum(weights) for weight in weights]
        seen = [counts[order] for order in range(len(weights))]
        require(fits(seen, expected), f"weights {weights} gave picks {seen}")


def is_inexact(row: Spec) -> bool:
    """Whether its sequence is HAProxy's, where one who begins late in a period may lose a turn."""
    params: Any = row.configure({})
    return getattr(params, "sequence", "") == "fwrr"


def every_window_is_exact(row: Spec, seeded: Seeded) -> None:
    """Of whole weights: as many picks as their sum name each backend as often as its weight."""
    for weights in ((1, 1, 1), (5, 1, 1), (1, 2, 3), (7, 3, 2, 2), (1, 9)):
        strategy = make(row, seeded(12), servers(*weights))
        period = sum(weights)
        picks = [send(strategy).order for _ in range(4 * period)]
        for start in range(3 * period):
            window = Counter(picks[start : start + period])
            require(
                window == dict(enumerate(weights)),
                f"weights {weights}: the window from {start} has {dict(window)}",
            )


class Echo:
    """Random numbers that can be had again."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._said: list[float] = []
        self._at = 0

    def random(self) -> float:
        if self._at == len(self._said):
            self._said.append(self._rng.random())
        self._at += 1
        return self._said[self._at - 1]

    def again(self) -> None:
        """The same numbers from here on."""
        self._at = 0

    def anew(self) -> None:
        """Other numbers from here on."""
        self._said.clear()
        self._at = 0


def every_draw_is_equally_likely(row: Spec, seeded: Seeded) -> None:
    """Of backends that differ in load: the least of those drawn is picked, no draw is preferred.

    As many are drawn as the parameter `choices` says, two without one; different ones, unless
    `replacement` says that one may be drawn twice. Whoever is picked when he has nothing to do was
    among those drawn by the same random numbers.
    """
    draws, n = 20_000, 5
    expected = _draws(n, row)
    loads = (4, 2, 5, 1, 3)
    members = [Server(order, active=active) for order, active in enumerate(loads)]
    numbers = Echo(seeded(13))
    strategy = make(row, numbers, members)

    def picked_when_idle(member: Server) -> bool:
        numbers.again()
        member.active = 0
        picked = strategy.pick(0.0)
        member.active = loads[member.order]
        return picked is member

    seen: Counter[tuple[int, ...]] = Counter()
    for _ in range(draws):
        numbers.anew()
        picked = strategy.pick(0.0)
        drawn = tuple(member.order for member in members if picked_when_idle(member))
        require(drawn in expected, f"{len(drawn)} backends were compared: {drawn}")
        least = min((members[order] for order in drawn), key=lambda member: member.active)
        require(picked is least, f"of {drawn} the busier was picked")
        seen[drawn] += 1
    counts = [seen[drawn] for drawn in expected]
    if len(counts) > 1:
        likely = [draws * chance for chance in expected.values()]
        require(fits(counts, likely), f"{list(expected)} were drawn {counts} times")


def _draws(n: int, row: Spec) -> dict[tuple[int, ...], float]:
    """What may be drawn of `n`, and how likely each is."""
    params: Any = row.configure({})
    choices = getattr(params, "choices", 2)
    if not getattr(params, "replacement", False):
        sets = list(combinations(range(n), min(choices, n)))
        return dict.fromkeys(sets, 1 / len(sets))
    sizes = range(1, min(choices, n) + 1)
    ways = {k: _onto(choices, k) / n**choices for k in sizes}
    return {drawn: ways[k] for k in sizes for drawn in combinations(range(n), k)}


def _onto(choices: int, k: int) -> int:
    """In how many orders `choices` draws give just `k` different ones."""
    return sum((-1) ** (k - i) * comb(k, i) * i**choices for i in range(k + 1))
