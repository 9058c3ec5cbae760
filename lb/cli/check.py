"""`lb check`: every mistake of a file, and what is unwise in it, without opening a socket."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lb.cli.options import AsJson
from lb.cli.printing import print_json
from lb.errors import ConfigError, UsageError
from lb.terminal import Terminal, counted

if TYPE_CHECKING:
    from lb.config import Scenario


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Scenario files (TOML).  [env var: LB_CONFIG]"),
    ] = None,
    print_effective: Annotated[
        bool,
        typer.Option(
            "--print-effective",
            envvar="LB_PRINT_EFFECTIVE",
            help="Print the file with every key that it leaves out, as a file that can be read "
            "again; with --json as JSON. The rest goes to stderr.",
        ),
    ] = False,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            envvar="LB_SCHEMA",
            help="Print the JSON Schema of files, for editors, and check nothing.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Validate files; print every error as file:line key: why. Exit status 3 if there is one.

    What is right and unwise is told, and changes no exit status. A file with models and traffic is
    asked whether it can be simulated, too.
    """
    if schema:
        from lb.config.schema import schema as made

        typer.echo(json.dumps(made(), indent=1))
        return
    if not files:
        given = os.environ.get("LB_CONFIG")
        if not given:
            raise UsageError("no file given, and LB_CONFIG names none")
        files = [Path(given)]
    if print_effective and len(files) > 1 and not as_json:
        raise UsageError("--print-effective: several files are no file; give one, or --json")
    terminal = Terminal(stderr=as_json or print_effective)
    found = [_looked_at(file, terminal) for file in files]
    wrong = [problem for row in found for problem in row["problems"]]
    if as_json:
        rows = [_as_json(row, effective=print_effective) for row in found]
        print_json({"schema": 1, "fine": not wrong, "files": rows})
    if wrong:
        raise ConfigError(wrong)
    if print_effective and not as_json:
        from lb.config import effective_text

        typer.echo(effective_text(found[0]["scenario"]), nl=False)


def _looked_at(file: Path, terminal: Terminal) -> dict[str, Any]:
    """What is to be said of a file; what is fine is said at once."""
    from lb.config import Scenario
    from lb.config.discovery import sources
    from lb.proxy.expiry import soon
    from lb.proxy.tls.credentials import Credentials

    scenario: Scenario | None = None
    try:
        scenario = Scenario.load(file)
        use, of_runs = _uses(scenario), []
        expiry = Credentials.read(scenario).expiry
        if scenario.server.admin_token_file is not None:
            from lb.admin.access import token_of

            token_of(scenario)
        if "simulate" in use:
            lacking = scenario.lacking()
            if lacking:
                raise ConfigError(lacking)
            of_runs = scenario.notes_of_runs()
    except ConfigError as error:
        nothing: dict[str, Any] = {"notes": [], "warnings": [], "ready_to": [], "scenario": None}
        return {"file": str(file), "problems": error.problems, **nothing}
    count, notes = len(scenario.backends), [*scenario.notes(), *of_runs]
    notes += soon(expiry, time.time())
    warnings = scenario.warnings()
    found = f" and those of {sources(scenario.discovery)}" if scenario.discovery else ""
    terminal.say(
        f"{file}: fine; {scenario.algorithm.name} over {counted(count, 'backend')}{found}, "
        f"ready to {' and '.join(use)}"
    )
    for note in notes:
        terminal.say(f"{file}: note: {note}")
    for warning in warnings:
        terminal.say(f"{warning.place}: warning: {warning.why}")
    return {
        "file": str(file),
        "problems": [],
        "notes": notes,
        "warnings": [f"{it.place}: {it.why}" for it in warnings],
        "ready_to": use,
        "scenario": scenario,
    }


def _uses(scenario: Scenario) -> list[str]:
    backends = scenario.backends
    modelled = bool(backends) and all(row.model is not None for row in backends)
    return ["serve", "simulate"] if modelled and scenario.traffic else ["serve"]


def _as_json(row: dict[str, Any], *, effective: bool) -> dict[str, Any]:
    from lb.config import effective as whole

    scenario = row.pop("scenario")
    told = {key: [_parts(it) for it in row[key]] for key in ("problems", "warnings")}
    more = {"effective": whole(scenario) if scenario else None} if effective else {}
    return {**row, **told, **more}


def _parts(problem: str) -> dict[str, str | int | None]:
    """`file:line key: why`, apart; a trace has no keys, a file that cannot be read no line."""
    match = re.fullmatch(r".*?:(\d+)(?: (.+?))?: (.*)", problem, re.DOTALL)
    if match is None:
        return {"line": None, "key": None, "why": problem.partition(": ")[2] or problem}
    return {"line": int(match[1]), "key": match[2], "why": match[3]}
