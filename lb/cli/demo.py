"""`lb demo`: the whole loop on one machine, nothing to configure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lb.cli.options import ConfigFile, Quiet

COMPARED = ("round_robin", "weighted_round_robin", "least_connections", "random")
SCENARIO, VERDICT, PAGE = "scenario.toml", "verdict.json", "report.html"
PICTURES = ("verdict.png", "verdict_timeline.png")


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
    from lb.system import try_directory, writing
    from lb.terminal import Terminal, counted
    from sim import Scenario, Schedule, scenarios, simulate
    from sim.live import punctual
    from sim.live.load import play
    from sim.live.system import LOGS, LiveSystem, relocated, rooted, with_run
    from sim.live.users import play_users
    from sim.live.verdict import judge, predict
    from sim.output.html import report, verdict_part, write_page
    from sim.output.plots.pictures import drawn_verdict, save
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
    users = given.offered().users  # what is missing is told of this file, not of the copy
    given.modelled()
    text = config.read_text(encoding="utf-8") if config else scenarios.BUILT_IN
    run = given.run.model_copy(update={"duration": seconds, "requests": None, "seed": seed})
    text = with_run(rooted(relocated(text), config.parent if config else Path()), run)
    schedule = None if users else Schedule.draw(Scenario.parse(text))
    raw = [path.name for path in verdict_files(Path(VERDICT))]
    try_directory(out, (SCENARIO, PAGE, *PICTURES, *REPORT, *raw, *LOGS))

    file = out / SCENARIO
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    scenario = Scenario.load(file)
    again = f"lb simulate -c {file} " + " ".join(f"-a {name}" for name in COMPARED)
    if users is not None:
        whole = f"At most {scenario.rate:.4g} requests/s of {counted(users.count, 'user')}"
    else:
        whole = counted(len(schedule or ()), "request")
    terminal.say(
        f"{whole} in {seconds:g} s, load "
        f"{scenario.utilisation:.2f} of capacity, {scenario.algorithm.name} over "
        f"{counted(len(scenario.backends), 'backend')}.\n\n"
        f"On paper first, as `{again}` does it:"
    )
    compared = simulate(scenario, COMPARED)
    print_result(compared, terminal)
    write_report(compared, out)
    predicted = predict(scenario, schedule)

    with LiveSystem(file, out) as system:
        terminal.say(f"\nNow for real: {system.url}, statistics at {system.url}/lb-stats")
        if schedule is None:
            measured = punctual.run(play_users(scenario, system.url))
        else:
            measured = punctual.run(play(scenario, schedule, system.url))
    verdict = judge(scenario, schedule, measured, predicted)
    print_verdict(verdict, terminal)
    write_verdict(verdict, out / VERDICT, schedule, measured)
    figures = drawn_verdict(scenario, schedule, measured, verdict, predicted)
    with writing(out):
        for name, figure in figures.items():
            save(figure, out / f"{name}.png")
    write_page(report(compared, text, again, verdict_part(verdict, figures)), [out / PAGE])
    terminal.say(
        f"\nEverything is in {out}/: report.html (all of it on one page), verdict.png and "
        "verdict.json (measured beside predicted), latency_ccdf.png, latency_percentiles.png, "
        "regret.png, backends.png, in_flight.png, queues.png and result.json (the algorithms on "
        "paper), scenario.toml (what was run), serve.log and backend.log."
    )
    raise typer.Exit(verdict.judgement.exit_status)
