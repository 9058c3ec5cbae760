"""`lb recommend`: which algorithm meets an objective best, and with how much to spare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lb.cli.interrupts import Heard, terminable
from lb.cli.invocation import again
from lb.cli.options import (
    AsJson,
    ConfigFile,
    Load,
    Quiet,
    Rate,
    Seed,
    Workers,
    algorithm_option,
    algorithms,
    at_pace,
    number_of_workers,
    out_option,
)
from lb.cli.printing import bar, print_json
from lb.cli.streams import complain

NOT_MEANT = ("out", "workers", "as_json", "quiet")
"""What changes nothing of what is found."""


def recommend(
    context: typer.Context,
    config: ConfigFile = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BOUND",
            envvar="LB_OBJECTIVE",
            help="What is to hold, such as 'p99 < 250ms', 'failed < 0.1%' or 'goodput > 95/s'; "
            "mean, p50, p90, p95, p99 and p999 are latencies; repeat for several [[expect] "
            "of the file].",
        ),
    ] = None,
    algorithm: Annotated[
        list[str] | None,
        algorithm_option(
            "What to choose among, p2c with its parameters varied or p2c:choices=3 as it is; "
            "repeat, or put commas between [all that suit]."
        ),
    ] = None,
    budget: Annotated[
        str,
        typer.Option(
            metavar="N|TIME",
            envvar="LB_BUDGET",
            help="Requests to simulate, such as 20M, or a time, such as 30s; of requests the "
            "same comes out on any machine.",
        ),
    ] = "12M",
    rate: Rate = None,
    load: Load = None,
    seed: Seed = None,
    out: Annotated[
        Path | None,
        out_option(
            "Where recommend.json, recommended.toml and report.html go, and a picture of the loads "
            "that were tried, if any [nowhere]."
        ),
    ] = None,
    workers: Workers = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find the algorithm that meets an objective best.

    Parameters are searched too. Says which cannot be told from the best, how much load they bear,
    with a backend lost too, how few backends do, and the best static weights. Exit status 4 when
    nothing meets the objective, or the data cannot tell. Ctrl-C leaves what is known so far.
    """
    import sim
    from lb.system import try_directory
    from lb.terminal import Terminal
    from sim import scenarios
    from sim.analysis.objectives import Answer
    from sim.fit.recommend import Interrupted
    from sim.output.recommended import budget_told, print_recommendation
    from sim.output.recommended_files import REPORT, write_recommendation

    hands = number_of_workers(workers)
    scenario = sim.Scenario.load(config) if config else scenarios.built_in()
    if seed is not None:
        scenario = scenario.with_run(seed=seed)
    scenario = at_pace(scenario, rate, load)
    names = algorithms(algorithm or []) or None
    terminal = Terminal(stderr=as_json, quiet=quiet)
    if out is not None:
        try_directory(out, REPORT)
    heard = Heard()
    progress = bar(quiet=quiet)
    task = progress.add_task("searching", total=1.0)
    try:
        with terminable() as heard, progress:
            found = sim.recommend(
                scenario,
                objective or (),
                names,
                budget=budget,
                workers=hands,
                on_progress=lambda share: progress.update(task, completed=share),
            )
    except Interrupted as stopped:
        found = stopped.recommendation
    except KeyboardInterrupt:
        complain("interrupted: the first round is not over, nothing to show")
        raise typer.Exit(heard.status) from None
    if found.interrupted:
        terminal.say("interrupted: this is what is known so far")
    print_recommendation(found, terminal)
    try:
        if out is not None:
            write_recommendation(found, out, again(context, NOT_MEANT))
            terminal.say(f"Everything is in {out}/")
    finally:  # what took long is not lost for want of a place
        terminal.say(budget_told(found))
        if as_json:
            print_json(found.as_dict())
    if found.interrupted:
        raise typer.Exit(heard.status)
    if found.answer is not Answer.MET:
        raise typer.Exit(4)
