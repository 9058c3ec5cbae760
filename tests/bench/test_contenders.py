"""Nobody is measured under another's name, and ratios are those of a round."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import contenders
from tests.bench.processes import BenchError
from tests.bench.rounds import alternating, summaries


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lb").mkdir()
    monkeypatch.setattr(contenders, "ROOT", tmp_path)
    return tmp_path / "lb" / "__init__.py"


def test_pure_python_is_not_measured_as_the_compiled_build(tree: Path) -> None:
    tree.write_text("BUILD = 'pure Python'")
    with pytest.raises(BenchError, match=r"not compiled \(pure Python, no commit\)"):
        contenders.compiled()
    found, _ = contenders.contenders(without=["lb"])
    assert found[0].name == "lb pure"


def test_each_build_is_asked_for_in_its_environment(tree: Path) -> None:
    tree.write_text("import os\nBUILD = 'pure' if os.environ['LB_PURE'] == '1' else 'compiled'")
    assert contenders.compiled().version.startswith("compiled,")
    assert contenders.pure().version.startswith("pure,")


def test_a_tree_from_before_there_were_builds_is_pure(tree: Path) -> None:
    tree.write_text("")
    assert contenders.pure().version.startswith("pure Python,")


def test_a_tree_that_cannot_be_imported_is_told(tree: Path) -> None:
    tree.write_text("raise ValueError('spoilt')")
    with pytest.raises(BenchError, match="spoilt"):
        contenders.pure()


def test_everybody_leads_in_turn_and_the_first_round_is_forgotten() -> None:
    asked: list[str] = []

    def sample(name: str) -> dict[str, float]:
        asked.append(name)
        return {"cost": float(len(asked))}

    samples = alternating("", ["a", "b"], 2, sample, lambda _: None)
    assert "".join(asked) == "ba" + "ab" + "ba"
    assert samples == {"a": [{"cost": 3.0}, {"cost": 6.0}], "b": [{"cost": 4.0}, {"cost": 5.0}]}


def test_a_ratio_is_formed_within_its_round() -> None:
    slow_minute = [1.0, 10.0, 1.0]
    samples = {
        "lb": [{"cost": 2 * factor} for factor in slow_minute],
        "haproxy": [{"cost": factor} for factor in slow_minute],
    }
    row = summaries(samples, "cost")["lb"]
    assert row["ratios"] == [2.0, 2.0, 2.0]
    assert row["over"]["haproxy"] == {"median": 2.0, "low": 2.0, "high": 2.0}
    assert row["cost"] == 2.0
