"""README's table of fidelity is that of the stored figures."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sim.fidelity import findings
from tests.fidelity.rows import row

ROOT = Path(__file__).parents[2]


@pytest.fixture
def figures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("figures", ROOT / "loadtests" / "_figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def a_study(target: str = "lb", cases: int = 2) -> dict[str, Any]:
    runs = [row("crash", "p2c"), row("users", "p2c", errors={"p99": 0.123456789})]
    return {
        "schema": 1,
        "target": target,
        "seconds": 60.0,
        "cases": cases,
        "machine": {"lb": "1", "build": "pure", "python": "3", "cores": 2, "system": "Linux 6"},
        "overhead": 0.001,
        **findings.as_dict(runs),
        "otherwise": {},
        "scenarios": {"crash": "a crash", "users": "users"},
        "runs": runs,
    }


def test_readme_has_the_table_of_the_stored_figures(figures: ModuleType) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    between = text.partition(figures.BEGIN)[2].partition(figures.END)[0]
    assert between == figures.written(figures.stored())


def test_studies_are_kept_by_target_and_written(
    figures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "FIGURES", tmp_path / "fidelity.json")
    monkeypatch.setattr(figures, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text(f"a\n{figures.BEGIN}replaced\n{figures.END}b\n")
    for target in ("nginx", "lb"):
        file = tmp_path / f"{target}.json"
        file.write_text(json.dumps(a_study(target)), encoding="utf-8")
        figures.main([str(file)])
    assert set(figures.stored()) == {"nginx", "lb"}
    assert figures.stored()["lb"]["runs"][1]["figures"]["p99"]["error"] == 0.1235
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"a\n{figures.BEGIN}| median error of |")
    assert text.count("| lb | 2 | 2 |") == text.count("| nginx | 2 | 2 |") == 1
    assert text.count("<details>") == 1, "of lb alone every run is shown"
    assert text.index("**lb**") < text.index("**nginx**")
    assert text.endswith(f"{figures.END}b\n")
    assert "replaced" not in text
    assert "500 / 562, +12.3 % (-1.0 to +1.0)" in text


def test_half_a_study_is_not_kept(figures: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "fidelity.json"
    file.write_text(json.dumps(a_study(cases=65)), encoding="utf-8")
    with pytest.raises(SystemExit, match="2 of 65 runs are there; go on with it"):
        figures.main([str(file)])


def test_a_readme_without_a_place_for_it(
    figures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text("nothing\n")
    with pytest.raises(SystemExit, match="has no place for it"):
        figures.rewrite()
