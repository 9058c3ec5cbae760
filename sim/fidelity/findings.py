"""What a study has found: medians over all runs beside their targets, and what is far off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from sim.fidelity.runs import Row
from sim.live.verdict import Judgement

TARGETS = {"mean": 0.02, "p50": 0.02, "p95": 0.04, "p99": 0.08}
"""What the median error of each figure is to be at most, relative."""
FAR = 3.0
"""Times the target: beyond that a run's error is told with what explains it."""
ENOUGH = 0.9
"""Share of the runs that must say something."""
SHARE = 0.01
"""What the largest error of a share is to be at most, at the median."""
BESIDE = ("generator", "proxy", "machine")
"""Parts of a latency, see `sim.live.parts`, that are none of a backend's."""
UNEXPLAINED = "nothing that was measured explains it"


class Far(NamedTuple):
    """One error that is told by itself."""

    scenario: str
    algorithm: str
    figure: str
    error: float
    why: str


def judged(rows: Iterable[Row]) -> list[Row]:
    """Those that say something."""
    return [row for row in rows if row["verdict"] != Judgement.INVALID.value]


def medians(rows: Iterable[Row]) -> dict[str, float]:
    """The median of the absolute errors, by figure, and of each run's largest error of a share."""
    valid = judged(rows)
    found = {}
    for name in TARGETS:
        errors = [abs(row["figures"][name]["error"]) for row in valid if name in row["figures"]]
        if errors:
            found[name] = median(errors)
    if shares := [share_error(row) for row in valid if row["shares"]]:
        found["share"] = median(shares)
    return found


def share_error(row: Row) -> float:
    """The largest difference of a share, absolute."""
    return max(
        (abs(one["measured"] - one["predicted"]) for one in row["shares"].values()), default=0.0
    )


def by_chance(row: Row) -> bool:
    """Whether chance explains all shares."""
    return all(
        one["low"] is not None and one["low"] <= one["measured"] <= one["high"]
        for one in row["shares"].values()
    )


def far(rows: Iterable[Row]) -> list[Far]:
    """Errors of more than `FAR` times their target, and what explains each."""
    return [
        Far(row["scenario"], row["algorithm"], name, row["figures"][name]["error"], why(row, name))
        for row in judged(rows)
        for name, target in TARGETS.items()
        if name in row["figures"] and abs(row["figures"][name]["error"]) > FAR * target
    ]


def why(row: Row, name: str) -> str:
    """What explains the error of a figure."""
    figure = row["figures"][name]
    low, high = figure.get("low"), figure.get("high")
    if low is not None and low <= figure["error"] <= high:
        return f"chance alone gives {low:+.1%} to {high:+.1%}"
    if row.get("cause"):
        return str(row["cause"])
    differs = row.get("differs") and f"what balances is not quite the model: {row['differs']}"
    return _beside(row, figure["measured"] - figure["predicted"]) or differs or UNEXPLAINED


def _beside(row: Row, off: float) -> str:
    """Whether requests were held up elsewhere than at their backends by at least half of it."""
    if not row.get("parts"):
        return ""
    measured, predicted = row["parts"]["measured"], row["parts"]["predicted"]
    seen, paper = (sum(it[name] for name in BESIDE) for it in (measured, predicted))
    if off <= 0 or seen - paper < off / 2:
        return ""
    return f"beside its backend a request took {seen * 1e3:.2f} ms, not {paper * 1e3:.2f} ms"


def kept(rows: Sequence[Row]) -> bool:
    """Whether all medians are within their targets, and whatever is far off is explained.

    Shares that chance explains, as in short runs, are within theirs. Where a busy machine has left
    too little to judge nothing is known to be kept.
    """
    if len(judged(rows)) < ENOUGH * max(len(rows), 1):
        return False
    found = medians(rows)
    within = all(found[name] <= most for name, most in TARGETS.items() if name in found)
    excess = [0.0 if by_chance(row) else share_error(row) for row in judged(rows)]
    shares = not excess or median(excess) <= SHARE
    return within and shares and all(one.why != UNEXPLAINED for one in far(rows))


def as_dict(rows: Sequence[Row]) -> dict[str, Any]:
    """Everything but the rows, for fidelity.json."""
    return {
        "medians": medians(rows),
        "targets": {**TARGETS, "share": SHARE},
        "far": [one._asdict() for one in far(rows)],
        "judged": len(judged(rows)),
        "passed": sum(row["verdict"] == Judgement.PASSED.value for row in rows),
        "kept": kept(rows),
    }
