"""`lb strategies`: what there is, what it costs, when it is wrong."""

from __future__ import annotations

import sys
import textwrap
from typing import Annotated

import typer

from lb.cli.text import say, width


def strategies(
    name: Annotated[str | None, typer.Argument(help="One algorithm, in full.")] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", envvar="LB_MARKDOWN", help="The list as a table.")
    ] = False,
) -> None:
    """List the algorithms, plug-ins too, or explain one. Exit status 1 if a plug-in is broken."""
    from lb.strategies import REGISTRY, all_specs, spec

    if markdown:
        typer.echo("| name | picks | cost | wrong when |\n|---|---|---|---|")
        for row in REGISTRY.values():
            typer.echo(f"| `{row.name}` | {row.summary} | {row.cost} | {row.avoid_when} |")
        return
    if name is None:
        rows, broken = all_specs()
        longest = max(map(len, rows))
        for row in rows.values():
            say(f"{row.name:<{longest}}  {row.summary}", hang=longest + 2)
        for line in broken:
            say(f"lb: {line}", err=True)
        if broken:
            raise typer.Exit(1)
        return
    row = spec(name)
    say(f"{row.name}\n")
    for paragraph in row.story.split("\n\n"):
        _paragraph(paragraph)
    for parameter, default, text in row.manual():
        say(f"{parameter} = {default}", hang=4)
        _paragraph(textwrap.indent(text, "    "))
    say(f"cost:      {row.cost}", hang=11)
    say(f"needs:     {', '.join(sorted(row.needs)) or 'nothing'}", hang=11)
    say(f"not when:  {row.avoid_when}", hang=11)


def _paragraph(text: str) -> None:
    """As it was written where it fits, else its words in lines as wide as the terminal."""
    columns = width(sys.stdout)
    lines = text.splitlines()
    if columns is not None and max(map(len, lines)) > columns:
        indent = len(lines[0]) - len(lines[0].lstrip())
        lines = [" " * indent + " ".join(text.split())]
    for line in lines:
        say(line)
    say("")
