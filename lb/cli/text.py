"""Words on the terminal: lines as wide as it is, of which nothing is ever cut."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TextIO

import typer


def width(stream: TextIO) -> int | None:
    """Columns of a terminal; None for a file or a pipe, whose readers want whole lines."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def say(line: str, hang: int = 0, err: bool = False) -> None:
    """Print one line; on a terminal it goes on below between two words, `hang` further in."""
    columns = width(sys.stderr if err else sys.stdout)
    if columns is not None and len(line) > columns:
        indent = len(line) - len(line.lstrip())
        line = textwrap.fill(
            line.lstrip(),
            max(columns, 20),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + hang),
            break_long_words=False,
            break_on_hyphens=False,
        )
    typer.echo(line, err=err)


def table(rows: Sequence[Sequence[str]], err: bool = False) -> None:
    """The first column to the left, the others to the right; the first row is their names.

    Where a terminal has no room for a row, its cells stand below each other.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    columns = width(sys.stderr if err else sys.stdout)
    if columns is None or sum(widths) + 2 * (len(widths) - 1) <= columns:
        for first, *others in rows:
            cells = [f"{cell:>{w}}" for cell, w in zip(others, widths[1:], strict=True)]
            typer.echo("  ".join([f"{first:<{widths[0]}}", *cells]), err=err)
        return
    names, *body = rows
    for first, *others in body:
        typer.echo(f"{names[0]} {first}", err=err)
        for name, cell in zip(names[1:], others, strict=True):
            say(f"  {name}: {cell}", hang=2, err=err)
