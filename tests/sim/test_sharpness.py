"""Is the verdict sharp? Backends that are slower than modelled and say nothing of it, on paper.

The whole study is `make honesty`; this is a small one of the same kind.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import sim.live.verdict
from lb.config import Scenario
from sim.checks import honesty

TEXT = """
algorithm = "least_connections"
[[backend]]
name = "one"
address = "b:1"
model = { service = { law = "lognormal", mean = "150ms", cv = 1.0 }, workers = 6 }
[[backend]]
name = "two"
address = "b:2"
model = { service = { law = "exponential", mean = "100ms" }, workers = 4 }
[[backend]]
name = "three"
address = "b:3"
model = { service = { law = "bimodal", values = ["50ms", "250ms"], weights = [3, 1] }, workers = 4 }
[traffic]
arrivals = { process = "poisson", rate = 50 }
network = { law = "lognormal", mean = "1ms", cv = 1.0 }
[run]
duration = "20s"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sim.live.verdict, "REPLICATIONS", 12)
    path = tmp_path / "three.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_backend_30_per_cent_slower_is_found_in_9_of_10_runs_of_a_minute(file: Path) -> None:
    found = honesty.rehearsals(file, range(10), 1, slower=1.3, seconds=60.0)
    assert (found.runs, found.slower) == (10, 1.3)
    assert found.right == 10 - found.passed >= 9
    assert found.fair


def test_one_twice_as_slow_is_found_in_20_seconds(file: Path) -> None:
    assert honesty.rehearsals(file, range(6), 1, slower=2.0).passed == 0


def test_runs_as_predicted_pass(file: Path) -> None:
    """95 in 100 do: 8 of 12 or fewer would be a chance of 1 in 450."""
    assert honesty.rehearsals(file, range(12), 1).passed > 8
    assert honesty.at_most(8, 12, 0.95) < 0.0025


def test_only_one_backend_is_slowed_and_whatever_its_law() -> None:
    file = Scenario.parse(TEXT)
    for which, means in ((0, (0.3, 0.1, 0.1)), (1, (0.15, 0.2, 0.1)), (5, (0.15, 0.1, 0.2))):
        slow = honesty.slowed(file, which, 2.0)
        assert tuple(m.service.mean for _, m in slow.modelled()) == pytest.approx(means)
        assert [m.service.squared_cv for _, m in slow.modelled()] == pytest.approx(
            [m.service.squared_cv for _, m in file.modelled()]
        )


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "much"])
def test_what_is_no_factor(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        honesty.main(["--slower", wrong])
    assert f"'{wrong}' is not a number above zero" in capsys.readouterr().err
