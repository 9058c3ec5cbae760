"""`lb simulate`: algorithms on paper."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lb.cli.interrupts import Heard, terminable
from lb.cli.invocation import again
from lb.cli.options import (
    Algorithms,
    AsJson,
    ConfigFile,
    Load,
    Quiet,
    Rate,
    Replications,
    Requests,
    Seed,
    Workers,
    algorithms,
    at_pace,
    number_of_workers,
    out_option,
)
from lb.cli.printing import bar, print_json
from lb.cli.streams import complain
from lb.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from sim import Result

NOT_MEANT = ("out", "report", "workers", "as_json", "quiet")
"""What changes nothing of a result."""


def simulate(
    context: typer.Context,
    config: ConfigFile = None,
    algorithm: Algorithms = None,
    rate: Rate = None,
    load: Load = None,
    requests: Requests = None,
    replications: Replications = None,
    seed: Seed = None,
    out: Annotated[
        Path | None,
        out_option("Where plots, report.html and result.json go [lb-report; with --json nowhere]."),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="[FILE.html]",
            envvar="LB_REPORT",
            help="Everything on one page that needs nothing else [report.html in --out].",
        ),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIGURE=SHARE",
            envvar="LB_PRECISION",
            help="Add replications until half the interval of mean, p50, p90, p95, p99 or p999 is "
            "this share of it, p99=2% say; repeat for several.",
        ),
    ] = None,
    max_requests: Annotated[
        int,
        typer.Option(
            min=1, envvar="LB_MAX_REQUESTS", help="Of each algorithm, for --precision at most."
        ),
    ] = 10_000_000,
    timeline: Annotated[
        bool,
        typer.Option(
            "--timeline",
            envvar="LB_TIMELINE",
            help="Second by second too: timeline.png and, with --json, a timeline [where runs "
            "change with time].",
        ),
    ] = False,
    no_trace: Annotated[
        bool,
        typer.Option(
            "--no-trace",
            envvar="LB_NO_TRACE",
            help="Keep no requests, but histograms: fewer pictures, and any number of requests in "
            "the same memory.",
        ),
    ] = False,
    workers: Workers = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a scenario under one or more algorithms.

    Exit status 4 when an objective of the file is missed, or the data cannot tell. Ctrl-C, or
    SIGTERM, leaves the replications that every algorithm has done.
    """
    gc.disable()  # what is imported stays: to look for garbage in it takes a tenth of the start
    import sim
    from lb.system import try_directory
    from lb.terminal import Terminal
    from sim import scenarios
    from sim.output.html import report as page_of
    from sim.output.html import write_page
    from sim.output.report import REPORT, print_objectives, print_result, write_report
    from sim.output.words import offered
    from sim.precision import wanted

    gc.enable()
    if no_trace and timeline:
        raise UsageError("--timeline shows what --no-trace drops; give one of them")
    scenario = sim.Scenario.load(config) if config else scenarios.built_in()
    if requests is not None:
        scenario = scenario.with_run(requests=requests, duration=None)
    if replications is not None:
        scenario = scenario.with_run(replications=replications)
    if seed is not None:
        scenario = scenario.with_run(seed=seed)
    scenario = at_pace(scenario, rate, load)
    narrow = wanted(precision or [])
    hands = number_of_workers(workers)
    names = algorithms(algorithm or []) or [scenario.algorithm.name]
    terminal = Terminal(stderr=as_json, quiet=quiet)
    directory = out or (None if as_json else Path("lb-report"))
    for name in names:
        scenario.setup(name)  # what cannot be meant is told before anything is said
    if endless := scenario.endless():
        raise ConfigError(endless)
    if directory is not None:
        try_directory(directory, REPORT)
    pages = _pages(report, directory, out)
    for sentence in offered(scenario, names):
        terminal.say(sentence)

    remarks = []
    heard = Heard()
    progress = bar(quiet=quiet)
    try:
        with terminable() as heard, progress:
            whole = (
                None if narrow else len(names) * scenario.run.replications
            )  # none knows beforehand
            task = progress.add_task("simulating", total=whole)
            result = sim.simulate(
                scenario,
                names,
                workers=hands,
                precision=narrow,
                max_requests=max_requests,
                on_replication=lambda: progress.advance(task),
                timeline=timeline,
                trace=not no_trace,
            )
    except KeyboardInterrupt as error:
        result = _left(error, scenario.run.replications, heard.status)
        remarks = [f"interrupted: {error}"]
        terminal.say(remarks[0])
    print_result(result, terminal)
    try:
        if directory is not None:
            write_report(result, directory)
            terminal.say(f"Plots and result.json are in {directory}/")
        if pages:
            text = config.read_text(encoding="utf-8") if config else scenarios.BUILT_IN
            page = page_of(result, text, again(context, NOT_MEANT), remarks=remarks)
            write_page(page, pages)
            terminal.say(f"All of it is on one page: {' and '.join(map(str, pages))}")
    finally:  # what took long is not lost for want of a place
        if as_json:
            print_json(result.as_dict())
    print_objectives(result, terminal)
    if remarks:
        raise typer.Exit(heard.status)
    if result.missed():
        raise typer.Exit(4)


def _left(error: KeyboardInterrupt, replications: int, status: int) -> Result:
    """What an interrupt leaves, where it leaves anything. Raises Exit."""
    import sim

    if isinstance(error, sim.Interrupted):
        return error.result
    complain(f"interrupted: 0 of {replications} replications, nothing to show")
    raise typer.Exit(status)


def _pages(report: str | None, directory: Path | None, out: Path | None) -> list[Path]:
    """Where the report goes: into the directory of everything else, and where it is asked for."""
    from lb.system import try_directory

    name = "report.html"
    pages = [] if directory is None else [directory / name]
    if report is not None:
        pages.append(Path(report) if report else (out or Path("lb-report")) / name)
    for page in pages:
        try_directory(page.parent, [page.name])
    return list(dict.fromkeys(pages))
