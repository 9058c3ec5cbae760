"""`lb backend`: modelled backends over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lb.cli.options import ConfigFile, checked_place, checked_port
from lb.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from lb.config import Scenario


def backend(
    config: ConfigFile = None,
    port: Annotated[
        int | None,
        typer.Option(
            "-p",
            "--port",
            envvar="LB_PORT",
            help="Port of a single backend [3001]; with a file, only its backend on this port.",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="HOST", envvar="LB_HOST", help="Where a single backend listens, 0.0.0.0 say."
        ),
    ] = "127.0.0.1",
    service: Annotated[
        str,
        typer.Option(
            metavar="LAW",
            envvar="LB_SERVICE",
            help="Service times without a file, such as exponential:20ms or lognormal:20ms,cv=1.",
        ),
    ] = "exponential:20ms",
    workers: Annotated[
        int, typer.Option(envvar="LB_WORKERS", min=1, help="Requests served at a time.")
    ] = 1,
    discipline: Annotated[
        str,
        typer.Option(
            metavar="fifo|ps", envvar="LB_DISCIPLINE", help="fifo, or ps for processor sharing."
        ),
    ] = "fifo",
    seed: Annotated[
        int | None, typer.Option(envvar="LB_SEED", min=0, help="Seed of the service times.")
    ] = None,
) -> None:
    """Serve modelled backends: all of a file, or one by flags."""
    from lb.config import BackendTable, Model, Scenario, host_and_port, law_flag
    from sim.live.backend import serve
    from sim.model.occurrences import occurrences

    if config is not None:
        scenario = Scenario.load(config)
        rows = scenario.modelled()
        if found := _beyond(scenario):
            raise ConfigError(found)
        if port is not None:
            rows = [row for row in rows if host_and_port(row[0].address)[1] == port]
            if not rows:
                raise UsageError(f"--port {port}: no backend of {config} has this port")
            if then := next((model.then for _, model in rows if model.then is not None), None):
                why = f"the backends of {config} go on at {then} together, in one process"
                raise UsageError(f"--port {port}: {why}; leave it out")
        luck = scenario.run.seed  # the simulator's, whatever the services are
        faults = occurrences(scenario.faults, luck)
        serve(rows, seed, faults, luck, scenario.traffic, scenario.shared)
    else:
        if discipline not in ("fifo", "ps"):
            raise UsageError(f"--discipline {discipline!r}: known: fifo, ps")
        model = Model(
            service=law_flag(service),
            workers=workers,
            discipline="ps" if discipline == "ps" else "fifo",
        )
        place = checked_place(host, checked_port(3001 if port is None else port))
        serve([(BackendTable(address=place, model=model), model)], seed)


def _beyond(scenario: Scenario) -> list[str]:
    """What a modelled backend does not do, one line each."""
    found: list[str] = []
    for number, row in enumerate(scenario.backends):
        for key, asked in (
            ("address", row.address.startswith("unix:")),
            ("tls", row.tls is not None),
            ("proxy_protocol", row.proxy_protocol is not None),
        ):
            if asked:
                why = "a modelled backend speaks plain HTTP at a port; leave it out here"
                found.append(f"{scenario.place('backend', number, key)}: {why}")
    return found
