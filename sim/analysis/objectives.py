"""The objectives of a file's [expect], held against what was simulated or measured."""

from __future__ import annotations

from collections.abc import Mapping

from lb.config import Expect
from sim.analysis.statistics import Estimate


def missed(expect: Expect, seen: Mapping[str, Estimate]) -> list[str]:
    """Objectives that `seen`, seconds by metric, does not meet, one line each."""
    return [
        f"{name} is {_ms(seen[name].value)}, expected at most {_ms(bound)}"
        for name, bound in expect.model_dump(exclude_none=True).items()
        if not seen[name].value <= bound
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.4g} ms"
