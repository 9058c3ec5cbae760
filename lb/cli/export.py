"""`lb export`: the same pool as a configuration of HAProxy, nginx or Envoy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lb.cli.options import AsJson, ConfigFile, Quiet, scenario_from
from lb.terminal import Terminal


def export(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="haproxy|nginx|envoy", envvar="LB_KIND", help="haproxy, nginx or envoy."
        ),
    ],
    config: ConfigFile = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", envvar="LB_OUTPUT", help="Write it there [stdout]."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a configuration for HAProxy, nginx or Envoy.

    It does what the file says.

    What has no equivalent there is listed on stderr, and in a comment on top of it.
    """
    from lb.foreign import export as exported
    from lb.system import writing

    found = exported(scenario_from(config), kind)
    if output is not None:
        with writing(output):
            output.write_text(found.text, encoding="utf-8")
    elif not as_json:
        typer.echo(found.text, nl=False)
    if as_json:
        missing: list[dict[str, Any]] = [
            {"key": row.key, "place": row.place, "given": row.given, "why": row.why}
            for row in found.missing
        ]
        document = {
            "schema": 1,
            "kind": kind,
            "method": found.method,
            "behaves_as": found.algorithm,
            "differs": found.differs or None,
            "missing": missing,
            "text": found.text,
        }
        typer.echo(json.dumps(document))
    terminal = Terminal(stderr=True, quiet=quiet)
    for row in found.missing:
        if row.given:
            terminal.say(f"{row.place}: {row.why}")
    if defaults := sum(not row.given for row in found.missing):
        terminal.say(
            f"{defaults} of lb's defaults have no equivalent either; the comment on top names them."
        )
