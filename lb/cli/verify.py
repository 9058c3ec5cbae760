"""`lb verify`: algorithms against their laws, the simulator against theory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from lb.cli.options import AsJson
from lb.terminal import Terminal

if TYPE_CHECKING:
    from sim.checks.verify import Check

WORDS = {True: "ok", False: "BROKEN", None: "exempt"}


def verify(
    strategy: Annotated[
        str | None,
        typer.Option(
            "-s", "--strategy", metavar="NAME", envvar="LB_STRATEGY", help="Only this one [all]."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the algorithms, plug-ins too, and the simulator. Exit status 4 if anything fails."""
    say = Terminal(stderr=as_json).say
    done = []
    for check in _checks(strategy):
        done.append(check)
        if check.kept is not None or strategy is not None:
            tail = f": {check.why}" if check.why else ""
            line = f"{WORDS[check.kept]:<6}  {check.subject}: {check.says}{tail}"
            say(line, hang=8)
    broken = sum(check.kept is False for check in done)
    kept = sum(check.kept is True for check in done)
    say(f"{kept} hold, {broken} do not.")
    if as_json:
        rows = [check.as_dict() for check in done]
        typer.echo(json.dumps({"schema": 1, "kept": not broken, "checks": rows}))
    if broken:
        raise typer.Exit(4)


def _checks(strategy: str | None) -> Iterator[Check]:
    from lb.strategies import all_specs, parse, spec
    from sim.checks.verify import Check, known_sequences, laws_of, theory

    if strategy is not None:
        name, settings = parse(strategy)
        yield from laws_of(spec(name).at(settings) if settings else spec(name))
        return
    rows, broken = all_specs()
    for row in rows.values():
        yield from laws_of(row)
    for line in broken:
        yield Check("plug-in", "can be loaded", False, line)
    yield from known_sequences()
    yield from theory()
