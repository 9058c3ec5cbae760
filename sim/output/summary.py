"""Verdicts for machines that build and test: JUnit XML, and a Markdown summary of a job."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from lb.markdown import cell, table
from lb.system import writing
from sim.output.words import span

SIGN = {"passed": "✅", "missed": "❌", "invalid": "⚠️"}
HELD = ("latency", "shares", "distribution", "failed", "errors", "backends", "trouble")
"""Parts of a verdict that hold figures, in the order in which they are shown."""
FIGURES = ("figure", "predicted", "95 % of runs", "measured", "error", "")
OF_A_PHASE = ("latency", "distribution", "shares", "failed")
COUNTED = {"failures": "failure", "errors": "error"}
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
    seconds: float = 0.0
    """How long it took."""

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
        judged = {name: self.document[name] for name in HELD if self.document.get(name)}
        rows = [row for name, held in judged.items() for row in _rows(held, (name,))]
        for phase in self.document.get("phases", ()):
            rows += _rows({name: phase[name] for name in OF_A_PHASE}, (phase["name"],))
        if "trouble" not in self.document:
            return rows
        # Of the whole they are only shown where there is no steady state.
        shown = ("latency", "shares", "failed", "distribution")
        return [row._replace(ok=None) if row.path[0] in shown else row for row in rows]

    @property
    def reasons(self) -> list[str]:
        """Why it is not judged, or what was missed that is no figure, and where it comes from."""
        missed = [f"objective missed: {text}" for text in self.document["objectives_missed"]]
        cause = self.document.get("cause")
        told = [f"cause: {cause['who']}: {cause['says']}"] if cause else []
        return [*self.document["invalid"], *missed, *told]


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
    path: tuple[str, ...]
    """Where it stands in the document."""

    @property
    def error(self) -> str:
        """Measured over predicted; of shares the difference in points."""
        if math.isnan(self.measured) or math.isnan(self.predicted):
            return "-"
        if self.path[-1] == "distribution":
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
        lines += [table(("run", "verdict"), [(one.title, _sign(one)) for one in outcomes])]
    for one in outcomes:
        lines += [f"### {cell(one.title)}: {_sign(one)}", ""]
        if one.rows:
            lines += [table(FIGURES, map(_cells, one.rows), left=1)]
        lines += [*(f"- {cell(reason)}" for reason in one.reasons), *([""] * bool(one.reasons))]
    return "\n".join(lines) + "\n"


def junit(outcomes: Sequence[Outcome]) -> bytes:
    """A suite for each run, in it a case for each figure; attributes are those of the schema of
    Jenkins' xUnit plug-in (junit-10.xsd).
    """
    suites = ET.Element("testsuites", name="lb", time=_seconds(sum(it.seconds for it in outcomes)))
    for one in outcomes:
        length = _seconds(one.seconds)
        suite = ET.SubElement(suites, "testsuite", name=_text(one.title), time=length)
        judged = one.verdict != "invalid"
        for row in one.rows:
            case = _case(suite, one, row.figure)
            if not judged or row.ok is None:
                ET.SubElement(case, "skipped", message="not judged")
            elif not row.ok:
                message = (
                    f"measured {_number(row.measured)}, predicted {_number(row.predicted)} "
                    f"({_number(row.low)} to {_number(row.high)}), error {row.error}"
                )
                ET.SubElement(case, "failure", type="missed", message=_text(message))
        if not judged:
            why = "; ".join(one.reasons)
            run = _case(suite, one, "run")
            ET.SubElement(run, "error", type="invalid", message=_text(why))
        for objective in one.document["objectives_missed"]:
            case = _case(suite, one, f"objective: {objective}")
            tag, kind = ("failure", "missed") if judged else ("skipped", "invalid")
            ET.SubElement(case, tag, type=kind, message=_text(objective))
        _count(suite, **COUNTED, skipped="skipped")
    _count(suites, **COUNTED)
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
    """Of a part of a verdict, in the order it has there."""
    if "measured" in held and "predicted" in held:
        yield _row(held, path)
    elif "bound" in held:
        # What is left of the distance when all is as much faster or slower as is tolerated.
        beyond = held.get("beyond", held["value"])
        most = None if held["bound"] is None else held["bound"] + held.get("slack", 0.0)
        figures = (beyond, 0.0, 0.0, most)
        yield Row(f"{_named(path)} (%)", *_scaled(figures, 1e2), held["ok"], path)
    else:
        for name, inner in held.items():
            if isinstance(inner, dict):
                yield from _rows(inner, (*path, name))


def _row(held: dict[str, Any], path: tuple[str, ...]) -> Row:
    predicted = held["predicted"]
    within = predicted if isinstance(predicted, dict) else {"value": predicted, **held}
    figures = (held["measured"], *(within.get(key) for key in ("value", "low", "high")))
    unit, scale = "", 1.0
    if "shares" in path:
        unit, scale = " (%)", 1e2
    elif "latency" in path or path[0] == "backends":
        unit, scale = " (ms)", 1e3
    return Row(f"{_named(path)}{unit}", *_scaled(figures, scale), held["ok"], path)


def _scaled(figures: Sequence[float | None], scale: float) -> tuple[float, float, float, float]:
    measured, value, low, high = (
        math.nan if figure is None else scale * float(figure) for figure in figures
    )
    return measured, value, low, high


def _named(path: tuple[str, ...]) -> str:
    """Words for where a figure stands."""
    match path:
        case ("shares", name):
            return f"share of {name}"
        case ("backends", name, figure):
            return f"{figure} of {name}"
        case ("latency" | "trouble", name):
            return name
        case (phase, "latency", name):
            return f"{phase}: {name}"
        case (phase, "shares", name):
            return f"{phase}: share of {name}"
        case (one,):
            return "distance" if one == "distribution" else one
        case (phase, "distribution"):
            return f"{phase}: distance"
    return ": ".join(path)


def _cells(row: Row) -> list[str]:
    mark = {True: "ok", False: "**MISS**", None: ""}[row.ok]
    within = "-" if math.isnan(row.low) else span(_number(row.low), _number(row.high))
    return [row.figure, _number(row.predicted), within, _number(row.measured), row.error, mark]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:z.2f}"


def _sign(outcome: Outcome) -> str:
    return f"{SIGN[outcome.verdict]} {outcome.verdict}"


def _text(text: str) -> str:
    return UNREADABLE.sub("?", text)


def _case(suite: ET.Element, outcome: Outcome, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_text(outcome.title), name=_text(name))


def _seconds(length: float) -> str:
    return f"{length:.3f}"


def _count(element: ET.Element, **tags: str) -> None:
    """`tags`: elements that are counted, by attribute."""
    element.set("tests", str(len(element.findall(".//testcase"))))
    for name, tag in tags.items():
        element.set(name, str(len(element.findall(f".//{tag}"))))
