"""`lb check`: every mistake of a file, without opening a socket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lb.errors import ConfigError, UsageError
from lb.terminal import Terminal

if TYPE_CHECKING:
    from lb.config import Scenario


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Scenario files (TOML).  [env var: LB_CONFIG]"),
    ] = None,
) -> None:
    """Validate files; print every error as file:line key: why. Exit status 3 if there is one."""
    from lb.config import Scenario

    if not files:
        given = os.environ.get("LB_CONFIG")
        if not given:
            raise UsageError("no file given, and LB_CONFIG names none")
        files = [Path(given)]
    wrong: list[str] = []
    for file in files:
        try:
            _tell(file, Scenario.load(file))
        except ConfigError as error:
            wrong += error.problems
    if wrong:
        raise ConfigError(wrong)


def _tell(file: Path, scenario: Scenario) -> None:
    say = Terminal().say
    count = len(scenario.backends)
    modelled = all(row.model is not None for row in scenario.backends)
    use = "serve and simulate" if modelled and scenario.traffic else "serve"
    say(
        f"{file}: fine; {scenario.algorithm.name} over {count} backend{'s' * (count != 1)}, "
        f"ready to {use}"
    )
    for note in scenario.notes():
        say(f"{file}: note: {note}")
