"""`lb strategies`: what there is, what it costs, when it is wrong."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer

from lb.terminal import Terminal


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
    say(f"not when:  {row.avoid_when}", hang=11)
