"""Compiling: done once, and whatever goes wrong is a line and pure Python."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from lb.native import origin
from tests.native.conftest import Tree

NEEDED = pytest.mark.skipif(origin.compiler() is None, reason="no C compiler")


def compiler(directory: Path, script: str) -> tuple[str, Path]:
    """A compiler that tells its version and does as `script` says; and the list of its calls."""
    calls = directory / "calls"
    command = directory / "broken-cc"
    command.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "cc 1.2.3" && exit\n'
        f'echo "$@" >>{calls}\n{script}\n'
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    calls.touch()
    return str(command), calls


def compiling(tree: Tree, **variables: str) -> str:
    """What is said at the end, after it has been said that it takes a while."""
    first, last = tree.build(**variables).splitlines()
    assert re.fullmatch(r"lb: compiling with [a-z]+ [\d.]+, a minute or two", first)
    return last


def test_nothing_is_compiled_twice(compiled: Tree) -> None:
    before = compiled.manifest.stat().st_mtime_ns
    (line,) = compiled.build().splitlines()
    assert line.startswith("lb: compiled, 3 modules with ")
    assert compiled.manifest.stat().st_mtime_ns == before


def test_nothing_is_left_but_what_runs(compiled: Tree) -> None:
    folders = [one for one in compiled.built.iterdir() if one.is_dir()]
    assert len(folders) == 1
    assert {file.suffix for file in folders[0].rglob("*") if file.is_file()} == {".so"}


@NEEDED
def test_after_an_edit_it_is_compiled_again(compiled: Tree) -> None:
    before = compiled.libraries()
    constants = compiled.root / "lb/constants.py"
    constants.write_text(constants.read_text().replace("21", "50"))
    assert compiling(compiled).startswith("lb: compiled, 3 modules with ")
    assert compiled.which() == "compiled 100 .so"
    assert {*before} < {*compiled.libraries()}, "who runs the one before may still load from it"


def test_without_a_compiler_not_a_word(bare: Tree, tmp_path: Path) -> None:
    assert bare.build(PATH=str(tmp_path)) == ""
    assert bare.which() == "pure 42 .py"
    assert bare.trouble() == ""


def test_where_pure_python_is_asked_for_not_a_word(bare: Tree) -> None:
    assert bare.build(LB_PURE="1") == ""
    assert not bare.built.exists()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 1", "failed (1)"),
        ("echo cc: killed; exit 1", "cc: killed"),
        (
            "echo 'In file included'; echo 'a.c:1:9: fatal error: Python.h: No such'; exit 1",
            "a.c:1:9: fatal error: Python.h: No such",
        ),
    ],
)
def test_a_compiler_that_fails_is_told_and_not_asked_again(
    bare: Tree, tmp_path: Path, script: str, why: str
) -> None:
    command, calls = compiler(tmp_path, script)
    (line,) = bare.build(CC=command).splitlines()
    assert line.startswith("lb: compiling failed: ")
    assert f"{why}; pure Python runs" in line
    assert bare.which() == "pure 42 .py"
    assert bare.trouble().startswith("compiling failed: ")
    asked = calls.read_text()
    assert bare.build(CC=command).splitlines() == [line]
    assert calls.read_text() == asked
    with (bare.root / "lb/tiny.py").open("a") as file:
        file.write("# more\n")
    assert bare.build(CC=command).splitlines() == [line]
    assert len(calls.read_text()) > len(asked), "an edit may have mended it"


def test_the_trouble_goes_with_the_compiler(bare: Tree, tmp_path: Path) -> None:
    bare.build(CC=compiler(tmp_path, "exit 1")[0])
    assert bare.trouble()
    assert bare.build(PATH=str(tmp_path / "nothing")) == ""
    assert bare.trouble() == ""


@NEEDED
def test_what_is_no_python_for_a_compiler_is_told(bare: Tree) -> None:
    tiny = bare.root / "lb/tiny.py"
    tiny.write_text(tiny.read_text().replace("number * FACTOR", '"a"'))
    line = compiling(bare)
    assert line.startswith("lb: compiling failed: lb/tiny.py:7: error: Incompatible return value")
    assert bare.trouble() in line


@NEEDED
def test_what_is_no_python_at_all_is_told(bare: Tree) -> None:
    (bare.root / "lb/tiny.py").write_text("def times(\n")
    (line,) = bare.build().splitlines()
    assert line == "lb: compiling failed: '(' was never closed (tiny.py, line 1); pure Python runs"


@NEEDED
def test_what_cannot_be_imported_is_no_build(bare: Tree) -> None:
    with (bare.root / "lb/tiny.py").open("a") as file:
        file.write("\n\nif times(1):\n    raise ValueError('too late')\n")
    line = compiling(bare)
    assert "ValueError: too late; pure Python runs" in line
    assert not bare.libraries()


def test_a_tree_that_cannot_be_written(bare: Tree) -> None:
    if origin.compiler() is None:
        pytest.skip("no C compiler")
    bare.built.parent.symlink_to(bare.root / "nowhere")
    (line,) = bare.build().splitlines()
    assert line.startswith("lb: compiling failed: ")
    assert line.endswith("; pure Python runs")
    assert bare.which() == "pure 42 .py"
    assert bare.trouble() == ""
