"""`lb strategies`: what there is, what it costs, when it is wrong."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lb.cli.options import AsJson
from lb.cli.printing import print_json
from lb.markdown import table
from lb.terminal import Terminal

if TYPE_CHECKING:
    from lb.strategies import Spec


def strategies(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One algorithm, in full.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", envvar="LB_MARKDOWN", help="The list as a table.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the algorithms, plug-ins too, or explain one. Exit status 1 if a plug-in is broken."""
    from lb.strategies import REGISTRY, all_specs, spec

    if as_json:
        rows, broken = ({name: spec(name)}, []) if name else all_specs()
        found = [_as_dict(row) for row in rows.values()]
        print_json({"schema": 1, "strategies": found, "broken": broken})
        if broken:
            raise typer.Exit(1)
        return
    if markdown:
        listed = [(f"`{it.name}`", it.summary, it.cost, it.avoid_when) for it in REGISTRY.values()]
        typer.echo(table(("name", "picks", "cost", "wrong when"), listed), nl=False)
        return
    terminal = Terminal()
    if name is None:
        rows, broken = all_specs()
        terminal.listing((row.name, row.summary) for row in rows.values())
        for line in broken:
            Terminal(stderr=True).say(f"lb: {line}")
        if broken:
            raise typer.Exit(1)
        return
    row = spec(name)
    say = terminal.say
    say(f"{row.name}\n")
    for paragraph in row.story.split("\n\n"):
        terminal.paragraph(f"{paragraph}\n")
    for parameter, default, text in row.manual():
        say(f"{parameter} = {default}", hang=4)
        terminal.paragraph(textwrap.indent(f"{text}\n", "    "))
    say(f"cost:      {row.cost}", hang=11)
    say(f"needs:     {', '.join(sorted(row.needs)) or 'nothing'}", hang=11)
    say(f"weights:   {_weights(row)}", hang=11)
    say(f"not when:  {row.avoid_when}", hang=11)
    if row.partial:
        say(f"several:   of several balancers {row.partial}", hang=11)


def _weights(row: Spec) -> str:
    if row.nests:
        return "as the algorithm inside it"
    return "minded, and slow start with them" if row.weighs else "ignored, and slow start with them"


def _as_dict(row: Spec) -> dict[str, Any]:
    return {
        "name": row.name,
        "summary": row.summary,
        "cost": row.cost,
        "needs": sorted(row.needs),
        "claims": sorted(row.claims),
        "weights": None if row.nests else row.weighs,
        "avoid_when": row.avoid_when,
        "partial": row.partial or None,
        "parameters": [
            {"name": name, "default": default, "text": text} for name, default, text in row.manual()
        ],
    }
