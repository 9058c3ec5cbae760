"""`lb import`: a haproxy.cfg or an nginx.conf as a file of lb."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lb.cli.options import AsJson, Quiet
from lb.terminal import Terminal


def importing(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="haproxy.cfg or nginx.conf.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", envvar="LB_OUTPUT", help="Write it there [stdout]."
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            "--pool",
            metavar="NAME",
            envvar="LB_POOL",
            help="Backend or upstream that is read [the first that clients come to].",
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Read a haproxy.cfg or nginx.conf into a file for lb.

    What it says and lb cannot is listed on stderr by file and line, and in a comment on top.
    """
    from lb.foreign import load
    from lb.system import writing

    found = load(file, pool)
    if output is not None:
        with writing(output):
            output.write_text(found.text, encoding="utf-8")
    elif not as_json:
        typer.echo(found.text, nl=False)
    if as_json:
        missing = [
            {"place": row.place, "directive": row.directive, "why": row.why}
            for row in found.missing
        ]
        document = {"schema": 1, "kind": found.kind, "pool": found.pool, "missing": missing}
        typer.echo(json.dumps({**document, "text": found.text}))
    terminal = Terminal(stderr=True, quiet=quiet)
    for row in found.missing:
        terminal.say(str(row))
