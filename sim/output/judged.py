"""The parts of a verdict as tables: each backend, and each phase."""

from __future__ import annotations

import math

from sim.live.by_phase import PhaseVerdict
from sim.live.line import Line
from sim.live.verdict import Verdict

BACKENDS = ("backend", "p50 (ms)", "p95 (ms)", "own work (ms)", "")
PHASES = ("phase", "sent", "p50 (ms)", "p99 (ms)", "failed", "far (%)", "")


def backend_rows(verdict: Verdict) -> list[list[str]]:
    """Under `BACKENDS`, measured/predicted."""
    return [
        [
            name,
            *(_pair(lines.get(figure)) for figure in ("p50", "p95", "service")),
            _word([figure for figure, line in lines.items() if not line.ok]),
        ]
        for name, lines in verdict.backends.items()
    ]


def phase_rows(verdict: Verdict) -> list[list[str]]:
    """Under `PHASES`, measured/predicted; distances beyond the tolerance, and at most."""
    return [_phase(one) for one in verdict.phases]


def _phase(one: PhaseVerdict) -> list[str]:
    phase, far, failures = one.phase, one.distribution, one.failures
    return [
        f"{phase.name} ({phase.since:.3g}-{phase.until:.3g} s)",
        str(one.requests),
        *(_pair(one.latency.get(name)) for name in ("p50", "p99")),
        "-" if failures is None else f"{failures.measured:.0f}/{_count(failures)}",
        "-" if not far.judged else f"{round(far.beyond * 1e2, 2):.2g}/{far.most * 1e2:.2g}",
        _word(one.misses),
    ]


def _pair(line: Line | None) -> str:
    if line is None or math.isnan(line.measured):
        return "-"
    return f"{line.measured * 1e3:z.4g}/{line.predicted.value * 1e3:z.4g}"


def _count(line: Line) -> str:
    value = line.predicted.value
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _word(misses: list[str]) -> str:
    return "MISS" if misses else "ok"
