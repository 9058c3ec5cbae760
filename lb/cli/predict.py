"""`lb predict`: a model that first has to tell what was recorded, then what would be if."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lb.cli.interrupts import Heard, terminable
from lb.cli.invocation import again
from lb.cli.options import (
    AsJson,
    ConfigFile,
    Fields,
    Quiet,
    Replications,
    Seed,
    Workers,
    algorithms,
    fields,
    number_of_workers,
    out_option,
)
from lb.cli.printing import bar, print_json
from lb.cli.streams import complain
from lb.cli.whatif import (
    Add,
    Balancers,
    Changed,
    Eject,
    Lose,
    MaxInFlight,
    QueueLimit,
    RateTimes,
    Remove,
    Retries,
    Sets,
    TimeLimits,
    Weights,
    bounds_of,
    whatifs,
)
from lb.errors import UsageError

NOT_MEANT = ("out", "workers", "as_json", "quiet")
"""What changes nothing of a prediction."""


def predict(
    context: typer.Context,
    config: ConfigFile = None,
    recording: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            envvar="LB_FROM",
            help="What was recorded of the service as it is: a recording of lb serve, or an access "
            "log; the model has to tell it before anything is predicted.",
        ),
    ] = None,
    field: Fields = None,
    algorithm: Changed = None,
    sets: Sets = None,
    weight: Weights = None,
    add: Add = None,
    remove: Remove = None,
    lose: Lose = None,
    rate_times: RateTimes = 1.0,
    timeout: TimeLimits = None,
    retries: Retries = None,
    queue: QueueLimit = None,
    max_in_flight: MaxInFlight = None,
    eject: Eject = None,
    balancers: Balancers = None,
    metric: Annotated[
        str,
        typer.Option(
            metavar="mean|p50|p95|p99|failed",
            envvar="LB_METRIC",
            help="What a gain is told by; failed: the share of the requests that fail.",
        ),
    ] = "p99",
    max_error: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[FIGURE=]SHARE",
            envvar="LB_MAX_ERROR",
            help="From which error the model is not believed, 10% or p99=15% say [mean and p50 "
            "15%, p95 20%, p99 25%; failed 2%, in points].",
        ),
    ] = None,
    replications: Replications = None,
    seed: Seed = None,
    out: Annotated[
        Path | None,
        out_option("Where pictures, report.html and prediction.json go [nowhere]."),
    ] = None,
    workers: Workers = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Predict what a change would do to a recorded service.

    First the model replays what was recorded, and tells its error; then the change, on the same
    requests. Exit status 0 when something clear can be told of a change, be it that it makes things
    worse; 4 when the model cannot be believed, or no change can be told from none or from the
    model's own error.
    """
    gc.disable()
    import sim
    from lb.system import try_directory
    from lb.terminal import Terminal
    from lb.traces.observing import observe
    from sim.fit.sample import METRICS
    from sim.output.predicted import FILES, write_prediction
    from sim.output.predictions import print_prediction

    gc.enable()
    if config is None:
        raise UsageError("give the model, -c FILE; lb calibrate makes one from a recording")
    if metric not in METRICS:
        raise UsageError(f"--metric: {metric!r} is none of: {', '.join(METRICS)}")
    bounds = bounds_of(max_error or [])
    columns = fields(field or [])
    hands = number_of_workers(workers)
    scenario = sim.Scenario.load(config)
    if seed is not None:
        scenario = scenario.with_run(seed=seed)
    asked = whatifs(
        scenario,
        algorithms(algorithm or []),
        sets=sets or (),
        weights=weight or (),
        add=add or (),
        remove=remove or (),
        lose=lose or (),
        rate_times=rate_times,
        timeouts=timeout or (),
        retries=retries,
        queue=queue,
        max_in_flight=max_in_flight,
        eject=eject or (),
        balancers=balancers,
    )
    for it in asked:  # what cannot be meant is told before a long file is read
        replace(it, rate_times=1.0).applied(scenario)
    if out is not None:
        try_directory(out, FILES)
    seen = None if recording is None else observe(str(recording), scenario.key, columns or None)
    terminal = Terminal(stderr=as_json, quiet=quiet)
    heard = Heard()
    progress = bar(quiet=quiet)
    try:
        with terminable() as heard, progress:
            task = progress.add_task("predicting", total=None)
            told = sim.predict(
                scenario,
                asked,
                seen,
                metric=metric,
                max_error=bounds,
                replications=replications,
                workers=hands,
                on_replication=lambda total: progress.update(task, total=total, advance=1),
            )
    except KeyboardInterrupt:
        complain("interrupted: nothing is predicted by halves")
        raise typer.Exit(heard.status) from None
    print_prediction(told, terminal)
    try:
        if out is not None:
            write_prediction(told, out, again(context, NOT_MEANT))
            terminal.say(f"Pictures, report.html and prediction.json are in {out}/")
    finally:  # what took long is not lost for want of a place
        if as_json:
            print_json(told.as_dict())
    if told.exit_status:
        raise typer.Exit(told.exit_status)
