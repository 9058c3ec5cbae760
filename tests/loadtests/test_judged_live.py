"""The check of the verdict with live runs: what it makes of their verdicts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lb.config import Scenario

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def teeth() -> ModuleType:
    spec = importlib.util.spec_from_file_location("teeth", ROOT / "loadtests" / "_teeth.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(verdict: str, who: str | None = None) -> dict[str, Any]:
    return {"verdict": verdict, "cause": None if who is None else {"who": who}}


PASSED, INVALID = said("passed"), said("invalid", "machine")
FOUND, MISTAKEN = said("missed", "backends"), said("missed", "proxy")


@pytest.mark.parametrize(
    ("factor", "verdicts", "status", "words"),
    [
        (1, [PASSED] * 9 + [MISTAKEN], 0, "9 right, 1 wrong: as it should be"),
        (1, [PASSED] * 8 + [MISTAKEN] * 2, 1, "8 right, 2 wrong: too few"),
        (1, [PASSED] * 9 + [INVALID], 0, "9 right, 0 wrong, 1 on a busy machine: as it should be"),
        (1.3, [FOUND] * 8 + [INVALID] * 2, 4, "0 wrong, 2 on a busy machine: cannot judge"),
        (1.3, [FOUND] * 7 + [INVALID, PASSED, MISTAKEN], 1, "7 right, 2 wrong, 1 on a busy"),
        (2, [FOUND] * 10, 0, "10 right, 0 wrong: as it should be"),
        (2, [FOUND] * 9 + [INVALID], 4, "cannot judge"),
        (2, [FOUND] * 9 + [PASSED], 1, "too few"),
    ],
)
def test_runs_of_a_busy_machine_count_for_nobody(
    teeth: ModuleType, factor: float, verdicts: list[dict[str, Any]], status: int, words: str
) -> None:
    (kind,) = (one for one in teeth.KINDS if one.factor == factor)
    count = teeth.Count()
    for verdict in verdicts:
        count = count.after(kind, verdict)
    assert count.status(kind.least) == status
    assert words in count.says(kind)


def test_one_backend_of_each_file_is_slowed(teeth: ModuleType) -> None:
    for file in teeth.SCENARIOS:
        text = file.read_text(encoding="utf-8")
        changed, name = teeth.slowed(text, 2, 1.3)
        before, after = (Scenario.parse(it).modelled() for it in (text, changed))
        ratios = {
            row.label: new.service.mean / old.service.mean
            for (row, old), (_, new) in zip(before, after, strict=True)
        }
        assert ratios.pop(name) == pytest.approx(1.3)
        assert set(ratios.values()) == {1.0}
