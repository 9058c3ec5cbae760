"""Runs of a study that never were."""

from __future__ import annotations

from typing import Any

import pytest

from sim.fidelity import overhead, study
from sim.fidelity.cases import Case
from sim.fidelity.overhead import Overhead

PREDICTED = {"mean": 0.1, "p50": 0.07, "p95": 0.3, "p99": 0.5}


def row(
    scenario: str = "crash",
    algorithm: str = "p2c",
    errors: dict[str, float] | None = None,
    chance: float = 0.01,
    verdict: str = "passed",
    share: float = 0.0,
    **more: Any,
) -> dict[str, Any]:
    """Off by `errors`, 0.1 % unless given, of which chance gives so much either way."""
    figures = {
        name: {
            "predicted": value,
            "measured": value * (1 + (errors or {}).get(name, 0.001)),
            "error": (errors or {}).get(name, 0.001),
            "low": -chance,
            "high": chance,
        }
        for name, value in PREDICTED.items()
    }
    one = {"measured": 0.5 + share, "predicted": 0.5, "low": 0.49, "high": 0.51}
    return {
        "scenario": scenario,
        "algorithm": algorithm,
        "target": "lb",
        "seconds": 60.0,
        "requests": 6000,
        "rate": 100.0,
        "figures": figures,
        "shares": {"one": one, "two": {**one, "measured": 0.5 - share}},
        "failed": {"measured": 0, "predicted": 0.0, "low": 0.0, "high": 0.0},
        "late": {"p50": 0.0001, "p99": 0.001},
        "verdict": verdict,
        "why": [] if verdict != "invalid" else ["this machine was busy"],
        "overhead": {"mean": 0.001, "cv": 0.3},
        "tries": 1,
        **more,
    }


def of(case: Case, **more: Any) -> dict[str, Any]:
    """The row of a case."""
    return row(case.name, case.algorithm, **more)


def instead(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Runs that take no time in place of live ones: those asked for, in their order."""
    asked: list[Case] = []

    def run(case: Case, _: Overhead) -> dict[str, Any]:
        asked.append(case)
        return of(case)

    monkeypatch.setattr(study, "run", run)
    monkeypatch.setattr(overhead, "measure", lambda _: Overhead(0.001, 0.3))
    return asked
