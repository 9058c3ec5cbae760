"""What commands give: JSON, a text in a file or on stdout, and a bar while something takes long."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lb.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

STDOUT = Path("-")


def print_json(document: object) -> None:
    """One line on stdout."""
    print(json.dumps(document))


def apart(output: Path | None, given: Mapping[str, Path | None]) -> None:
    """Raises UsageError where `output` is one of the files that are given, each by what it is."""
    if output is None or output == STDOUT:
        return
    for what, path in given.items():
        if path is not None and output.resolve() == path.resolve():
            raise UsageError(f"-o {output}: that is {what}; give another name")


def put(text: str, output: Path) -> None:
    """Into the file, or on stdout. Raises CannotWrite."""
    from lb.system import writing

    if output == STDOUT:
        sys.stdout.write(text)
        return
    with writing(output):
        output.write_text(text, encoding="utf-8")


def bar(*columns: ProgressColumn | str, quiet: bool) -> Progress:
    """On stderr, for whoever looks; the columns of rich's own unless given."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )
