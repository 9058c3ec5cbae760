"""Variables of the environment in a line of HAProxy's, looked for in double quotes alone."""

from __future__ import annotations

import os
import re

_PARTS = re.compile(
    r"""\\.            # a letter that stands for itself
      | '[^']*'        # nothing is looked for in here
      | \#.*
      | (?P<weak>"(?:\\.|[^"\\])*")""",
    re.VERBOSE,
)
_VARIABLE = re.compile(
    r"""\\.
      | \$(?: \{ (?P<braced>\w+) (?:-(?P<default>[^}]*))? \}
          | (?P<bare>[A-Za-z_]\w*) )""",
    re.VERBOSE,
)


def expanded(line: str) -> str:
    """The line with the values in it: `"${NAME}"`, `"$NAME"`, `"${NAME-default}"`.

    A variable that is not there stays as it is written, so whoever reads the word complains.
    """
    return _PARTS.sub(_part, line)


def _part(part: re.Match[str]) -> str:
    return part[0] if part["weak"] is None else _VARIABLE.sub(_value, part[0])


def _value(found: re.Match[str]) -> str:
    name, default = found["braced"] or found["bare"], found["default"]
    if name is None:
        return found[0]
    value = os.environ.get(name, default)
    return found[0] if value is None else value.replace("\\", "\\\\").replace('"', '\\"')
