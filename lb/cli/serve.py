"""`lb serve`: the live balancer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lb.cli.options import (
    ConfigFile,
    Version,
    algorithm_option,
    at_port,
    checked_port,
    number_of_workers,
    scenario_from,
)
from lb.cli.recording import Record, RecordKeep, RecordSample, RecordSize
from lb.cli.recording import recording as wanted
from lb.cli.recording import shadows as shadows_of
from lb.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from lb.config import Scenario


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
        algorithm_option("Whom to pick, see `lb strategies` [round_robin]."),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            "--workers",
            metavar="N|auto",
            envvar="LB_WORKERS",
            help="Processes that serve; auto: one for each core [1].",
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
    record: Record = None,
    record_size: RecordSize = None,
    record_keep: RecordKeep = None,
    record_sample: RecordSample = None,
    shadow: Annotated[
        list[str] | None,
        typer.Option(
            "--shadow",
            metavar="NAME",
            envvar="LB_SHADOW",
            help="Show in /lb-stats what this algorithm would give; repeat, or put commas between.",
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            envvar="LB_REPLACE",
            help="Take over from whoever serves at this address, and lose no request.",
        ),
    ] = False,
    version: Version = False,
) -> None:
    """Balance HTTP requests over backends. Flags win over the environment, that over the file."""
    from lb.workers.signals import ignore_silently

    ignore_silently()  # before the imports below, which take their time
    from lb.workers.serve import serve as run

    def read() -> Scenario:
        scenario = scenario_from(config)
        return _with_flags(scenario, port, backends, algorithm, health_check_interval, workers)

    def again() -> Scenario:
        if config is not None and config.exists() and not config.is_file():
            raise ConfigError([f"{config}: cannot be read again: not a regular file"])
        return read()

    recording = wanted(record, record_size, record_keep, record_sample)
    shadows = shadows_of(shadow or [], recording)
    run(read(), recording, None if config is None else again, replace, shadows)


def _with_flags(
    scenario: Scenario,
    port: int | None,
    backends: str | None,
    algorithm: str | None,
    health_check_interval: float | None,
    workers: str | None,
) -> Scenario:
    """What the command line says wins over the file. Raises UsageError."""
    from lb.config import BackendTable, backend_flags
    from lb.config.values import workers as in_a_file

    changes: dict[str, object] = {}
    server: dict[str, object] = {}
    if port is not None:
        server["listen"] = at_port(scenario.server.addresses, checked_port(port))
    if workers is not None:
        try:
            server["workers"] = in_a_file(number_of_workers(workers))
        except ValueError as error:
            raise UsageError(f"--workers: {error}") from None
    if server:
        changes["server"] = scenario.server.model_copy(update=server)
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
    return scenario.with_flags(**changes)
