"""`lb strategies`: what there is, what it costs, when it is wrong."""

from __future__ import annotations

from typing import Annotated

import typer


def strategies(
    name: Annotated[str | None, typer.Argument(help="One algorithm, in full.")] = None,
) -> None:
    """List the algorithms, or explain one."""
    import inspect

    from lb.strategies import REGISTRY, spec

    if name is None:
        width = max(map(len, REGISTRY))
        for row in REGISTRY.values():
            typer.echo(f"{row.name:<{width}}  {row.summary}")
        return
    row = spec(name)
    module = inspect.getmodule(row.factory)
    needs = ", ".join(sorted(row.needs)) or "nothing"
    typer.echo(f"{row.name}: {row.summary}\n")
    typer.echo(f"{inspect.cleandoc(module.__doc__ or '')}\n")
    typer.echo(f"cost: {row.cost} per pick\nneeds: {needs}\nnot when: {row.avoid_when}")
