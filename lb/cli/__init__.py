"""The command line: one small file per command, heavy imports inside the commands.

A mistake of the user is one line on stderr and an exit status; never a traceback.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from lb import BUILD
from lb.cli import (
    backend,
    calibrate,
    check,
    completion,
    ctl,
    demo,
    export,
    fidelity,
    importing,
    init,
    predict,
    recommend,
    replay,
    serve,
    simulate,
    strategies,
    streams,
    sweep,
    top,
    verify,
)
from lb.cli.invocation import Command
from lb.cli.options import Version
from lb.errors import INTERRUPTED, ConfigError, LbError
from lb.native.running import PURE, forced_pure

_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]
"""The class of everything wrong with a command line; Typer exports only this leaf of it."""


class Commands(TyperGroup):
    """In the order in which they are met; Typer puts groups behind all commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        names = [name for name in super().list_commands(ctx) if name != "ctl"]
        names.insert(names.index("top") + 1, "ctl")
        return names


app = typer.Typer(
    name="lb",
    cls=Commands,
    help="A load balancer you can test on paper first.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root(
    context: typer.Context,
    version: Version = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_OTHERWISE = {"importing": "import"}
"""Modules whose command's name is a keyword of the language."""

for command in (
    serve,
    backend,
    simulate,
    sweep,
    calibrate,
    predict,
    recommend,
    fidelity,
    replay,
    top,
    init,
    check,
    export,
    importing,
    strategies,
    verify,
    demo,
    completion,
):
    name = command.__name__.rpartition(".")[2]
    app.command(_OTHERWISE.get(name, name), cls=Command)(getattr(command, name))
app.add_typer(ctl.app)


def main() -> None:
    """Run one command and exit with its status."""
    streams.prepare()
    if BUILD.trouble and not forced_pure():
        _complain(f"pure Python runs: {BUILD.trouble}")
        os.environ[PURE] = "1"  # processes that the command starts run the same, and say nothing
    status = _status()
    sys.exit(status if streams.all_written() else status or 1)


def _status() -> int:
    """Run it; every mistake has been told when this returns."""
    try:
        status = app(prog_name="lb", standalone_mode=False)
    except _USAGE_ERROR as error:
        _complain(" ".join(error.format_message().split()))
        return 2
    except ConfigError as error:
        streams.complain(str(error))  # each line begins with its file already
        return error.exit_status
    except LbError as error:
        _complain(str(error))
        return error.exit_status
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except SystemExit as error:  # a library's, when the reader of stdout has gone
        status = error.code
    except OSError as error:
        streams.failed(error)
        return 1
    return status if isinstance(status, int) else 0


def _complain(line: str) -> None:
    streams.complain(f"lb: {line}")
