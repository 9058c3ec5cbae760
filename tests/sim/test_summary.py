"""Verdicts for machines: JUnit XML, and Markdown for the summary of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from lb.errors import CannotWrite
from sim.output.summary import Outcome, append_summary, junit, markdown, write_junit


def line(measured: float | None, value: float, ok: bool | None) -> dict[str, Any]:
    predicted = {"value": value, "low": 0.9 * value, "high": 1.1 * value}
    return {"measured": measured, "predicted": predicted, "tolerance": 0.05, "ok": ok}


def outcome(verdict: str, name: str = "calm", **more: Any) -> Outcome:
    document = {
        "schema": 1,
        "verdict": verdict,
        "algorithm": "p2c",
        "requests": 100,
        "latency": {"p50": line(0.021, 0.020, True), "p99": line(None, 0.2, None)},
        "shares": {"a|b\x01": line(0.55, 0.5, False)},
        "failed": {"measured": 0, "predicted": 0.0, "low": 0.0, "high": 1.0, "ok": True},
        "timeline": {"measured": {"p50": [1.0]}, "predicted": {"p50": [1.0]}},
        "invalid": ["the machine was busy"] if verdict == "invalid" else [],
        "objectives_missed": [],
        **more,
    }
    return Outcome(name, document, "haproxy")


def test_a_table_shows_the_error_of_each_figure() -> None:
    text = markdown([outcome("missed", objectives_missed=["p99 < 10ms"])])
    assert "### calm, p2c, haproxy: ❌ missed" in text
    assert "| p50 (ms) | 20.00 | 18.00 to 22.00 | 21.00 | +5.0 % | ok |" in text
    assert "| p99 (ms) | 200.00 | 180.00 to 220.00 | - | - |  |" in text
    share = "| 50.00 | 45.00 to 55.00 | 55.00 | +5.00 pp | **MISS** |"
    assert f"| share of a\\|b\x01 (%) {share}" in text
    assert "| failed | 0.00 | 0.00 to 1.00 | 0.00 | 0 | ok |" in text
    assert "- objective missed: p99 < 10ms\n" in text
    assert "timeline" not in text


def test_several_runs_begin_with_a_list() -> None:
    text = markdown([outcome("passed"), outcome("invalid", "busy")])
    assert text.startswith("| run | verdict |\n| --- | --- |\n| calm, p2c, haproxy | ✅ passed |\n")
    assert "| busy, p2c, haproxy | ⚠️ invalid |\n" in text
    assert "- the machine was busy" in text


def test_each_figure_is_a_case() -> None:
    missed = outcome("missed", objectives_missed=["p99 < 10ms"])
    suites = ET.fromstring(junit([missed, outcome("invalid")]))
    first, second = suites
    assert first.attrib == {
        "name": "calm, p2c, haproxy",
        "time": "0.000",
        "tests": "5",
        "failures": "2",
        "errors": "0",
        "skipped": "1",
    }
    failed = [case.get("name") for case in first if case.find("failure") is not None]
    assert failed == ["share of a|b? (%)", "objective: p99 < 10ms"]
    message = first.find("testcase/failure")
    assert message is not None
    assert "measured 55.00, predicted 50.00 (45.00 to 55.00)" in str(message.get("message"))
    assert (second.get("errors"), second.get("failures"), second.get("skipped")) == ("1", "0", "4")
    assert suites.attrib == {
        "name": "lb",
        "time": "0.000",
        "tests": "10",
        "failures": "2",
        "errors": "1",
    }, "which has no place for skipped ones"


def test_phases_and_causes_are_told() -> None:
    distance = {
        "value": 0.31,
        "beyond": 0.21,
        "bound": 0.07,
        "slack": 0.01,
        "ok": False,
        "band": {"measured": [1.0]},
    }
    phase = {
        "name": "during",
        "requests": 50,
        "latency": {"p50": line(0.03, 0.02, False)},
        "distribution": distance,
        "shares": {},
        "failed": None,
    }
    cause = {"who": "proxy", "says": "it waits", "evidence": {"errors": {"5xx": line(1, 1, True)}}}
    one = outcome("missed", phases=[phase], distribution=distance, cause=cause)
    assert [row.figure for row in one.rows if row.ok is False] == [
        "share of a|b\x01 (%)",
        "distance (%)",
        "during: p50 (ms)",
        "during: distance (%)",
    ]
    text = markdown([one])
    assert "| during: p50 (ms) | 20.00 | 18.00 to 22.00 | 30.00 | +50.0 % | **MISS** |" in text
    assert "| distance (%) | 0.00 | 0.00 to 8.00 | 21.00 | - | **MISS** |" in text
    assert text.endswith("- cause: proxy: it waits\n\n")
    assert "5xx" not in text


def test_what_is_only_shown_of_trouble_is_not_judged() -> None:
    troubled = outcome("passed", trouble={"lost": line(5.0, 5.0, True)})
    assert {row.figure: row.ok for row in troubled.rows} == {
        "p50 (ms)": None,
        "p99 (ms)": None,
        "share of a|b\x01 (%)": None,
        "failed": None,
        "lost": True,
    }
    assert 'failures="0"' in junit([troubled]).decode()


def test_a_summary_is_added_to_what_others_said(tmp_path: Path) -> None:
    path = tmp_path / "there" / "summary.md"
    append_summary([outcome("passed")], path)
    append_summary([outcome("missed")], path)
    text = path.read_text(encoding="utf-8")
    assert text.index("✅ passed") < text.index("❌ missed")
    write_junit([outcome("passed")], tmp_path / "junit.xml")
    assert ET.parse(tmp_path / "junit.xml").getroot().get("name") == "lb"
    with pytest.raises(CannotWrite):
        write_junit([outcome("passed")], tmp_path)
