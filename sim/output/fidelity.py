"""A fidelity study as people read it: on a terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from lb.markdown import table
from lb.system import writing
from lb.terminal import Terminal, counted
from sim.analysis.statistics import FIGURES
from sim.fidelity.findings import SHARE, by_chance, share_error
from sim.fidelity.runs import Row
from sim.output.documents import write_json

Told = Mapping[str, Any]
"""The object of fidelity.json."""
HEADER = ("algorithm", *FIGURES)
SMALL, WHOLE = 0.005, 10.0
"""Per cent below which nothing is left to tell, and from where on decimals are not."""
MEANING = "predicted/measured in ms, and the error in %"


def line(row: Row) -> str:
    """One run, in a line of 80 columns."""
    errors = ", ".join(
        f"{name} {100 * figure['error']:+.1f} %" for name, figure in row["figures"].items()
    )
    again = f" ({row['tries']} tries)" if row.get("tries", 1) > 1 else ""
    return f"{row['scenario']}, {row['algorithm']}: {errors}; {row['verdict']}{again}"


def print_study(told: Told, terminal: Terminal) -> None:
    """Every run, scenario by scenario; then medians, and what is far off."""
    for name, rows in groupby(told["runs"], key=lambda row: str(row["scenario"])):
        about = told["scenarios"][name]
        terminal.table(f"{name}: {about}; {MEANING}", HEADER, [_cells(row) for row in rows])
    if told["medians"]:
        terminal.table("Medians over all runs, of the size of the error", *_medians(told))
    for sentence in sentences(told):
        terminal.say(sentence)


def _cells(row: Row) -> list[str]:
    return [row["algorithm"], *(_cell(row, name) for name in FIGURES)]


def _cell(row: Row, name: str) -> str:
    figure = row["figures"].get(name)
    if figure is None:
        return "-"
    predicted, measured = _ms(figure["predicted"], 0.00995), _ms(figure["measured"], 0.00995)
    return f"{predicted}/{measured} {100 * figure['error']:+.1f}"


def _ms(seconds: float, small: float) -> str:
    """With a decimal below `small`."""
    return f"{seconds * 1e3:.{1 if seconds < small else 0}f}"


def _medians(told: Told) -> tuple[list[str], list[list[str]]]:
    found, targets = told["medians"], told["targets"]
    names = [name for name in targets if name in found]
    return ["figure", *names], [
        ["median", *(_percent(found[name]) for name in names)],
        ["at most", *(_percent(targets[name]) for name in names)],
    ]


def _percent(share: float) -> str:
    value = 100 * share
    if value < SMALL:
        return "0 %"
    return f"{value:.0f} %" if value >= WHOLE else f"{value:.2g} %"


def sentences(told: Told) -> Iterator[str]:
    """What stands below the tables."""
    rows, machine = told["runs"], told["machine"]
    invalid = len(rows) - told["judged"]
    yield (
        f"{counted(told['judged'], 'run')} of {told['seconds']:g} s judged, {told['passed']} "
        f"passed, on {machine['cores']} cores of {machine['system']}; lb {machine['lb']}, "
        f"{machine['build']}, Python {machine['python']}."
        + (f" {counted(invalid, 'run')} said nothing, after all tries." if invalid else "")
    )
    if told["overhead"] is not None:
        yield (
            f"Beside its service a request took {told['overhead'] * 1e3:.2f} ms, as measured every "
            "five minutes (the median is told); predictions have that as their network."
        )
    wide = [row for row in rows if row["verdict"] != "invalid" and share_error(row) > SHARE]
    for row in wide:
        yield (
            f"{row['scenario']}, {row['algorithm']}: a share was "
            f"{100 * share_error(row):.1f} points off"
            + (", which chance alone gives" if by_chance(row) else "")
        )
    yield from filter(None, map(_losses, rows))
    for one in told["far"]:
        yield (
            f"{one['scenario']}, {one['algorithm']}: {one['figure']} {one['error']:+.1%}: "
            f"{one['why']}"
        )
    for row in rows:
        if row["verdict"] != "passed":
            yield f"{row['scenario']}, {row['algorithm']}: {row['verdict']}: {_why(row)}"
    for name, why in told["otherwise"].items():
        yield f"{name} is set up otherwise: {why}"


def _losses(row: Row) -> str:
    """Of requests that failed, where chance does not explain how many."""
    failed = row["failed"]
    low, high = failed["low"], failed["high"]
    if row["verdict"] == "invalid" or low is None or low <= failed["measured"] <= high:
        return ""
    return (
        f"{row['scenario']}, {row['algorithm']}: {failed['measured']} requests failed, {low:.0f} "
        f"to {high:.0f} by chance alone"
    )


def _why(row: Row) -> str:
    told = [*row["why"], *([row["cause"]] if row.get("cause") else [])]
    return "; ".join(dict.fromkeys(map(str, told))) or "see its figures"


def write_study(told: Told, path: Path) -> None:
    """fidelity.json. Raises CannotWrite."""
    with writing(path):
        write_json(told, path)


def summary(studies: Mapping[str, Told]) -> str:
    """Medians of several, each in a line behind its name, in Markdown."""
    targets: Mapping[str, float] = next(iter(studies.values()))["targets"]
    rows = [
        [
            *(name, str(len(told["runs"])), str(told["passed"])),
            *(_percent(told["medians"][it]) if it in told["medians"] else "-" for it in targets),
        ]
        for name, told in studies.items()
    ]
    rows.append(["at most", "", "", *map(_percent, targets.values())])
    return table(["median error of", "runs", "passed", *targets], rows, left=1)


def notes(told: Told) -> str:
    """What there is to say of it, misses included, in Markdown."""
    return "".join(f"- {sentence}\n" for sentence in sentences(told))


def all_runs(told: Told) -> str:
    """Run by run, folded away, in Markdown."""
    rows = [
        [
            *(row["scenario"], row["algorithm"]),
            *(_long(row, name) for name in FIGURES),
            f"{100 * share_error(row):.1f}" if row["shares"] else "-",
            f"{row['failed']['predicted']:.0f} / {row['failed']['measured']}",
            row["verdict"],
        ]
        for row in told["runs"]
    ]
    heads = ["scenario", "algorithm", *FIGURES, "shares", "failed", "verdict"]
    return (
        f"<details><summary>All {len(rows)} runs of {told['seconds']:g} s: predicted / measured in "
        "ms, the error, and what chance alone gives; shares: the largest error in points"
        "</summary>\n\n" + table(heads, rows, left=2) + "\n</details>\n"
    )


def _long(row: Row, name: str) -> str:
    figure = row["figures"].get(name)
    if figure is None:
        return "-"
    predicted, measured = _ms(figure["predicted"], 0.0995), _ms(figure["measured"], 0.0995)
    told = f"{predicted} / {measured}, {100 * figure['error']:+.1f} %"
    if figure.get("low") is None:
        return told
    return f"{told} ({100 * figure['low']:+.1f} to {100 * figure['high']:+.1f})"
