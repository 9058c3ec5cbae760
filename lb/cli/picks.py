"""Why a pick fell as it did, in words for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST = 8
"""Candidates that are named."""
BETTER = {"lowest": 1, "highest": -1}


def said(pick: Mapping[str, Any]) -> list[str]:
    """Lines for one pick, as `Pick.as_dict` has it."""
    lines = [f"  {pick['why'] or 'the algorithm does not say why'}"]
    if pick["avoided"]:
        lines.append(f"  tried before: {', '.join(pick['avoided'])}")
    names = _named(pick)
    if pick["measure"] or len(names) > 1:  # else it is the one that was picked
        told = f"{pick['measure']}: " if pick["measure"] else "looked at: "
        lines.append(f"  {told}{', '.join(names)}")
    return lines


def _named(pick: Mapping[str, Any]) -> Sequence[str]:
    candidates, sign = list(pick["candidates"]), BETTER.get(pick["rule"])
    if sign is not None:
        candidates.sort(key=lambda it: sign * _figure(it))
    shown, left = candidates[:MOST], len(candidates) - MOST
    names = [
        f"{it['backend']} {_short(it['figure'])}" if pick["measure"] else it["backend"]
        for it in shown
    ]
    return [*names, f"{left} more"] if left > 0 else names


def _figure(candidate: Mapping[str, Any]) -> float:
    figure = candidate["figure"]
    return float("inf") if figure is None else float(figure)


def _short(figure: float | None) -> str:
    return "not known yet" if figure is None else f"{figure:.4g}"
