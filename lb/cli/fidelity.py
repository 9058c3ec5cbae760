"""`lb fidelity`: predictions beside live runs, over the shipped scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lb.cli.interrupts import terminable
from lb.cli.options import AsJson, Quiet, algorithm_option, algorithms, out_option
from lb.cli.printing import print_json

if TYPE_CHECKING:
    from lb.terminal import Terminal
    from sim.fidelity.study import Study


def fidelity(
    target: Annotated[
        str,
        typer.Option(
            metavar="lb|haproxy|nginx", envvar="LB_TARGET", help="What balances the live runs."
        ),
    ] = "lb",
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            envvar="LB_QUICK",
            help="Runs of 20 s, of two algorithms for each scenario: ten minutes.",
        ),
    ] = False,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario",
            metavar="NAME",
            envvar="LB_SCENARIO",
            help="A shipped scenario, or a file; repeat for more [the thirteen of the study].",
        ),
    ] = None,
    algorithm: Annotated[
        list[str] | None,
        algorithm_option(
            "By our name or the target's; repeat, or put commas between [those of the target]."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=5, max=3600, envvar="LB_SECONDS", help="Length of each run [60]."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, envvar="LB_SEED", help="Seed of the load.")] = 1,
    out: Annotated[
        Path,
        out_option("Where runs go as they are done, and from where an interrupted study goes on."),
    ] = Path("lb-fidelity"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Play live runs and show how far predictions missed.

    Backends, balancer and load are processes of this machine, which should have nothing else to do.
    The whole takes a bit more than an hour. Ctrl-C leaves the runs that are done, and the same
    command goes on from there. Exit status 4 when a median is beyond its target, or something far
    off is not explained.
    """
    from lb.system import try_directory
    from lb.terminal import Terminal, counted
    from sim.fidelity.cases import cases
    from sim.fidelity.study import FILE, RESULT, opened
    from sim.live.balancers import program
    from sim.output.fidelity import print_study, write_study

    terminal = Terminal(stderr=as_json, quiet=quiet)
    made = cases(
        *(target, scenario or (), algorithms(algorithm or [])),
        quick=quick,
        seconds=seconds,
        seed=seed,
    )
    if target != "lb":
        program(target)
    try_directory(out, (FILE, RESULT))
    study = opened(made, out)
    left = len(study.missing)
    if done := len(made) - left:
        terminal.say(f"{done} of {counted(len(made), 'run')} are in {out / FILE} already.")
    if left:
        terminal.say(f"{counted(left, 'run')} to go, about {study.seconds / 60:.0f} min.")
    stopped = _run(study, terminal)
    told = study.as_dict()
    if stopped:
        terminal.say(
            f"interrupted: {len(study.done)} of {len(made)} runs; the same command goes on from "
            "there"
        )
    try:
        if study.done:
            print_study(told, terminal)
            write_study(told, out / RESULT)
            terminal.say(f"Everything is in {out / RESULT}")
    finally:  # what took long is not lost for want of a place
        if as_json:
            print_json(told)
    if stopped or not told["kept"]:
        raise typer.Exit(stopped or 4)


def _run(study: Study, terminal: Terminal) -> int:
    """Run what is missing; the exit status where Ctrl-C or SIGTERM ended it, else 0."""
    from sim.output.fidelity import line

    total = len(study.cases)
    with terminable() as heard:
        try:
            for at in study.run(lambda case, why: terminal.say(f"{case}, again: {why}")):
                row = study.rows[at]
                assert row is not None
                terminal.say(f"{total - len(study.missing)} of {total}  {line(row)}")
        except KeyboardInterrupt:
            return heard.status
        except SystemExit as ended:  # SIGTERM, while processes of a run were there
            return ended.code if isinstance(ended.code, int) else 1
    return 0
