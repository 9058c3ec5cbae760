"""What a person gets: tables on the terminal, pictures and JSON in a directory."""

from __future__ import annotations

import json
import math
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sim.analysis.statistics import Estimate
from sim.live.verdict import Judgement, Line, Measurement, Verdict
from sim.model.arrivals import Schedule
from sim.result import Result

MANY = 8
"""Backends beyond which a row for each does not fit."""
SATURATED = 0.97
"""Utilisation above which a run of ordinary length is no steady state."""
SHOWN = ("mean", "p50", "p95", "p99", "p999")


def terminal(*, stderr: bool = False) -> Console:
    """A terminal; wide enough for the tables where there is none."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 120
    return console


def print_result(result: Result, console: Console) -> None:
    """Latencies, backends, and what can be said of the ranking."""
    first = result.runs[0]
    replications = len(first.records)
    kind = f"{replications} replications" if replications > 1 else "one replication, batch means"
    table = _table(
        f"Latency in ms as clients see it, 95 % intervals; {first.requests:.0f} requests, {kind}"
    )
    table.add_column("algorithm", no_wrap=True)
    for name in SHOWN:
        table.add_column(name, justify="right", no_wrap=True)
    for run in result.runs:
        table.add_row(run.algorithm, *(_ms(run.latency[name]) for name in SHOWN))
    console.print(table)

    if len(first.backends) <= MANY:
        table = _table("Backends: share of the requests / utilisation")
        table.add_column("algorithm", no_wrap=True)
        for backend in first.backends:
            table.add_column(backend.name, justify="right", no_wrap=True)
        for run in result.runs:
            table.add_row(
                run.algorithm, *(f"{b.share:.1%} / {b.utilisation:.1%}" for b in run.backends)
            )
        console.print(table)
    for run in result.runs:
        full = [backend.name for backend in run.backends if backend.utilisation > SATURATED]
        if full:
            console.print(
                f"{run.algorithm}: {', '.join(full)} cannot keep up; its latencies have no steady "
                "state and depend on the length of the run"
            )
    for run in result.runs:
        if lost := run.requests - run.completed:
            console.print(
                f"{run.algorithm}: {lost:g} of {run.requests:g} requests were not served "
                f"(failed {run.failed:g}, rejected {run.rejected:g}, timed out {run.timed_out:g})"
            )
    if len(result.runs) > 1:
        for metric in ("mean", "p99"):
            groups = [" = ".join(group) for group in result.ranking(metric)]
            console.print(f"By {metric}, best first: {' < '.join(groups)}")
        if any(len(group) > 1 for group in result.ranking("p99")):
            console.print("(= not distinguishable at 95 % with these replications)")


def write_report(result: Result, directory: Path) -> list[Path]:
    """Plots and result.json in `directory`, which is made when missing."""
    from sim.output.plots.pictures import draw_all

    directory.mkdir(parents=True, exist_ok=True)
    document = directory / "result.json"
    document.write_text(json.dumps(result.as_dict(), indent=1) + "\n", encoding="utf-8")
    return [document, *draw_all(result, directory)]


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Measured beside predicted."""
    if verdict.latency:
        table = _table(
            f"{verdict.algorithm}: measured beside predicted, {verdict.requests} requests"
        )
        for name in ("figure", "measured", "predicted", "95 % of runs", "and beyond", ""):
            table.add_column(name, justify="left" if name in ("figure", "") else "right")
        for name, line in verdict.latency.items():
            table.add_row(f"{name} (ms)", *_cells(line, 1e3))
        for name, line in verdict.shares.items():
            table.add_row(f"share of {name} (%)", *_cells(line, 1e2))
        console.print(table)
        late = verdict.late_by
        console.print(
            f"Failed: {verdict.failed}, predicted {verdict.failed_predicted:g}. The generator was "
            f"late by {late['p50'] * 1e3:z.2f} ms at p50, {late['p99'] * 1e3:z.2f} ms at p99."
        )
    for reason in verdict.invalid:
        console.print(f"This run says nothing: {reason}")
    for objective in verdict.objectives:
        console.print(f"Objective missed: {objective}")
    said = {
        Judgement.PASSED: "PASSED: the proxy did what the simulator said it would.",
        Judgement.MISSED: "MISSED: the live run is not what the simulator said it would be.",
        Judgement.INVALID: "INVALID: not judged.",
    }
    console.print(said[verdict.judgement])


def write_verdict(
    verdict: Verdict,
    path: Path,
    schedule: Schedule,
    measured: Measurement,
) -> list[Path]:
    """verdict.json, and beside it the schedule and the raw times it was reached from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(verdict.as_dict(), indent=1) + "\n", encoding="utf-8")
    raw = path.with_suffix(".schedule.npz"), path.with_suffix(".measured.npz")
    schedule.save(raw[0])
    measured.save(raw[1])
    return [path, *raw]


def _cells(line: Line, scale: float) -> tuple[str, str, str, str, str]:
    predicted = line.predicted
    interval = (
        "none"
        if predicted.low is None or predicted.high is None
        else f"{predicted.low * scale:z.2f} to {predicted.high * scale:z.2f}"
    )
    return (
        _number(line.measured * scale),
        _number(predicted.value * scale),
        interval,
        f"± {line.tolerance:.0%}",
        "ok" if line.ok else "MISS",
    )


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)


def _number(value: float) -> str:
    return f"{value:z.2f}" if math.isfinite(value) else "none"


def _ms(estimate: Estimate) -> str:
    """Milliseconds with the digits that the interval supports."""
    if not math.isfinite(estimate.value):
        return "none"
    if estimate.high is None or not estimate.half_width > 0:
        return f"{estimate.value * 1e3:.4g}"
    half = estimate.half_width * 1e3
    digits = min(max(1 - math.floor(math.log10(half)), 0), 4)
    return f"{estimate.value * 1e3:.{digits}f} ± {half:.{digits}f}"
