"""What the figures of a recommendation allow for, and why some of them are not there."""

from __future__ import annotations

from collections.abc import Iterator

from lb.terminal import plain
from sim.fit.recommend.numbers import Number
from sim.fit.recommend.recommendation import Recommendation


def own_error(found: Recommendation) -> str:
    """`the model's own error of up to 12 % at p99`."""
    doubt = found.doubt
    parts = [f"{plain(100 * doubt.most(name), 2)} % at {name}" for name in doubt.deviations]
    return f"the model's own error of up to {' and '.join(parts)}"


def error_told(found: Recommendation) -> Iterator[str]:
    """What it does to the answers, and does not to the ranking."""
    if not found.doubt.deviations:
        return
    yield (
        f"Whether bounds hold, safe loads and numbers of backends allow for {own_error(found)}; "
        "the ranking does not: all are compared on the same model, and what it is off they share."
    )
    if found.doubt.lacking:
        yield (
            "Note: the budget is too small to add what the intervals of the calibrated parameters "
            "leave open."
        )


def loads_told(found: Recommendation) -> Iterator[str]:
    """Why most contenders have no safe load."""
    there = [row for row in found.rows if row.headroom is not None]
    if there and len(there) < len(found.rows):
        yield (
            "A safe load costs many runs: it is looked for of the first few of the set and of the "
            "file's own algorithm only, and is - for the others; -a NAME asks for another's."
        )
    elif found.rows and not there and not found.interrupted:
        yield "No safe load was found: the budget is too small, or the traffic has one rate only."
    if there and any(aim.least and not aim.relative for aim in found.aims):
        yield "At other loads, goodput is asked for in proportion: half the load, half the bound."


def number_told(it: Number | None) -> str:
    """Of backends; and smaller ones that may do."""
    if it is None:
        return ""
    if it.least is None:
        may = f" surely ({', '.join(map(str, it.unclear))} may)" if it.unclear else ""
        return f"no number that was tried{may}"
    unclear = ", ".join(map(str, it.unclear))
    return f"{it.least}{f' ({unclear} cannot be told)' if unclear else ''}"
