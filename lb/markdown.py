"""Tables in Markdown, for READMEs and summaries of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int | None = None) -> str:
    """Its lines; columns behind the first `left` are set to the right, none unless given."""
    behind = 0 if left is None else max(len(heads) - left, 0)
    marks = ["---"] * (len(heads) - behind) + ["---:"] * behind
    lines = [map(cell, heads), marks, *(map(cell, row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(text: str) -> str:
    """On one line, and in one column."""
    return " ".join(text.replace("|", "\\|").split())
