"""Laws of load reports: they even out how busy backends are, and who falls silent is not lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lb.laws.kit import Seeded, end, make, require, send, servers
from lb.strategies.base import Fed, LoadReport, Strategy
from lb.strategies.spec import Spec

RATE = 100
"""Calls per second."""
CAPACITY = (200.0, 100.0, 40.0, 20.0)
"""Calls per second that each backend could answer; nobody has configured it."""


def _picks(strategy: Strategy[Any], since: int, until: int, silent: bool = False) -> Counter[int]:
    """The calls from one second to another, by backend.

    A call is over at once. Its answer reports what the backend did in the second before.
    """
    total: Counter[int] = Counter()
    before: Counter[int] = Counter()
    for second in range(since, until):
        now: Counter[int] = Counter()
        for number in range(RATE):
            at = second + number / RATE
            server = send(strategy, now=at, key=b"%d" % (second * RATE + number))
            now[server.order] += 1
            if isinstance(strategy, Fed) and before[server.order] and not silent:
                rate = float(before[server.order])
                used = rate / CAPACITY[server.order]
                strategy.fed(server, at, LoadReport(0, 0.01, used, rate, 0.0))
            end(strategy, server, at, latency=0.01)
        before = now
        total += now
    return total


def reports_even_out_the_load(row: Spec, seeded: Seeded) -> None:
    """Four backends that differ by ten to one: after two minutes all are about as busy."""
    strategy = make(row, seeded(17), servers(1, 1, 1, 1))
    _picks(strategy, 0, 120)
    picks = _picks(strategy, 120, 180)
    used = [picks[order] / 60 / capacity for order, capacity in enumerate(CAPACITY)]
    fair = RATE / sum(CAPACITY)
    require(
        all(0.85 * fair <= one <= 1.15 * fair for one in used),
        f"all could be used to {fair:.0%}, and are to {', '.join(f'{one:.0%}' for one in used)}",
    )


def silence_loses_nobody(row: Spec, seeded: Seeded) -> None:
    """All stop reporting: each is still picked in every ten seconds of the next five minutes."""
    strategy = make(row, seeded(18), servers(1, 1, 1, 1))
    _picks(strategy, 0, 60)
    for since in range(60, 360, 10):
        picks = _picks(strategy, since, since + 10, silent=True)
        require(len(picks) == len(CAPACITY), f"only {sorted(picks)} were picked at {since} s")
