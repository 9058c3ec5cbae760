"""`lb simulate`: algorithms on paper."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from lb.cli.options import AsJson, ConfigFile, algorithms


def simulate(
    config: ConfigFile = None,
    algorithm: Annotated[
        list[str] | None,
        typer.Option(
            "-a",
            "--algorithm",
            metavar="NAME",
            envvar="LB_ALGORITHM",
            help="Algorithm to simulate; repeat, or put commas between, to compare [the file's].",
        ),
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option(min=1, envvar="LB_REQUESTS", help="Requests per replication."),
    ] = None,
    replications: Annotated[
        int | None, typer.Option(min=1, envvar="LB_REPLICATIONS", help="Independent repetitions.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, envvar="LB_SEED", help="Seed of everything random.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            envvar="LB_OUT",
            file_okay=False,
            help="Where plots and result.json go [lb-report; with --json nowhere].",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a scenario under one or more algorithms. Exit status 4 on a missed objective."""
    from rich.progress import Progress

    import sim
    from sim import scenarios
    from sim.output.report import print_result, terminal, write_report

    scenario = sim.Scenario.load(config) if config else scenarios.built_in()
    run = scenario.run
    if requests is not None:
        run = run.model_copy(update={"requests": requests, "duration": None})
    if replications is not None:
        run = run.model_copy(update={"replications": replications})
    if seed is not None:
        run = run.model_copy(update={"seed": seed})
    scenario = scenario.model_copy(update={"run": run})
    console = terminal(stderr=as_json)
    names = algorithms(algorithm or []) or [scenario.algorithm.name]
    rate, load = scenario.offered().arrivals.rate, scenario.utilisation
    console.print(f"Offered load {load:.3g} of capacity: {rate:g} requests/s.")
    for name in names:
        for note in scenario.notes(name):
            console.print(f"Note: {note}.")
    if load >= 1:
        console.print("The backends cannot keep up: there is no steady state to estimate.")

    bar = Progress(console=terminal(stderr=True), transient=True, disable=not sys.stderr.isatty())
    with bar:
        task = bar.add_task("simulating", total=len(names) * run.replications)
        result = sim.simulate(scenario, names, on_replication=lambda: bar.advance(task))
    print_result(result, console)
    if out is not None or not as_json:
        directory = out or Path("lb-report")
        write_report(result, directory)
        console.print(f"Plots and result.json are in {directory}/")
    if as_json:
        json.dump(result.as_dict(), sys.stdout)
        print()
    missed = result.missed()
    for line in missed:
        console.print(f"Missed: {line}")
    if missed:
        raise typer.Exit(4)
