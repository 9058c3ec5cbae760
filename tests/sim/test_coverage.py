"""The check of coverage finds intervals right, and others wrong."""

from __future__ import annotations

import pytest
from scipy import stats

from sim.checks import coverage as check
from sim.checks.coverage import CASES, Case, Coverage, coverage
from sim.checks.theory.sojourn import exponential


@pytest.mark.no_cover  # a million requests
def test_intervals_cover_what_is_exact() -> None:
    rows = coverage(quick=True)
    assert [row.figure for row in rows] == ["mean", "p50", "p95", "p99"]
    for row in rows:
        assert row.case == CASES[0]
        assert row.told == 50
        assert row.ok, str(row)
    assert str(rows[0]).startswith("mean of M/M/1 at 0.5, 10 times 2,000 requests: ")


def test_another_truth_is_not_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "CASES", (Case(0.5, 5, 500),))
    monkeypatch.setattr(check, "m_m_1", lambda load: exponential(1.5 / (1 - load)))
    assert not any(row.ok for row in coverage(seeds=20) if row.figure == "mean")


@pytest.mark.parametrize("n", [20, 50, 200])
def test_limits_are_binomial(n: int) -> None:
    least, most = check._limits(n)
    assert least == stats.binom.ppf(0.001, n, 0.95)
    assert most == stats.binom.ppf(0.999, n, 0.975)


def test_beyond_the_limits_is_wrong() -> None:
    row = Coverage(CASES[0], "p99", 9.2, told=200, covered=150, least=179, most=200)
    assert not row.ok
    assert "75.0% of 200 intervals" in str(row)
