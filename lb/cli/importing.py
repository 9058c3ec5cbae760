"""`lb import`: a haproxy.cfg or an nginx.conf as a file of lb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lb.cli.options import AsJson, Output, Quiet
from lb.cli.printing import STDOUT, apart, print_json, put
from lb.terminal import Terminal


def importing(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="haproxy.cfg or nginx.conf.")],
    output: Output = STDOUT,
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
    apart(output, {"the file that is read": file})
    from lb.foreign import load

    found = load(file, pool)
    if output != STDOUT or not as_json:  # which has the text, too
        put(found.text, output)
    if as_json:
        missing = [
            {"place": row.place, "directive": row.directive, "why": row.why}
            for row in found.missing
        ]
        document = {"schema": 1, "kind": found.kind, "pool": found.pool, "missing": missing}
        print_json({**document, "text": found.text})
    terminal = Terminal(stderr=True, quiet=quiet)
    for row in found.missing:
        terminal.say(str(row))
