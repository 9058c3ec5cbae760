"""`lb export`: the same pool as a configuration of HAProxy, nginx or Envoy."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lb.cli.options import AsJson, ConfigFile, Output, Quiet, scenario_from
from lb.cli.printing import STDOUT, apart, print_json, put
from lb.terminal import Terminal


def export(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="haproxy|nginx|envoy", envvar="LB_KIND", help="haproxy, nginx or envoy."
        ),
    ],
    config: ConfigFile = None,
    output: Output = STDOUT,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a configuration for HAProxy, nginx or Envoy.

    It does what the file says; what has no equivalent there is listed on stderr, and in a comment
    on top.
    """
    apart(output, {"the file of -c": config})
    from lb.foreign import export as exported

    found = exported(scenario_from(config), kind)
    if output != STDOUT or not as_json:  # which has the text, too
        put(found.text, output)
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
        print_json(document)
    terminal = Terminal(stderr=True, quiet=quiet)
    for row in found.missing:
        if row.given:
            terminal.say(f"{row.place}: {row.why}")
    if defaults := sum(not row.given for row in found.missing):
        terminal.say(
            f"{defaults} of lb's defaults have no equivalent either; the comment on top names them."
        )
