"""Verdicts for machines that build and test: JUnit XML, and a Markdown summary of a job."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from lb.system import writing

SIGN = {"passed": "✅", "missed": "❌", "invalid": "⚠️"}
UNREADABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no place for."""


@dataclass(frozen=True)
class Outcome:
    """One live run that was judged."""

    name: str
    """Of its scenario."""
    document: dict[str, Any]
    """What verdict.json says, see `Verdict.as_dict`."""
    target: str = "lb"
    """Which balancer it was."""

    @property
    def verdict(self) -> str:
        """passed, missed or invalid."""
        return str(self.document["verdict"])

    @property
    def title(self) -> str:
        return f"{self.name}, {self.document['algorithm']}, {self.target}"

    @property
    def rows(self) -> list[Row]:
        """Every figure that stands beside its prediction."""
        rows = list(_rows(self.document, ()))
        if "trouble" not in self.document:
            return rows
        # Latencies and shares are only shown where there is no steady state.
        return [row if row.figure.startswith("trouble") else row._replace(ok=None) for row in rows]

    @property
    def reasons(self) -> list[str]:
        """Why it is not judged, or what was missed that is no figure, and where it comes from."""
        missed = [f"objective missed: {text}" for text in self.document["objectives_missed"]]
        cause = self.document.get("cause")
        said = cause.get("says") if isinstance(cause, dict) else cause
        return [*self.document["invalid"], *missed, *([f"cause: {said}"] if said else [])]


class Row(NamedTuple):
    """One figure, in the unit that its name gives."""

    figure: str
    measured: float
    predicted: float
    low: float
    high: float
    """Where 95 of 100 runs lie."""
    ok: bool | None
    """None where there is nothing to compare, or where it is only shown."""

    @property
    def error(self) -> str:
        """Measured over predicted; of shares the difference in points."""
        if math.isnan(self.measured) or math.isnan(self.predicted):
            return "-"
        if self.figure.endswith("(%)"):
            return f"{self.measured - self.predicted:+.2f} pp"
        if not self.predicted:
            return "-" if self.measured else "0"
        return f"{100 * (self.measured / self.predicted - 1):+.1f} %"


def markdown(outcomes: Sequence[Outcome]) -> str:
    """A table for each run, or with several one line for each before them."""
    lines = []
    if len(outcomes) > 1:
        lines += ["| run | verdict |", "|---|---|"]
        lines += [f"| {_cell(one.title)} | {_sign(one)} |" for one in outcomes]
        lines.append("")
    for one in outcomes:
        lines += [f"### {_cell(one.title)}: {_sign(one)}", ""]
        if one.rows:
            lines += ["| figure | predicted | 95 % of runs | measured | error | |"]
            lines += ["|---|--:|--:|--:|--:|---|"]
            lines += [_line(row) for row in one.rows]
            lines.append("")
        lines += [*(f"- {_cell(reason)}" for reason in one.reasons), *([""] * bool(one.reasons))]
    return "\n".join(lines) + "\n"


def junit(outcomes: Sequence[Outcome]) -> bytes:
    """A suite for each run, in it a case for each figure."""
    suites = ET.Element("testsuites", name="lb")
    for one in outcomes:
        suite = ET.SubElement(suites, "testsuite", name=_text(one.title))
        judged = one.verdict != "invalid"
        for row in one.rows:
            case = _case(suite, one, row.figure)
            if not judged or row.ok is None:
                ET.SubElement(case, "skipped", message=_text("not judged"))
            elif not row.ok:
                message = (
                    f"measured {_number(row.measured)}, predicted {_number(row.predicted)} "
                    f"({_number(row.low)} to {_number(row.high)}), error {row.error}"
                )
                ET.SubElement(case, "failure", message=_text(message))
        if not judged:
            why = "; ".join(one.reasons)
            ET.SubElement(_case(suite, one, "run"), "error", message=_text(why))
        for objective in one.document["objectives_missed"]:
            case = _case(suite, one, f"objective: {objective}")
            ET.SubElement(case, "failure" if judged else "skipped", message=_text(objective))
        _count(suite)
    _count(suites)
    ET.indent(suites)
    written: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written


def write_junit(outcomes: Sequence[Outcome], path: Path) -> None:
    """Raises CannotWrite."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(junit(outcomes) + b"\n")


def append_summary(outcomes: Sequence[Outcome], path: Path) -> None:
    """After what others have said there: a job's steps share one file. Raises CannotWrite."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(markdown(outcomes))


def _rows(held: dict[str, Any], path: tuple[str, ...]) -> Iterator[Row]:
    """Of a verdict, or a part of it: what was measured and predicted, in the order it has there."""
    if "measured" in held and "predicted" in held and "ok" in held:
        yield _row(held, path)
        return
    for name, inner in held.items():
        if isinstance(inner, dict) and name != "timeline":
            yield from _rows(inner, (*path, name))


UNITS: dict[str, tuple[str, float]] = {"latency": ("(ms)", 1e3), "shares": ("(%)", 1e2)}


def _row(held: dict[str, Any], path: tuple[str, ...]) -> Row:
    predicted = held["predicted"]
    within = predicted if isinstance(predicted, dict) else {"value": predicted, **held}
    unit, scale = UNITS.get(path[0], ("", 1.0))
    if path[0] == "shares":
        name = f"share of {' '.join(path[1:])}"
    else:
        name = " ".join(path[1:] if path[0] in UNITS else path)
    figures = (held["measured"], *(within.get(key) for key in ("value", "low", "high")))
    measured, value, low, high = (
        math.nan if figure is None else scale * float(figure) for figure in figures
    )
    return Row(f"{name} {unit}".strip(), measured, value, low, high, held["ok"])


def _line(row: Row) -> str:
    mark = {True: "ok", False: "**MISS**", None: ""}[row.ok]
    within = f"{_number(row.low)} to {_number(row.high)}"
    cells = [row.figure, _number(row.predicted), within, _number(row.measured), row.error, mark]
    return f"| {' | '.join(map(_cell, cells))} |"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:z.2f}"


def _sign(outcome: Outcome) -> str:
    return f"{SIGN[outcome.verdict]} {outcome.verdict}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _text(text: str) -> str:
    return UNREADABLE.sub("?", text)


def _case(suite: ET.Element, outcome: Outcome, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_text(outcome.title), name=_text(name))


def _count(element: ET.Element) -> None:
    element.set("tests", str(len(element.findall(".//testcase"))))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(len(element.findall(f".//{tag}"))))
