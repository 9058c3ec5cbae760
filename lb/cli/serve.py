"""`lb serve`: the live balancer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lb.cli.options import ConfigFile, Version, at_port, checked_port, scenario_from
from lb.errors import UsageError


def serve(
    config: ConfigFile = None,
    port: Annotated[
        int | None, typer.Option("-p", "--port", envvar="LB_PORT", help="Port to listen on [8080].")
    ] = None,
    backends: Annotated[
        str | None,
        typer.Option(
            "-b",
            "--backends",
            metavar="A,B,C",
            envvar="LB_BACKENDS",
            help="host:port or host:port*weight, separated by commas "
            "[127.0.0.1:3001,127.0.0.1:3002,127.0.0.1:3003].",
        ),
    ] = None,
    algorithm: Annotated[
        str | None,
        typer.Option(
            "-a",
            "--algorithm",
            envvar="LB_ALGORITHM",
            help="Whom to pick, see `lb strategies` [round_robin].",
        ),
    ] = None,
    health_check_interval: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            envvar="LB_HEALTH_CHECK_INTERVAL",
            help="Seconds between health checks [30].",
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="LB_RECORD",
            help="Record all that decides, for `lb replay`. FILE is replaced.",
        ),
    ] = None,
    version: Version = False,
) -> None:
    """Balance HTTP requests over backends. Flags win over the environment, that over the file."""
    from lb.proxy.signals import ignore_silently

    ignore_silently()  # before the imports below, which take their time
    from lb.config import BackendTable, backend_flags
    from lb.proxy.serve import serve as run

    scenario = scenario_from(config)
    changes: dict[str, object] = {}
    if port is not None:
        listen = at_port(scenario.server.addresses, checked_port(port))
        changes["server"] = scenario.server.model_copy(update={"listen": listen})
    if backends is not None:
        changes["backends"] = tuple(
            BackendTable.model_validate(row) for row in backend_flags(backends)
        )
    if algorithm is not None:
        changes["algorithm"] = scenario.chosen(algorithm)
    if health_check_interval is not None:
        if not 0 < health_check_interval < float("inf"):
            raise UsageError(
                f"--health-check-interval {health_check_interval:g}: must be above zero seconds"
            )
        fast = min(scenario.health.fast_interval, health_check_interval)
        changes["health"] = scenario.health.model_copy(
            update={"interval": health_check_interval, "fast_interval": fast}
        )
    run(scenario.with_flags(**changes), record)
