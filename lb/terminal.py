"""What a person reads: sentences and tables that fit the width there is. Nothing is ever cut.

A table that is too wide comes in parts, each with the first column again, or, when that is too wide
as well, with its cells below each other.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Protocol

from rich.cells import cell_len

UNKNOWN = 80
"""Columns of a table where nobody says how many there are: it may be looked at later."""
GAP = "  "
PLAIN = str.maketrans({"±": "+-", "─": "-", "×": "x", "µ": "u"})
"""For a terminal that has only letters."""


class Stream(Protocol):
    """What is asked of a text file."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...
    def isatty(self) -> bool: ...


class Terminal:
    """Standard output, or standard error, for people; silent when `quiet`.

    Where there is no terminal a sentence stays one line, and COLUMNS, or else `UNKNOWN`, is the
    width of tables.
    """

    def __init__(
        self,
        *,
        stderr: bool = False,
        quiet: bool = False,
        stream: Stream | None = None,
        width: int | None = None,
    ) -> None:
        self._stream = stream or (sys.stderr if stderr else sys.stdout)
        self._quiet = quiet
        self.width = width or shutil.get_terminal_size((UNKNOWN, 0)).columns
        self._wraps = width is not None or self._stream.isatty()

    def say(self, text: str = "", hang: int = 2) -> None:
        """Lines of words; one that is too long goes on below, `hang` further in."""
        for line in text.split("\n"):
            self._lines(wrapped(line, self.width, hang) if self._wraps else [line])

    def paragraph(self, text: str) -> None:
        """Lines as they were written where all of them fit, else the same words in other lines."""
        first, *more = text.split("\n")
        if self._wraps and max(cell_len(line) for line in (first, *more)) > self.width:
            end = "\n" * (len(text) - len(text.rstrip("\n")))
            text = " ".join([first, *(line.strip() for line in more)]).rstrip() + end
        self.say(text, hang=0)

    def table(
        self,
        title: str,
        header: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        either_way: bool = False,
    ) -> None:
        """A title, a line of column names, and rows that begin with theirs.

        With `either_way` rows and columns change places when it does not fit as it is and that
        takes fewer lines.
        """
        lines = lay_out(header, rows, self.width)
        if either_way and len(lines) > 2 + len(rows):
            names, *columns = zip(header, *rows, strict=True)
            lines = min(lines, lay_out(names, columns, self.width), key=len)
        self._lines([*wrapped(title, self.width, 2), "", *lines, ""])

    def listing(self, entries: Iterable[tuple[str, str]]) -> None:
        """Names with a text each: beside the name, or below it where there is little room."""
        entries = list(entries)
        beside = max((cell_len(name) for name, _ in entries), default=0) + len(GAP)
        for name, text in entries:
            if self.width >= 2 * beside or not self._wraps:
                self.say(_padded(name, beside) + text, hang=beside)
            else:
                self.say(f"{name}\n{GAP}{text}", hang=0)

    def _lines(self, lines: Iterable[str]) -> None:
        if self._quiet:
            return
        text = "".join(f"{line.rstrip()}\n" for line in lines)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            text = text.translate(PLAIN).encode(encoding, "backslashreplace").decode(encoding)
        self._stream.write(text)
        self._stream.flush()  # who reads along sees each line when it is said


def wrapped(text: str, width: int, hang: int = 0) -> list[str]:
    """Lines of at most `width` columns, broken between words only: a longer word stays whole."""
    if cell_len(text) <= width:
        return [text]
    indent = len(text) - len(text.lstrip())
    return textwrap.wrap(
        text.lstrip(),
        max(width, 1),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def counted(number: int | str, noun: str) -> str:
    """`1 request`, `2 requests`, `0 requests`; a text is a number as it is to be written."""
    return f"{number} {noun}{'s' * (str(number) != '1')}"


def plain(value: float, digits: int = 4) -> str:
    """So many digits and no exponent: `0.01234`, `12340`."""
    text = f"{value:.{digits}g}"
    return format(Decimal(text), "f") if "e" in text else text


def listed(items: Sequence[str], most: int, between: str = ", ") -> str:
    """`a, b, c`; of a long list the first `most`, and how many more: `a, b and 3 more`."""
    more = len(items) - most
    return between.join(items[:most]) + f" and {more} more" * (more > 0)


def lay_out(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The lines of a table of at most `width` columns, unless one name alone is wider.

    The first column is set to the left, the others to the right.
    """
    table = [[_printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    label, *others = widths
    parts: list[list[int]] = [[]]
    taken = start = len(GAP) + label
    for place, wide in enumerate(others, 1):
        if taken + len(GAP) + wide > width and parts[-1]:
            parts.append([])
            taken = start
        parts[-1].append(place)
        taken += len(GAP) + wide
    if others and start + len(GAP) + max(others) > width:
        return _stacked(table, width)
    lines: list[str] = []
    for places in parts:
        if lines:
            lines.append("")
        for number, row in enumerate(table):
            cells = [_padded(row[0], label), *(_padded(row[i], -widths[i]) for i in places)]
            lines.append(GAP + GAP.join(cells))
            if not number:
                lines.append(GAP + "─" * (cell_len(lines[-1]) - len(GAP)))
    return lines


def _stacked(table: Sequence[Sequence[str]], width: int) -> list[str]:
    (_, *names), *rows = table
    widest = max(map(cell_len, names))
    figures = max((cell_len(cell) for row in rows for cell in row[1:]), default=0)
    one_line = 3 * len(GAP) + widest + figures <= width
    lines: list[str] = []
    for label, *cells in rows:
        lines += [GAP + line for line in wrapped(label, width - len(GAP))]
        for name, cell in zip(names, cells, strict=True):
            if one_line:
                lines.append(2 * GAP + _padded(name, widest) + GAP + _padded(cell, -figures))
            else:
                lines += [2 * GAP + name, 3 * GAP + cell]
    return lines


def _padded(text: str, width: int) -> str:
    """To the left of `width` columns, to the right of as many when it is negative."""
    blank = " " * (abs(width) - cell_len(text))
    return text + blank if width > 0 else blank + text


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
