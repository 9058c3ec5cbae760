"""`lb strategies`: what there is, what it costs, when it is wrong."""

from __future__ import annotations

from typing import Annotated

import typer


def strategies(
    name: Annotated[str | None, typer.Argument(help="One algorithm, in full.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="The list as a table.")] = False,
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
        width = max(map(len, rows))
        for row in rows.values():
            typer.echo(f"{row.name:<{width}}  {row.summary}")
        for line in broken:
            typer.echo(f"lb: {line}", err=True)
        if broken:
            raise typer.Exit(1)
        return
    row = spec(name)
    typer.echo(f"{row.name}\n\n{row.story}\n")
    for parameter, default, text in row.manual():
        typer.echo(f"{parameter} = {default}\n    {text}\n")
    typer.echo(f"cost:      {row.cost}")
    typer.echo(f"needs:     {', '.join(sorted(row.needs)) or 'nothing'}")
    typer.echo(f"not when:  {row.avoid_when}")
