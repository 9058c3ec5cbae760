"""What a person gets: tables on the terminal, pictures and JSON in a directory."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lb.errors import CannotWrite
from lb.system import writing
from lb.terminal import Terminal, counted
from sim.analysis.distances import Error
from sim.live.line import Line
from sim.live.measurement import Measurement
from sim.live.verdict import Judgement, Verdict
from sim.model.arrivals import Schedule
from sim.output import judged
from sim.output.documents import write_json
from sim.output.words import MANY, milliseconds, sentences, span
from sim.result import AlgorithmRun, BackendUse, Result

SHOWN = ("mean", "p50", "p95", "p99", "p999")
DOCUMENT = "result.json"
PICTURES = (
    "latency_ccdf.png",
    "latency_percentiles.png",
    "regret.png",
    "backends.png",
    "in_flight.png",
    "queues.png",
    "timeline.png",
)
REPORT = (DOCUMENT, *PICTURES)
"""Files that `write_report` may leave."""


def print_result(result: Result, terminal: Terminal) -> None:
    """Latencies, backends, and what can be said of the ranking."""
    first = result.runs[0]
    replications = result.scenario.run.replications
    requests = counted(f"{first.requests:.0f}", "request")
    kind = f"{replications} replications" if replications > 1 else "one replication, batch means"
    terminal.table(
        f"Latency in ms as clients see it, 95 % intervals; {requests}, {kind}",
        ["algorithm", *SHOWN],
        [
            [run.algorithm, *(milliseconds(run.latency[name]) for name in SHOWN)]
            for run in result.runs
        ],
    )
    if len(first.backends) <= MANY:
        terminal.table(
            "Backends: share of the requests / utilisation",
            ["algorithm", *(backend.name for backend in first.backends)],
            [
                [run.algorithm, *(f"{b.share:.1%} / {b.utilisation:.1%}" for b in run.backends)]
                for run in result.runs
            ],
            either_way=True,
        )
    else:
        terminal.table(
            f"{len(first.backends)} backends: the least and the most of them",
            ["algorithm", "least share", "most share", "least utilised", "most utilised"],
            [[run.algorithm, *_extremes(run)] for run in result.runs],
        )
    if first.shared:
        terminal.table(
            "Shared stations: utilisation / requests there",
            ["algorithm", *(use.name for use in first.shared)],
            [
                [
                    run.algorithm,
                    *(f"{u.utilisation:.1%} / {u.mean_present:.3g}" for u in run.shared),
                ]
                for run in result.runs
            ],
            either_way=True,
        )
    for run in result.runs:
        if (use := run.proxy) is not None:
            terminal.say(f"{run.algorithm}: {use.name}'s own thread is busy {use.utilisation:.1%}.")
    for sentence in sentences(result):
        terminal.say(sentence)


def _extremes(run: AlgorithmRun) -> list[str]:
    figures: tuple[Callable[[BackendUse], float], ...] = (
        lambda use: use.share,
        lambda use: use.utilisation,
    )
    return [f"{most(map(figure, run.backends)):.1%}" for figure in figures for most in (min, max)]


def print_objectives(result: Result, terminal: Terminal) -> None:
    """Each objective of the file in words, met or not."""
    for algorithm, objective in result.objectives():
        terminal.say(f"{algorithm}: objective {objective}")


def write_report(result: Result, directory: Path) -> list[Path]:
    """Plots and result.json in `directory`, which is made when missing. Raises CannotWrite."""
    from sim.output.plots.pictures import draw_all

    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        document = directory / DOCUMENT
        write_json(result.as_dict(), document)
        return [document, *draw_all(result, directory)]


def print_verdict(verdict: Verdict, terminal: Terminal) -> None:
    """Measured beside predicted."""
    if verdict.latency:
        requests = counted(verdict.requests, "request")
        title = f"{verdict.algorithm}: measured beside predicted, {requests}"
        terminal.table(title, VERDICT_HEADER, verdict_rows(verdict))
    if 0 < len(verdict.backends) <= MANY:
        terminal.table(BACKENDS_TITLE, judged.BACKENDS, judged.backend_rows(verdict))
    if verdict.phases:
        terminal.table(PHASES_TITLE, judged.PHASES, judged.phase_rows(verdict))
    for sentence in verdict_sentences(verdict):
        terminal.say(sentence)


BACKENDS_TITLE = "Each backend while all is calm: measured/predicted"
PHASES_TITLE = "Each phase: measured/predicted; how far beyond the tolerance/at most"
VERDICT_HEADER = ("figure", "measured", "predicted", "95 % of runs", "and beyond", "")


def verdict_rows(verdict: Verdict) -> list[list[str]]:
    """Each figure under `VERDICT_HEADER`; nothing where there are none."""
    if not verdict.latency:
        return []
    rows = [[f"{name} (ms)", *_cells(line, 1e3)] for name, line in verdict.latency.items()]
    rows += [[f"share of {name} (%)", *_cells(line, 1e2)] for name, line in verdict.shares.items()]
    if (far := verdict.distribution) is not None and far.judged:
        most, word = f"0.00 to {far.most * 1e2:.2f}", "ok" if far.ok else "MISS"
        tolerance = f"± {far.tolerance:.0%}"
        rows.append(["distance (%)", f"{far.beyond * 1e2:.2f}", "-", most, tolerance, word])
    if verdict.trouble:  # and then nothing else is judged; failures are what is lost
        rows = [[*row[:-1], ""] for row in rows]
    else:
        rows.append(["failed (requests)", *_cells(verdict.failures, 1.0)])
    rows += [[f"{name} (requests)", *_cells(line, 1.0)] for name, line in verdict.errors.items()]
    return rows + [[_what(name), *_cells(line, 1.0)] for name, line in verdict.trouble.items()]


def verdict_sentences(verdict: Verdict) -> Iterator[str]:
    """What stands below the table; the judgement comes last."""
    if verdict.latency:
        if not verdict.shares:
            yield "Shares are not judged: [server] backend_header is off, no answer says."
        late = verdict.late_by
        yield (
            f"The generator was late by {late['p50'] * 1e3:z.2f} ms at p50, "
            f"{late['p99'] * 1e3:z.2f} ms at p99."
        )
    told = [_error(name, one) for name, one in verdict.quantiles.items()]
    if told := [text for text in told if text]:
        ranges = " (95 % intervals)" if any("(" in text for text in told) else ""
        yield f"Error{ranges}: {', '.join(told)}."
    for name, needs in verdict.untold.items():
        yield f"{name} is not judged: it takes {needs} answers at least."
    for reason in verdict.invalid:
        yield f"This run says nothing: {reason}"
    for objective in verdict.objectives:
        yield f"Objective {objective}"
    if verdict.off and not verdict.invalid:
        yield f"Off: {', '.join(verdict.off)}."
    if verdict.cause is not None and not verdict.invalid:
        yield f"Where it comes from: {verdict.cause.who}: {verdict.cause.says}."
    yield {
        Judgement.PASSED: "PASSED: the proxy did what the simulator said it would.",
        Judgement.MISSED: "MISSED: the live run is not what the simulator said it would be.",
        Judgement.INVALID: "INVALID: not judged.",
    }[verdict.judgement]


def verdict_files(path: Path) -> tuple[Path, Path, Path]:
    """The verdict's own file, and beside it the schedule and the raw times. Raises CannotWrite."""
    if not path.name:
        raise CannotWrite(path, os.strerror(errno.EISDIR).lower())
    return path, path.with_suffix(".schedule.npz"), path.with_suffix(".measured.npz")


def write_verdict(
    verdict: Verdict,
    path: Path,
    schedule: Schedule | None,
    measured: Measurement,
) -> list[Path]:
    """verdict.json, and beside it what it was reached from; users have no schedule.

    Raises CannotWrite.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _, drawn, raw = files = verdict_files(path)
        write_json(verdict.as_dict(), path)
        measured.save(raw)
        if schedule is None:
            drawn.unlink(missing_ok=True)  # of a run before
            return [path, raw]
        schedule.save(drawn)
        return list(files)


def _error(name: str, error: Error) -> str:
    """Nothing where the run cannot tell it."""
    if not math.isfinite(error.low):
        return ""
    value, low, high = (f"{it * 1e2:+.1f}" for it in (error.error, error.low, error.high))
    return f"{name} {value} %" if low == high else f"{name} {value} % ({low} to {high})"


def _what(name: str) -> str:
    """A figure of `Verdict.trouble`, with its unit."""
    units = {"lost": "lost (requests)", "goodput": "goodput (1/s)", "recovery": "recovery (s)"}
    return units.get(name, f"{name} (s)")


def _cells(line: Line, scale: float) -> Sequence[str]:
    predicted = line.predicted
    interval = "-"
    if predicted.low is not None and predicted.high is not None:
        interval = span(f"{predicted.low * scale:z.2f}", f"{predicted.high * scale:z.2f}")
    return (
        _number(line.measured * scale),
        _number(predicted.value * scale),
        interval,
        f"± {line.slack:g}" if line.slack and not line.tolerance else f"± {line.tolerance:.0%}",
        ("ok" if line.ok else "MISS") if line.judged else "",
    )


def _number(value: float) -> str:
    return f"{value:z.2f}" if math.isfinite(value) else "-"
