"""`lb demo`: the whole loop on one machine, nothing to configure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lb.cli.options import ConfigFile

COMPARED = ("round_robin", "weighted_round_robin", "least_connections", "random")


def demo(
    config: ConfigFile = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", envvar="LB_OUT", file_okay=False, help="Where everything goes."
        ),
    ] = Path("lb-demo"),
    seconds: Annotated[
        float, typer.Option(min=1, max=600, envvar="LB_SECONDS", help="Length of the load.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, envvar="LB_SEED", help="Seed of the load.")] = 1,
) -> None:
    """Backends, proxy, load; then prediction beside measurement. Exit status 4 on a miss."""
    import asyncio

    from sim import Scenario, Schedule, scenarios, simulate
    from sim.live.load import play
    from sim.live.system import LiveSystem, relocated
    from sim.live.verdict import judge, latencies, predict
    from sim.output.plots.pictures import draw_verdict
    from sim.output.report import print_result, print_verdict, terminal, write_report, write_verdict

    console = terminal()
    text = scenarios.BUILT_IN
    if config is not None:
        Scenario.load(config)  # its mistakes are told under its own name, not its copy's
        text = config.read_text(encoding="utf-8")
    out.mkdir(parents=True, exist_ok=True)
    file = out / "scenario.toml"
    file.write_text(relocated(text), encoding="utf-8")
    scenario = Scenario.load(file)
    run = scenario.run.model_copy(update={"duration": seconds, "requests": None, "seed": seed})
    scenario = scenario.model_copy(update={"run": run})

    schedule = Schedule.draw(scenario)
    console.print(
        f"{len(schedule)} requests in {seconds:g} s, load {scenario.utilisation:.2f} of capacity, "
        f"{scenario.algorithm.name} over {len(scenario.backends)} backends.\n\n"
        "On paper first: the same scenario under four algorithms."
    )
    compared = simulate(scenario, COMPARED)
    print_result(compared, console)
    write_report(compared, out)
    predicted = predict(scenario, schedule)

    with LiveSystem(file, out) as system:
        console.print(f"\nNow for real: {system.url}, statistics at {system.url}/lb-stats")
        measured = asyncio.run(play(scenario, schedule, system.url))
    verdict = judge(scenario, schedule, measured, predicted)
    print_verdict(verdict, console)
    write_verdict(verdict, out / "verdict.json", schedule, measured)
    live, paper = latencies(scenario, schedule, measured, predicted)
    draw_verdict(verdict, predicted, paper, live, out / "verdict.png")
    console.print(
        f"\nEverything is in {out}/: verdict.png and verdict.json (measured beside predicted), "
        "latency_ccdf.png, latency_percentiles.png, backends.png, in_flight.png and result.json "
        "(the algorithms on paper), scenario.toml (what was run), serve.log and backend.log.\n"
        f"Next: lb simulate -c {file} -a round_robin -a least_connections"
    )
    raise typer.Exit(verdict.judgement.exit_status)
