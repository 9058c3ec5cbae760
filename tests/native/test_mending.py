"""What is damaged is made again; what fits stays, whatever becomes of the tools."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lb.native import origin
from tests.native.conftest import Tree
from tests.native.test_build import compiler

NEEDED = pytest.mark.skipif(origin.compiler() is None, reason="no C compiler")
PROBED = 'case "$*" in *probe.c*) exit 0;; esac\n'
"""A compiler that can do the little that is tried first."""


FULL = Path("/dev/full")
NOT_SAID = """
import subprocess, sys
with open("/dev/full", "wb") as full:
    print(subprocess.run([sys.executable, "-m", "lb.native.build"], stdout=full).returncode)
"""


def edit(tree: Tree) -> None:
    with (tree.root / "lb/tiny.py").open("a") as file:
        file.write("# more\n")


def test_who_may_read_the_sources_may_use_what_was_compiled(compiled: Tree) -> None:
    (compiled.built / "like").mkdir()
    like = (compiled.built / "like").stat().st_mode
    for path in [compiled.built, *compiled.built.rglob("*")]:
        if path.is_dir():
            assert path.stat().st_mode == like, path
        else:
            assert path.stat().st_mode & 0o444 == like & 0o444, path


@NEEDED
@pytest.mark.parametrize("which", range(3))
def test_a_hole_in_a_file_is_seen_and_mended(compiled: Tree, which: int) -> None:
    """As a power cut leaves it: of its size, a block of it zeros."""
    library = compiled.libraries()[which]
    text = library.read_bytes()
    library.write_bytes(text[:4096] + bytes(4096) + text[8192:])
    assert len(library.read_bytes()) == len(text)
    assert compiled.which() == "pure 42 .py"
    assert "is not what was compiled (make build)" in compiled.trouble()
    assert compiled.build().count("lb: compiled, 3 modules with ") == 1
    assert compiled.which() == "compiled 42 .so"


ORDER = """
import os
from pathlib import Path
from lb.native import build

sync, replace = os.fsync, Path.replace
os.fsync = lambda file: (print("synced", os.fstat(file).st_ino), sync(file))
Path.replace = lambda file, to: (print("replaced", to.name), replace(file, to))
build.main()
"""


@NEEDED
def test_all_is_on_the_disk_before_the_list_says_so(bare: Tree) -> None:
    lines = bare.run("-c", ORDER)[0].splitlines()
    before = lines[: lines.index("replaced manifest.json")]
    for file in [*bare.libraries(), bare.manifest]:
        assert f"synced {file.stat().st_ino}" in before


@NEEDED
@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'cc: fatal error: Killed signal terminated program cc1'; exit 1", "cc: fatal error"),
        ("printf '\\377\\033[31mno memory\\n'; exit 1", r".*\?\[31mno memory"),
        ("kill -9 $$", "the compiler .*SIGKILL"),
        (f"echo a.c:1: error: {'far ' * 500}; exit 1", r"a\.c:1: error: (far )+f?a?\.\.\."),
    ],
)
def test_of_a_compiler_that_fails_late_its_own_words_are_told(
    bare: Tree, tmp_path: Path, script: str, why: str
) -> None:
    first, last = bare.build(CC=compiler(tmp_path, PROBED + script)[0]).splitlines()
    assert first == "lb: compiling with cc 1.2.3, a minute or two"
    told = re.fullmatch(r"lb: compiling failed: (.*); pure Python runs \(all of it: .*\)", last)
    assert told is not None
    assert re.match(why, told[1])
    assert len(told[1]) <= 150
    assert told[1].isprintable()
    assert bare.trouble() == f"compiling failed: {told[1]}"


@pytest.mark.parametrize("letters", ["ascii", "utf-8"])
def test_a_reason_is_told_in_letters_that_there_are(
    bare: Tree, tmp_path: Path, letters: str
) -> None:
    command = compiler(tmp_path, "printf 'error: \\377\\303\\237\\342\\202\\254'; exit 1")[0]
    (line,) = bare.build(CC=command, PYTHONIOENCODING=f"{letters}:strict").splitlines()
    assert line.startswith("lb: compiling failed: error: ")


@NEEDED
def test_a_compiler_that_makes_nothing_has_failed(bare: Tree) -> None:
    line = bare.build(CC="true").splitlines()[-1]
    assert line.startswith("lb: compiling failed: true has left no lb__mypyc; pure Python runs")
    assert bare.which() == "pure 42 .py"


def test_what_fits_stays_when_other_tools_fail(compiled: Tree, tmp_path: Path) -> None:
    command, calls = compiler(tmp_path, "exit 1")
    said = [compiled.build(CC=command) for _ in range(2)]
    assert said[0] == said[1]
    assert said[0].startswith("lb: compiling failed: ")
    assert "; what was compiled before runs" in said[0]
    assert len(calls.read_text().splitlines()) == 1, "it is not asked again"
    assert compiled.which() == "compiled 42 .so"
    edit(compiled)
    assert "; pure Python runs" in compiled.build(CC=command)


def test_what_fits_is_said_to_run_where_nothing_can_be_written(
    compiled: Tree, tmp_path: Path
) -> None:
    (compiled.built / "lock").unlink()
    (compiled.built / "lock").mkdir()
    (line,) = compiled.build(CC=compiler(tmp_path, "exit 1")[0]).splitlines()
    assert line.startswith("lb: compiling failed: ")
    assert line.endswith("; what was compiled before runs")


def _a_folder(manifest: Path) -> None:
    manifest.unlink()
    (manifest / "inside").mkdir(parents=True)


def _nested(manifest: Path) -> None:
    manifest.write_text("[" * 200_000)


def _without_modules(manifest: Path) -> None:
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "modules": {}}))


def _trouble_of_lines(manifest: Path) -> None:
    manifest.write_text('{"trouble": "one\\n\\u001b[2Jtwo\\ud800\\n"}')


def _no_trouble(manifest: Path) -> None:
    manifest.write_text('{"trouble": ""}')


ODD = pytest.mark.parametrize(
    "spoil", [_a_folder, _nested, _without_modules, _trouble_of_lines, _no_trouble]
)


@ODD
def test_an_odd_list_is_a_line_and_goes_where_there_is_no_compiler(
    compiled: Tree, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(compiled.manifest)
    assert compiled.which() == "pure 42 .py"
    (line,) = compiled.trouble().splitlines()
    assert line.isprintable()
    assert compiled.build(PATH=str(tmp_path / "nothing")) == ""
    assert compiled.which() == "pure 42 .py"
    assert compiled.trouble() == ""


@NEEDED
@ODD
def test_an_odd_list_is_made_anew_where_there_is_one(
    compiled: Tree, spoil: Callable[[Path], None]
) -> None:
    spoil(compiled.manifest)
    assert compiled.build().count("lb: compiled, 3 modules with ") == 1
    assert compiled.which() == "compiled 42 .so"


def test_without_a_compiler_what_is_stale_goes(compiled: Tree, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nothing")
    assert compiled.build(PATH=nowhere).startswith("lb: compiled, 3 modules with ")
    edit(compiled)
    assert compiled.trouble()
    assert compiled.build(PATH=nowhere) == ""
    assert compiled.trouble() == ""


def test_an_empty_name_of_a_compiler_is_none(bare: Tree, tmp_path: Path) -> None:
    assert bare.build(CC=" ", PATH=str(tmp_path / "nothing")) == ""


def test_a_named_compiler_that_is_not_there_is_told(compiled: Tree) -> None:
    said = "lb: there is no compiler no-such-cc -pipe; what was compiled before runs\n"
    assert compiled.build(CC="no-such-cc -pipe") == said
    edit(compiled)
    assert compiled.build(CC="no-such-cc -pipe").endswith("; pure Python runs\n")


@pytest.mark.skipif(not FULL.exists(), reason="no device that is full")
def test_where_a_line_cannot_be_said_all_ends_well_without_it(bare: Tree) -> None:
    ran = bare.run("-c", NOT_SAID, CC="no-such-cc")
    assert ran == ("0\n", "")


def test_a_log_is_named_only_if_there_is_one(bare: Tree, tmp_path: Path) -> None:
    """Without mypy no tool has said a word."""
    command = compiler(tmp_path, "exit 1")[0]
    bare.build(CC=command)
    assert (bare.built / "build.log").exists()
    without = (
        "from lb.native import build, origin; origin.installed = lambda package: ''; build.main()"
    )
    out, _ = bare.run("-c", without, CC=command)
    assert out == (
        "lb: compiling failed: mypy and setuptools are not both installed; pure Python runs\n"
    )
