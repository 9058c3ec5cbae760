"""How a command was given: options that may lack their value, and the line that gives it again."""

from __future__ import annotations

import shlex
from itertools import zip_longest
from typing import Any

import typer
from typer.core import TyperCommand

GIVEN = ("COMMANDLINE", "ENVIRONMENT")


class Command(TyperCommand):
    """A command whose options with a `[METAVAR]` in brackets may stand without a value: "" then."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        bare = {
            option
            for parameter in self.params
            if str(parameter.metavar or "").startswith("[")
            for option in parameter.opts
        }
        given = [
            f"{arg}=" if arg in bare and (following is None or following.startswith("-")) else arg
            for arg, following in zip_longest(args, args[1:])
        ]
        return super().parse_args(ctx, given)


def again(context: typer.Context, without: tuple[str, ...]) -> str:
    """The command line that gives the same, whether it came from flags or from the environment.

    `without` are parameters that change nothing of what is meant.
    """
    words = ["lb", str(context.info_name)]
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in without or source is None or source.name not in GIVEN:
            continue
        value = context.params[name]
        option = max(parameter.opts, key=len)
        if isinstance(value, bool):
            words += [option] if value else []
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            words += [option, str(each)]
    return shlex.join(words)
