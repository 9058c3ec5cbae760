"""What `lb top` draws: a balancer in as many columns and lines as there are."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.cells import set_cell_size
from rich.table import Table
from rich.text import Text

from lb.cli.watching import Lane, Point, Snapshot
from lb.terminal import UNKNOWN, counted

STYLES = {
    "up": "green",
    "down": "bold red",
    "ejected": "yellow",
    "drain": "yellow",
    "maint": "dim",
    "unknown": "dim",
}
ORDER = ("down", "ejected", "drain", "unknown", "maint", "up")
BARS = " ▁▂▃▄▅▆▇█"
NO_LANE = Lane(0.0, 0.0, None, None)
SORTS = ("file", "trouble", "rate", "latency")
NARROW, WIDE = 78, 116
"""Columns from which on bars are drawn, and reasons told beside them."""
TALL = 18
"""Lines from which on there is room for events, and for how the rate has been."""
EVENTS = 6
"""Lines of events at most."""


@dataclass
class View:
    """What is known of it when it is drawn."""

    address: str
    snapshot: Snapshot
    point: Point | None = None
    trouble: str = ""
    """Why it does not answer at present."""
    rates: Sequence[float] = ()
    forecast: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    sort: str = "file"


def drawn(view: View, width: int, height: int) -> list[Text | Table]:
    """From top to bottom."""
    head = [headline(view, width), *figures(view, width)]
    if len(view.rates) > 1 and height >= TALL:
        head.append(Text(sparkline(view.rates[-width:]), "blue"))
    if view.trouble:
        head.append(Text(_cut(f"{view.trouble}; trying again", width), "bold red"))
    events = list(_events(view.events, width))[-(height // 5) :] if height >= TALL else []
    room = max(height - len(head) - len(events) - (3 if events else 2), 1)
    rows = in_order(view)
    if len(rows) > room:
        room -= 1
    parts: list[Text | Table] = [*head, Text(), lanes(view, rows[:room], width)]
    if len(rows) > room:
        parts.append(Text(f"and {counted(len(rows) - room, 'more backend')}", "dim"))
    if events:
        parts += [Text(), *events]
    return parts


def headline(view: View, width: int) -> Text:
    """Which balancer it is, and whether it serves."""
    told = view.snapshot
    usable = sum(row["usable"] and not row["panic"] for row in told["backends"])
    total = len(told["backends"])
    settings = ",".join(f"{name}={value}" for name, value in told["settings"].items())
    line = Text("lb ", "bold")
    line.append(view.address, "dim")
    line.append(f"  {told['algorithm']}{settings and ':' + settings}")
    style = "green" if usable == total else "yellow" if usable else "bold red"
    line.append(f"  {usable} of {total} usable", style)
    if told["panic"]:
        line.append("  panic", "bold yellow")
    line.append(f"  {counted(len(told['workers']), 'worker')}", "dim")
    line.truncate(width, overflow="ellipsis")
    return line


def figures(view: View, width: int) -> list[Text]:
    """Rates and latencies, with what was predicted of them."""
    point, told = view.point, view.snapshot
    if point is None:
        return [Text("the second look gives figures", "dim")]
    first = [f"{figure(point.rate)} requests/s"]
    first.append(f"{figure(point.failing)} errors/s")
    first += [f"{point.in_flight} in flight", f"{told['waiting']} waiting"]
    if point.retries:
        first.append(f"{figure(point.retries)} retries/s")
    if point.hedges:
        first.append(f"{figure(point.hedges)} hedges/s")
    lines = [Text(_cut("  ".join(first), width), "bold" if not point.failing else "bold red")]
    second = Text()
    ready = view.forecast.get("state") == "ready" and width >= UNKNOWN
    for name, value in point.latency.items():
        second.append(f"{name} ", "dim").append(seconds(value), "bold")
        band = view.forecast["latency"].get(name) if ready else None
        if band:
            inside = value is None or band["low"] <= value <= band["high"]
            words = f" ({between(band['low'], band['high'])})"
            second.append(words, "dim" if inside else "yellow")
        second.append("  ")
    second.truncate(width, overflow="ellipsis")
    lines.append(second)
    kinds = sorted(point.errors.items(), key=lambda it: -it[1])
    if kinds:
        words = ", ".join(f"{kind.replace('_', ' ')} {figure(rate)}/s" for kind, rate in kinds)
        lines.append(Text(_cut(words, width), "red"))
    return lines


def in_order(view: View) -> list[Snapshot]:
    """The backends as they are wanted."""
    rows = list(view.snapshot["backends"])
    lanes = view.point.lanes if view.point else {}

    def lane(row: Snapshot) -> Lane:
        return lanes.get(row["name"], NO_LANE)

    if view.sort == "trouble":
        rows.sort(key=lambda row: (ORDER.index(row["state"]), -lane(row).failing))
    elif view.sort == "rate":
        rows.sort(key=lambda row: -lane(row).rate)
    elif view.sort == "latency":
        rows.sort(key=lambda row: -(lane(row).latency or 0.0))
    return rows


def lanes(view: View, rows: Iterable[Snapshot], width: int) -> Table:
    """A row for each backend."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=True)
    named = max(8, width - (28 if width < NARROW else 65 if width < WIDE else 99))
    table.add_column("backend", max_width=named, no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("state", width=7, no_wrap=True)
    if width >= WIDE:
        table.add_column("reason", width=33, no_wrap=True, overflow="ellipsis")
    if width >= NARROW:
        table.add_column("share", width=12, no_wrap=True)
    for name, wide in (("req/s", 6), ("latency", 8)):
        table.add_column(name, width=wide, justify="right", no_wrap=True)
    if width >= NARROW:
        for name, wide in (("flight", 6), ("fail/s", 6), ("eject", 5), ("weight", 6)):
            table.add_column(name, width=wide, justify="right", no_wrap=True)
    found = view.point.lanes if view.point else {}
    biggest = max((lane.share or 0.0 for lane in found.values()), default=0.0) or 1.0
    for row in rows:
        table.add_row(*_cells(row, found.get(row["name"], NO_LANE), biggest, width))
    return table


def _cells(row: Snapshot, lane: Lane, biggest: float, width: int) -> list[str | Text]:
    state = Text(row["state"], "yellow" if row["panic"] else STYLES.get(row["state"], ""))
    cells: list[str | Text] = [Text(row["name"]), state]
    if width >= WIDE:
        cells.append(Text(reason(row), "dim"))
    if width >= NARROW:
        cells.append(_bar(lane.share, biggest))
    cells += [figure(lane.rate), seconds(lane.latency)]
    if width >= NARROW:
        failing = Text(figure(lane.failing), "bold red" if lane.failing else "")
        weight, effective = row["weight"], row["effective_weight"]
        slow = Text(f"{effective:.3g}", "yellow" if effective != weight else "")
        cells += [str(row["connections"]), failing, str(row["ejections"]), slow]
    return cells


def reason(row: Snapshot) -> str:
    """Why it is as it is, and since when."""
    if row["ejected_for"] is not None:
        return f"{span(row['ejected_for'])} left"
    since = "" if row["last_change"] is None else f"for {span(row['last_change'])}"
    why = "" if row["state"] == "up" else row["reason"]
    return ", ".join(filter(None, (since, why)))


def _bar(share: float | None, biggest: float) -> Text:
    if share is None:
        return Text("-", "dim")
    eighths = round(6 * 8 * share / biggest)
    bar = "█" * (eighths // 8) + (BARS[eighths % 8] if eighths % 8 else "")
    return Text(set_cell_size(bar, 6), "blue").append(f" {100 * share:4.0f}%", "default")


def _events(events: Iterable[Mapping[str, Any]], width: int) -> Iterable[Text]:
    for event in tuple(events)[-EVENTS:]:
        at = time.strftime("%H:%M:%S", time.localtime(event["time"]))
        fields = " ".join(f"{key}={value}" for key, value in event["fields"].items())
        style = {"warning": "yellow", "error": "bold red"}.get(event["level"], "")
        line = Text(f"{at} ", "dim").append(event["event"], style).append(f" {fields}", "dim")
        line.truncate(width, overflow="ellipsis")
        yield line


def sparkline(values: Sequence[float]) -> str:
    """One letter for each, as high as it is."""
    most = max(values) or 1.0
    return "".join(BARS[max(round(8 * value / most), 1 if value else 0)] for value in values)


def figure(number: float | None) -> str:
    """About three digits that count."""
    if number is None:
        return "-"
    if number == 0:
        return "0"
    if number >= 99.95:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 9.95 else f"{number:.2f}"


def seconds(number: float | None) -> str:
    """12.3 ms"""
    if number is None:
        return "-"
    return f"{figure(number)} s" if number >= 0.9995 else f"{figure(number * 1e3)} ms"


def between(low: float, high: float) -> str:
    """12.3-15.2 ms"""
    one, other = seconds(low), seconds(high)
    number, _, unit = one.rpartition(" ")
    return f"{number}-{other}" if other.endswith(f" {unit}") else f"{one} - {other}"


def span(number: float) -> str:
    """How long."""
    for unit, size, below in (("s", 1, 100), ("min", 60, 6000), ("h", 3600, 172800)):
        if number < below:
            return f"{number / size:.0f} {unit}"
    return f"{number / 86400:.0f} d"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
