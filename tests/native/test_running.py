"""Which build runs: the compiled one if it is whole, for this Python and of these sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from lb.native import running
from tests.native.conftest import Tree


def test_what_was_compiled_runs(compiled: Tree) -> None:
    assert compiled.which() == "compiled 42 .so"
    assert compiled.run("-c", "import lb.written_in_c as c; print(c.__file__[-3:])")[0] == ".so\n"
    assert compiled.trouble() == ""


def test_pure_python_can_be_asked_for(compiled: Tree) -> None:
    assert compiled.which(LB_PURE="1") == "pure 42 .py"
    assert compiled.which(LB_PURE="0") == compiled.which(LB_PURE="") == "compiled 42 .so"


def test_without_a_build_there_is_nothing_to_say(bare: Tree) -> None:
    assert bare.which() == "pure 42 .py"
    assert bare.trouble() == ""


@pytest.mark.parametrize("source", ["lb/tiny.py", "lb/written_in_c.c", "lb/constants.py"])
def test_after_an_edit_all_is_pure(compiled: Tree, source: str) -> None:
    """Constants are copied into what is compiled, so where they stand counts as well."""
    file = compiled.root / source
    file.write_text(file.read_text().replace("21", "50") + "\n")
    assert compiled.which() == f"pure {100 if 'constants' in source else 42} .py"
    assert compiled.trouble() == f"{source} has changed since it was compiled (make build)"


def test_a_source_that_has_gone_is_an_edit(compiled: Tree) -> None:
    (compiled.root / "lb/written_in_c.c").unlink()
    assert compiled.which() == "pure 42 .py"
    assert "lb/written_in_c.c has changed" in compiled.trouble()


def test_an_edit_elsewhere_changes_nothing(compiled: Tree) -> None:
    with (compiled.root / "lb/wire.py").open("a") as file:
        file.write("# more\n")
    assert compiled.which() == "compiled 42 .so"


def test_what_is_for_another_python_is_not_looked_at(compiled: Tree) -> None:
    compiled.built.rename(compiled.built.with_name("cpython-310-x86_64-linux-gnu"))
    assert compiled.which() == "pure 42 .py"
    assert compiled.trouble() == ""


def test_what_is_for_another_python_under_a_wrong_name_is_not_loaded(compiled: Tree) -> None:
    manifest = json.loads(compiled.manifest.read_text())
    compiled.manifest.write_text(json.dumps({**manifest, "python": "cpython-310"}))
    assert compiled.which() == "pure 42 .py"
    assert compiled.trouble().startswith("the compiled build is for cpython-310, not for ")


def _halved(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def _text(file: Path) -> None:
    file.write_bytes(b"#" * file.stat().st_size)


@pytest.mark.parametrize("spoil", [_halved, _emptied, _zeros, _text, Path.unlink])
def test_a_spoilt_library_is_not_used(compiled: Tree, spoil: Callable[[Path], None]) -> None:
    (library,) = (file for file in compiled.libraries() if "mypyc" in file.name)
    spoil(library)
    assert compiled.which() == "pure 42 .py"
    assert len(compiled.trouble().splitlines()) == 1


@pytest.mark.parametrize("spoil", [_halved, _emptied, Path.unlink])
def test_nor_one_of_which_a_module_is_spoilt(compiled: Tree, spoil: Callable[[Path], None]) -> None:
    spoil(compiled.libraries()[0])
    assert compiled.which() == "pure 42 .py"
    assert "is not what was compiled (make build)" in compiled.trouble()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '"a"', "{", '{"python": 3}', '{"trouble": "a"}', "\udcff"]
)
def test_a_list_that_cannot_be_read(compiled: Tree, text: str) -> None:
    compiled.manifest.write_text(text, errors="surrogateescape")
    assert compiled.which() == "pure 42 .py"
    assert len(compiled.trouble().splitlines()) == 1


def test_halves_of_a_list(compiled: Tree) -> None:
    """As a disk leaves it that was full."""
    whole = compiled.manifest.read_text()
    compiled.manifest.write_text(whole[: len(whole) // 2])
    assert compiled.which() == "pure 42 .py"
    assert compiled.trouble() == "the compiled build cannot be read (make build)"


@pytest.mark.parametrize("what", ["digest", "checksum"])
def test_what_may_not_be_read_is_called_that(what: str) -> None:
    """Of another user's build: it may be whole, so compiling it again is no advice."""
    found = {
        "python": running.SOABI,
        "compiler": "cc 1",
        "sources": {"lb/wire.py": running.digest(running.ROOT / "lb/wire.py")},
        "modules": {running.SHARED: ["here/a.so", 1]},
    }
    denied = PermissionError(13, "Permission denied")
    with (
        mock.patch.object(running, what, side_effect=denied),
        pytest.raises(running.Unfit, match=r"(wire\.py|a\.so) cannot be read: Permission denied$"),
    ):
        running.check(found)
    with pytest.raises(running.Unfit, match=r"a\.so is not what was compiled \(make build\)$"):
        running.check(found)


class TestTold:
    """By a command: once, on stderr, whatever it starts."""

    @pytest.fixture
    def stale(self, compiled: Tree) -> Tree:
        with (compiled.root / "lb/tiny.py").open("a") as file:
            file.write("# more\n")
        return compiled

    LINE = "lb: pure Python runs: lb/tiny.py has changed since it was compiled (make build)"

    def test_beside_what_it_says(self, stale: Tree) -> None:
        out, err = stale.run("-m", "lb", "--version")
        assert "(pure Python; Python 3" in out
        assert err == f"{self.LINE}\n"

    def test_not_by_its_workers(self, stale: Tree) -> None:
        short = ("--requests", "500", "--replications", "3", "--workers", "2", "--json")
        out, err = stale.run("-m", "lb", "simulate", *short)
        assert json.loads(out)["schema"] == 1
        assert err.splitlines().count(self.LINE) == err.count("has changed") == 1

    def test_not_where_pure_python_is_asked_for(self, stale: Tree) -> None:
        assert stale.run("-m", "lb", "--version", LB_PURE="1")[1] == ""

    def test_not_where_all_is_well(self, compiled: Tree) -> None:
        out, err = compiled.run("-m", "lb", "--version")
        assert "(compiled, " in out
        assert err == ""
