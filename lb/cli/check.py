"""`lb check`: every mistake of a file, without opening a socket."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lb.cli.options import AsJson
from lb.errors import ConfigError, UsageError
from lb.terminal import Terminal, counted

if TYPE_CHECKING:
    from lb.config import Scenario


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Scenario files (TOML).  [env var: LB_CONFIG]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Validate files; print every error as file:line key: why. Exit status 3 if there is one.

    A file with models and traffic is asked whether it can be simulated, too.
    """
    if not files:
        given = os.environ.get("LB_CONFIG")
        if not given:
            raise UsageError("no file given, and LB_CONFIG names none")
        files = [Path(given)]
    terminal = Terminal(stderr=as_json)
    found = [_looked_at(file, terminal) for file in files]
    wrong = [problem for row in found for problem in row["problems"]]
    if as_json:
        rows = [{**row, "problems": [_parts(it) for it in row["problems"]]} for row in found]
        typer.echo(json.dumps({"schema": 1, "fine": not wrong, "files": rows}))
    if wrong:
        raise ConfigError(wrong)


def _looked_at(file: Path, terminal: Terminal) -> dict[str, Any]:
    """What is to be said of a file; what is fine is said at once."""
    from lb.config import Scenario

    try:
        scenario = Scenario.load(file)
        use, of_runs = _uses(scenario), []
        if "simulate" in use:
            lacking = scenario.lacking()
            if lacking:
                raise ConfigError(lacking)
            of_runs = scenario.notes_of_runs()
    except ConfigError as error:
        return {"file": str(file), "problems": error.problems, "notes": [], "ready_to": []}
    count, notes = len(scenario.backends), [*scenario.notes(), *of_runs]
    terminal.say(
        f"{file}: fine; {scenario.algorithm.name} over {counted(f'{count}', 'backend')}, "
        f"ready to {' and '.join(use)}"
    )
    for note in notes:
        terminal.say(f"{file}: note: {note}")
    return {"file": str(file), "problems": [], "notes": notes, "ready_to": use}


def _uses(scenario: Scenario) -> list[str]:
    modelled = all(row.model is not None for row in scenario.backends)
    return ["serve", "simulate"] if modelled and scenario.traffic else ["serve"]


def _parts(problem: str) -> dict[str, str | int | None]:
    """`file:line key: why`, apart; a trace has no keys, a file that cannot be read no line."""
    match = re.fullmatch(r".*?:(\d+)(?: (.+?))?: (.*)", problem, re.DOTALL)
    if match is None:
        return {"line": None, "key": None, "why": problem.partition(": ")[2] or problem}
    return {"line": int(match[1]), "key": match[2], "why": match[3]}
