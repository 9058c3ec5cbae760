"""`lb demo`: the whole loop on one machine, nothing to configure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lb.cli.options import ConfigFile, Quiet

COMPARED = ("round_robin", "weighted_round_robin", "least_connections", "random")
SCENARIO, VERDICT, PICTURE = "scenario.toml", "verdict.json", "verdict.png"


def demo(
    config: ConfigFile = None,
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", envvar="LB_OUT", help="Where everything goes."),
    ] = Path("lb-demo"),
    seconds: Annotated[
        float, typer.Option(min=1, max=600, envvar="LB_SECONDS", help="Length of the load.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, envvar="LB_SEED", help="Seed of the load.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Backends, proxy, load; then prediction beside measurement. Exit status 4 on a miss."""
    import asyncio

    from lb.system import try_directory, writing
    from lb.terminal import Terminal, counted
    from sim import Scenario, Schedule, scenarios, simulate
    from sim.live.load import play
    from sim.live.system import LOGS, LiveSystem, relocated, rooted, with_run
    from sim.live.verdict import judge, latencies, predict
    from sim.output.plots.pictures import draw_verdict
    from sim.output.report import (
        REPORT,
        print_result,
        print_verdict,
        verdict_files,
        write_report,
        write_verdict,
    )

    terminal = Terminal(quiet=quiet)
    given = Scenario.load(config) if config else scenarios.built_in()
    given.arrivals()  # what is missing is told of this file, not of the copy
    given.modelled()
    text = config.read_text(encoding="utf-8") if config else scenarios.BUILT_IN
    run = given.run.model_copy(update={"duration": seconds, "requests": None, "seed": seed})
    text = with_run(rooted(relocated(text), config.parent if config else Path()), run)
    schedule = Schedule.draw(Scenario.parse(text))
    raw = [path.name for path in verdict_files(Path(VERDICT))]
    try_directory(out, (SCENARIO, PICTURE, *REPORT, *raw, *LOGS))

    file = out / SCENARIO
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    scenario = Scenario.load(file)
    again = f"lb simulate -c {file} " + " ".join(f"-a {name}" for name in COMPARED)
    terminal.say(
        f"{counted(f'{len(schedule)}', 'request')} in {seconds:g} s, load "
        f"{scenario.utilisation:.2f} of capacity, {scenario.algorithm.name} over "
        f"{counted(f'{len(scenario.backends)}', 'backend')}.\n\n"
        f"On paper first, as `{again}` does it:"
    )
    compared = simulate(scenario, COMPARED)
    print_result(compared, terminal)
    write_report(compared, out)
    predicted = predict(scenario, schedule)

    with LiveSystem(file, out) as system:
        terminal.say(f"\nNow for real: {system.url}, statistics at {system.url}/lb-stats")
        measured = asyncio.run(play(scenario, schedule, system.url))
    verdict = judge(scenario, schedule, measured, predicted)
    print_verdict(verdict, terminal)
    write_verdict(verdict, out / VERDICT, schedule, measured)
    live, paper = latencies(scenario, schedule, measured, predicted)
    with writing(out):
        draw_verdict(verdict, predicted, paper, live, out / PICTURE)
    terminal.say(
        f"\nEverything is in {out}/: verdict.png and verdict.json (measured beside predicted), "
        "latency_ccdf.png, latency_percentiles.png, backends.png, in_flight.png and result.json "
        "(the algorithms on paper), scenario.toml (what was run), serve.log and backend.log."
    )
    raise typer.Exit(verdict.judgement.exit_status)
