"""`lb calibrate`: from a recording to a scenario file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lb.cli.interrupts import Heard, terminable
from lb.cli.options import (
    AsJson,
    Fields,
    Quiet,
    algorithm_option,
    fields,
    out_option,
    output_option,
)
from lb.cli.printing import STDOUT, apart, bar, print_json, put
from lb.cli.streams import complain
from lb.errors import UsageError


def calibrate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="What `lb serve --record` has written, or an access log with times.",
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            "-c",
            "--config",
            metavar="FILE",
            envvar="LB_CONFIG",
            help="The file of what was recorded: all but models, traffic and faults stays as it is "
            "there [of the setup that a recording tells].",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        output_option("Where the scenario file goes; - is stdout [nowhere]."),
    ] = None,
    out: Annotated[
        Path | None, out_option("Where pictures and calibration.json go [nowhere].")
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            envvar="LB_KEY",
            help="Of an access log, what hash strategies see: client_ip, header:NAME, cookie:NAME, "
            "path or uri. A recording has its own.",
        ),
    ] = "client_ip",
    field: Fields = None,
    algorithm: Annotated[
        str | None,
        algorithm_option(
            "What balanced, where FILE, an access log, does not say it [what its picks tell]."
        ),
    ] = None,
    replays: Annotated[
        int,
        typer.Option(
            min=0, envvar="LB_REPLAYS", help="How often the model replays the recording; 0: never."
        ),
    ] = 5,
    seed: Annotated[
        int, typer.Option(min=0, envvar="LB_SEED", help="Seed of everything random.")
    ] = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit a model of backends and traffic to a recording.

    Each figure has its interval. What the recording cannot tell is said, and stands in the scenario
    file as a range. How well the model replays the recording is told, too.
    """
    if output == STDOUT and as_json:
        raise UsageError("-o - and --json both print on stdout; give one of them")
    apart(output, {"the recording itself": file, "the file of -c": config})
    columns = fields(field or [])

    from lb.config import Scenario
    from lb.config.values import request_key
    from lb.system import try_directory
    from lb.terminal import Terminal
    from lb.traces.observing import observe
    from sim.fit.calibrate import calibrate as fitted
    from sim.output.calibrated import print_calibration, write_pictures, write_scenario

    try:
        request_key(key)
    except ValueError as error:
        raise UsageError(f"--key {error}") from None
    if output is not None and output != STDOUT:
        try_directory(output.parent, [output.name])
    if out is not None:
        try_directory(out)
    terminal = Terminal(stderr=as_json or output == STDOUT, quiet=quiet)
    base = None if config is None else (Scenario.load(config), str(config))
    heard = Heard()
    progress = bar(quiet=quiet)
    try:
        with terminable() as heard, progress:
            task = progress.add_task("reading", total=None)  # nobody knows how long it takes
            seen = observe(str(file), key, columns or None)
            calibration = fitted(
                seen,
                algorithm=algorithm,
                base=base,
                replays=replays,
                seed=seed,
                on_step=lambda step: progress.update(task, description=f"calibrating: {step}"),
            )
    except KeyboardInterrupt:
        complain("interrupted: nothing is calibrated by halves")
        raise typer.Exit(heard.status) from None
    print_calibration(calibration, terminal)
    try:
        if output == STDOUT:
            put(calibration.text(), output)
        elif output is not None:
            written = write_scenario(calibration, output)
            terminal.say(f"The scenario is in {' and '.join(map(str, written))}")
        if out is not None:
            write_pictures(calibration, out)
            terminal.say(f"Pictures and calibration.json are in {out}/")
    finally:  # what took long is not lost for want of a place
        if as_json:
            print_json(calibration.as_dict())
