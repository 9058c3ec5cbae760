"""`lb check`: every mistake of a file, without opening a socket."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(file: Annotated[Path, typer.Argument(help="Scenario file (TOML).")]) -> None:
    """Validate a file; print every error as file:line key: why."""
    from lb.config import Scenario

    scenario = Scenario.load(file)
    models = sum(row.model is not None for row in scenario.backends)
    use = "serve and simulate" if models == len(scenario.backends) and scenario.traffic else "serve"
    typer.echo(
        f"{file}: fine; {scenario.algorithm.name} over {len(scenario.backends)} backends, "
        f"ready to {use}"
    )
