"""Notebooks run from top to bottom in a fresh kernel, and the outputs kept in them are theirs."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TIMEOUT = 300
"""Seconds for one cell; the slowest takes ten on one core."""
WORD = re.compile(r"[A-Za-z_]{2,}")


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell: NotebookNode) -> list[tuple[str, ...]]:
    """What each output of a cell is: a stream, or data of certain MIME types.

    Pieces of a stream are one: a slow machine cuts it into more.
    """
    found = [(output.output_type, *sorted(output.get("data", {}))) for output in cell.outputs]
    pairs = zip([None, *found], found, strict=False)
    return [kind for before, kind in pairs if not before == kind == ("stream",)]


def words(cell: NotebookNode) -> list[str]:
    """What a cell prints, without its numbers: those may move when an algorithm does."""
    return WORD.findall("".join(output.get("text", "") for output in cell.outputs))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_fresh_run_says_what_the_notebook_keeps(path: Path) -> None:
    kept, fresh = read(path), read(path)
    for cell in code(fresh):
        cell.outputs = []
    # An error in a cell raises here. The kernel starts in ROOT and so finds the packages.
    NotebookClient(
        fresh, timeout=TIMEOUT, record_timing=False, resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    for number, (before, after) in enumerate(zip(code(kept), code(fresh), strict=True), 1):
        assert kinds(before) == kinds(after), f"code cell {number}: run it again and save"
        assert words(before) == words(after), f"code cell {number}: the text around it is stale"
    assert any("image/png" in kind for cell in code(kept) for kind in kinds(cell))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_no_trace_of_a_machine(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert [cell.metadata for cell in notebook.cells] == [{}] * len(notebook.cells)
    assert [cell.execution_count for cell in code(notebook)] == [
        number + 1 for number in range(len(code(notebook)))
    ], "run top to bottom, once"
    shown = "".join(
        str({**output, "data": output.get("data", {}).get("text/plain")})
        for cell in code(notebook)
        for output in cell.outputs
    )
    assert not re.search(r"/(home|root|tmp|work|Users)/|[A-Z]:\\|0x[0-9a-f]{6}", shown)
