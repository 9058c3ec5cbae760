"""Laws of latency: who was slow is tried again, and who fails fast attracts nobody."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lb.laws.kit import Seeded, Server, drive, make, require, servers
from lb.strategies.base import Outcome
from lb.strategies.spec import Spec


def nobody_starves(row: Spec, seeded: Seeded) -> None:
    """Slow once, five seconds where others take ten milliseconds: picked again in two minutes.

    An estimate that fades by 1/e in ten seconds is down to theirs in 10 ln(500) = 62 seconds. One
    whose parameter `decay` is longer has as much more time.
    """
    params: Any = row.configure({})
    recovered, within = 10.0, 12 * max(getattr(params, "decay", 10.0), 10.0)
    for bad in (Outcome.OK, Outcome.TIMEOUT):
        members = servers(1, 1, 1)
        ill = members[1]

        def serve(
            server: Server, now: float, bad: Outcome = bad, ill: Server = ill
        ) -> tuple[Outcome, float]:
            return (bad, 5.0) if server is ill and now < recovered else (Outcome.OK, 0.010)

        strategy = make(row, seeded(14), members)
        picks = drive(strategy, serve, 0.020, recovered + within)
        require(
            any(server is ill and now >= recovered for now, server in picks),
            f"not picked again within {within:g} s of its recovery ({bad.value})",
        )


def failing_fast_attracts_nobody(row: Spec, seeded: Seeded) -> None:
    """One of four fails in 1 ms, the others answer in 20: at most a quarter of the calls."""
    members = servers(1, 1, 1, 1)
    broken = members[2]

    def serve(server: Server, _: float) -> tuple[Outcome, float]:
        return (Outcome.RESET, 0.001) if server is broken else (Outcome.OK, 0.020)

    for gap in (0.050, 0.010, 0.0075):
        for server in members:
            server.active = 0
        strategy = make(row, seeded(15), members)
        picks = Counter(server.order for _, server in drive(strategy, serve, gap, 40.0))
        share = picks[broken.order] / picks.total()
        require(share <= 1 / len(members), f"{share:.0%} of calls, one every {gap:g} s")
