"""A tree of its own in which one small module is compiled, in the way the whole project is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lb.native import origin, running

LIST = """
ROOMS = {"lb": ("tiny",)}
EXTENSIONS = {"lb.written_in_c": "lb/written_in_c.c", "lb.later": "lb/later.c"}


def sources() -> list[str]:
    return ["lb/tiny.py"]
"""
TINY = '''"""Compiled."""

from lb.constants import FACTOR


def times(number: int) -> int:
    return number * FACTOR
'''
IN_C = """#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "written_in_c", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_written_in_c(void) { return PyModule_Create(&module); }
"""
WHICH = "import lb, lb.tiny; print(lb.BUILD.name, lb.tiny.times(2), lb.tiny.__file__[-3:])"


class Tree:
    """The packages, to be compiled or spoilt."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.built = root / "lb" / "native" / "built" / running.SOABI
        self.manifest = self.built / running.MANIFEST

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        own = {"PYTHONPATH": str(self.root), "LC_ALL": "C", **variables}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LB_")}
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.root,
            env=inherited | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **variables: str) -> tuple[str, str]:
        """What it wrote to stdout and stderr; it must end well."""
        with self.start(*arguments, **variables) as process:
            out, err = process.communicate()
        assert process.returncode == 0, out + err
        return out, err

    def which(self, **variables: str) -> str:
        out, err = self.run("-c", WHICH, **variables)
        assert err == "", "a library is silent"
        return out.strip()

    def trouble(self) -> str:
        return self.run("-c", "import lb; print(lb.BUILD.trouble)")[0].strip()

    def build(self, **variables: str) -> str:
        out, err = self.run("-m", "lb.native.build", **variables)
        assert err == ""
        return out

    def libraries(self) -> list[Path]:
        return sorted(self.built.rglob("*.so"))


def planted(root: Path) -> Tree:
    """A tree that has not been compiled."""
    house = Path(running.ROOT)
    ignored = shutil.ignore_patterns("built", "__pycache__")
    for package in ("lb", "sim"):
        shutil.copytree(house / package, root / package, ignore=ignored)
    (root / "lb/native/modules.py").write_text(f'"""A short list."""\n{LIST}')
    (root / "lb/tiny.py").write_text(TINY)
    (root / "lb/written_in_c.c").write_text(IN_C)
    (root / "lb/constants.py").write_text("from typing import Final\n\nFACTOR: Final = 21\n")
    return Tree(root)


@pytest.fixture
def bare(tmp_path: Path) -> Tree:
    return planted(tmp_path)


@pytest.fixture(scope="session")
def once_compiled(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Compiled by two at once, who do it once."""
    if origin.compiler() is None:
        pytest.skip("no C compiler")
    tree = planted(tmp_path_factory.mktemp("compiled"))
    both = [tree.start("-m", "lb.native.build") for _ in range(2)]
    said = [one.communicate() for one in both]
    lines = [line for out, _ in said for line in out.splitlines()]
    assert [err for _, err in said] == ["", ""]
    assert len([line for line in lines if line.startswith("lb: compiling with ")]) == 1
    assert len([line for line in lines if line.startswith("lb: compiled, 3 modules with ")]) == 2
    assert len(lines) == 3
    return tree


@pytest.fixture
def compiled(once_compiled: Tree, tmp_path: Path) -> Tree:
    """One that a test may spoil."""
    shutil.copytree(once_compiled.root, tmp_path, dirs_exist_ok=True)
    return Tree(tmp_path)
