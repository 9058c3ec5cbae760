"""What a person gets: tables on the terminal, pictures and JSON in a directory."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sim.arrivals import Schedule
from sim.experiment import Result
from sim.statistics import Estimate
from sim.verdict import Judgement, Line, Measurement, Verdict

SHOWN = ("mean", "p50", "p95", "p99", "p999")


def print_result(result: Result, console: Console) -> None:
    """Latencies, backends, and what can be said of the ranking."""
    run = result.runs[0]
    replications = len(run.records)
    kind = f"{replications} replications" if replications > 1 else "one replication, batch means"
    table = Table(
        title=f"Latency in ms as clients see it, 95 % intervals ({run.requests:g} requests, {kind})",
        title_justify="left",
    )
    table.add_column("algorithm")
    for name in SHOWN:
        table.add_column(name, justify="right")
    for run in result.runs:
        table.add_row(run.algorithm, *(_ms(run.latency[name]) for name in SHOWN))
    console.print(table)

    table = Table(title="Backends: share / utilisation", title_justify="left")
    table.add_column("algorithm")
    for backend in result.runs[0].backends:
        table.add_column(backend.name, justify="right")
    if len(result.runs[0].backends) <= 8:
        for run in result.runs:
            table.add_row(
                run.algorithm, *(f"{b.share:.1%} / {b.utilisation:.1%}" for b in run.backends)
            )
        console.print(table)
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
    from sim.plots import draw_all

    directory.mkdir(parents=True, exist_ok=True)
    document = directory / "result.json"
    document.write_text(json.dumps(result.as_dict(), indent=1) + "\n", encoding="utf-8")
    return [document, *draw_all(result, directory)]


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Measured beside predicted."""
    if verdict.latency:
        table = Table(
            title=f"{verdict.algorithm}: measured beside predicted, {verdict.requests} requests",
            title_justify="left",
        )
        for name in ("figure", "measured", "predicted", "interval for one run", "allowed", ""):
            table.add_column(name, justify="left" if name in ("figure", "") else "right")
        for name, line in verdict.latency.items():
            table.add_row(f"{name} (ms)", *_cells(line, 1e3))
        for name, line in verdict.shares.items():
            table.add_row(f"share of {name} (%)", *_cells(line, 1e2))
        console.print(table)
        late = verdict.late_by
        console.print(
            f"Failed: {verdict.failed}, predicted {verdict.failed_predicted:g}. The generator was "
            f"late by {late['p50'] * 1e3:.2g} ms at p50, {late['p99'] * 1e3:.2g} ms at p99."
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
        else f"{predicted.low * scale:.2f} to {predicted.high * scale:.2f}"
    )
    return (
        f"{line.measured * scale:.2f}",
        f"{predicted.value * scale:.2f}",
        interval,
        f"± {line.tolerance:.0%}",
        "ok" if line.ok else "MISS",
    )


def _ms(estimate: Estimate) -> str:
    value = f"{estimate.value * 1e3:.4g}"
    return value if estimate.high is None else f"{value} ± {estimate.half_width * 1e3:.2g}"
