"""`lb sweep`: a grid of scenarios on paper."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lb.cli.axes import axes_of, set_once
from lb.cli.interrupts import Heard, terminable
from lb.cli.options import (
    Algorithms,
    AsJson,
    ConfigFile,
    Quiet,
    Replications,
    Requests,
    Seed,
    Workers,
    algorithms,
    number_of_workers,
    out_option,
)
from lb.cli.printing import bar, print_json
from lb.errors import UsageError
from lb.terminal import Terminal, counted

if TYPE_CHECKING:
    from rich.progress import Progress

    from sim.crew import Workers as Hands
    from sim.fit.kept import Kept
    from sim.fit.sweep import Sweep

LIST = "V,V,... or FROM:TO:STEP"


def sweep(
    config: ConfigFile = None,
    algorithm: Algorithms = None,
    load: Annotated[
        str | None,
        typer.Option(metavar=LIST, envvar="LB_LOAD", help="Offered work over capacity."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar=LIST, envvar="LB_RATE", help="Requests per second.")
    ] = None,
    backends: Annotated[
        str | None,
        typer.Option(
            metavar=LIST,
            envvar="LB_BACKENDS",
            help="How many: the file's first ones, or all of them again and again; the load stays.",
        ),
    ] = None,
    balancers: Annotated[
        str | None,
        typer.Option(
            metavar=LIST, envvar="LB_BALANCERS", help="How many, each seeing its own requests only."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=V,V,...",
            envvar="LB_SET",
            help="Any key of the file by its dotted path, such as traffic.keys.s=0.8,1.1 (with no "
            "number that of every backend), or a parameter, p2c:choices=2,3; repeat for more.",
        ),
    ] = None,
    requests: Requests = None,
    replications: Replications = None,
    seed: Seed = None,
    metric: Annotated[
        str,
        typer.Option(
            metavar="mean|p50|p95|p99",
            envvar="LB_METRIC",
            help="What is told.",
        ),
    ] = "p99",
    out: Annotated[
        Path | None,
        out_option(
            "Where cells go as they are done, and from where an interrupted sweep goes on "
            "[lb-sweep; with --json nowhere]."
        ),
    ] = None,
    workers: Workers = "auto",
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", envvar="LB_SCHEDULER", help="A Dask cluster that simulates instead."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a scenario over a grid of values.

    Every combination of what is given is simulated.

    Each cell is a comparison of its own, with the same seed. Ctrl-C leaves the cells that are done,
    and the same command goes on from there.
    """
    import sim
    from lb.system import try_directory
    from sim import scenarios
    from sim.fit.kept import FILE, Kept
    from sim.output.sweeps import REPORT, print_sweep, write_sweep
    from sim.result import COMPARED

    if metric not in COMPARED:
        raise UsageError(f"--metric: {metric!r} is none of: {', '.join(COMPARED)}")
    if scheduler is not None and workers != "auto":
        raise UsageError("--workers is for this machine, --scheduler for others; give one of them")
    hands = number_of_workers(workers)
    scenario = sim.Scenario.load(config) if config else scenarios.built_in()
    given: dict[str, Any] = {"replications": replications, "seed": seed, "requests": requests}
    update = {name: value for name, value in given.items() if value is not None}
    if requests is not None:
        update["duration"] = None
    scenario = scenario.with_run(**update)
    names = algorithms(algorithm or []) or [scenario.algorithm.name]
    over = axes_of(changes or [], backends=backends, balancers=balancers, rate=rate, load=load)
    set_once(over, **given)
    made = sim.Sweep.of(scenario, names, over)

    terminal = Terminal(stderr=as_json, quiet=quiet)
    directory = out or (None if as_json else Path("lb-sweep"))
    kept = None
    terminal.say(_begun(made))
    if directory is not None:
        try_directory(directory, (FILE, *REPORT))
        kept = Kept.open(directory)
        there, changed = made.recall(kept)
        if there:
            terminal.say(f"{there} of them are in {kept.path} already.")
        if changed:
            terminal.say(
                f"{changed} start anew: what {kept.path} holds of them was made with another file, "
                "other algorithms or another version."
            )
    stopped = _run(made, kept, hands, scheduler, quiet=quiet)
    if stopped:
        done = sum(row is not None for row in made.rows)
        more = "; the same command goes on from there" if kept else ""
        terminal.say(f"interrupted: {done} of {len(made.cells)} cells{more}")
    print_sweep(made, metric, terminal)
    try:
        if directory is not None:
            write_sweep(made, metric, directory)
            terminal.say(f"Cells, pictures and sweep.json are in {directory}/")
    finally:  # what took long is not lost for want of a place
        if as_json:
            print_json(made.as_dict())
    if stopped:
        raise typer.Exit(stopped)


def _begun(made: Sweep) -> str:
    runs = made.cells[0].scenario.run.replications
    return (
        f"{counted(len(made.cells), 'cell')}, in each {counted(len(made.algorithms), 'algorithm')} "
        f"and {counted(runs, 'replication')}."
    )


def _run(
    made: Sweep, kept: Kept | None, hands: Hands, scheduler: str | None, *, quiet: bool
) -> int:
    """Simulate what is missing; the exit status where Ctrl-C or SIGTERM ended it, else 0."""
    from sim.crew import Crew
    from sim.fit.cluster import cluster
    from sim.fit.sweep import effort

    missing = [cell for cell, row in zip(made.cells, made.rows, strict=True) if row is None]
    heard = Heard()
    try:
        with ExitStack() as stack:
            heard = stack.enter_context(terminable())
            if scheduler is not None:
                hands = stack.enter_context(cluster(scheduler))
            crew = stack.enter_context(Crew(hands))
            progress = stack.enter_context(_bar(quiet=quiet))
            task = progress.add_task("sweeping", total=sum(map(effort, missing)), cells="")
            for number, place in enumerate(made.run(crew, kept), 1):
                progress.update(
                    task, advance=effort(made.cells[place]), cells=f"{number} of {len(missing)}"
                )
    except KeyboardInterrupt:
        return heard.status
    return 0


def _bar(*, quiet: bool) -> Progress:
    from rich.progress import BarColumn, TimeRemainingColumn

    cells = "{task.fields[cells]}"
    return bar("{task.description}", BarColumn(), cells, TimeRemainingColumn(), quiet=quiet)
