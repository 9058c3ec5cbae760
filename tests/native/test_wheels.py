"""What is distributed: a wheel carries the build of its Python, or none, and the source is pure."""

from __future__ import annotations

import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

from lb.native import origin, running
from tests.native.conftest import Tree

MAKE = "from hatchling.build import build_{0}; print('made', build_{0}('dist'))"

HOOK = "CompiledBuild('.', {}, None, None, '', 'wheel')"


def made(tree: Tree, kind: str, **variables: str) -> Path:
    for file in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(running.ROOT / file, tree.root)
    out, err = tree.run("-c", MAKE.format(kind), **variables)
    assert err == ""
    return tree.root / "dist" / out.split()[-1]


def unpacked(wheel: Path, directory: Path) -> Tree:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return Tree(directory)


def test_a_wheel_carries_what_was_compiled(compiled: Tree, tmp_path: Path) -> None:
    wheel = made(compiled, "wheel")
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert f"-{version}-{version}-" in wheel.name
    installed = unpacked(wheel, tmp_path / "installed")
    assert installed.which() == "compiled 42 .so"
    assert installed.run("-m", "lb", "--version")[0].startswith("lb 0.1.0 (compiled, ")
    assert len(installed.libraries()) == 3, "and nothing of a build before"
    inside = [file.name for file in (installed.root / "lb/native/built").rglob("*.*")]
    assert sorted(name for name in inside if not name.endswith(".so")) == ["manifest.json"]


def test_where_nothing_can_be_compiled_it_is_for_every_python(bare: Tree, tmp_path: Path) -> None:
    wheel = made(bare, "wheel", PATH=str(tmp_path / "nothing"))
    assert wheel.name.endswith("-py3-none-any.whl")
    installed = unpacked(wheel, tmp_path / "installed")
    assert installed.which() == "pure 42 .py"
    assert installed.trouble() == ""


def test_so_it_is_after_trouble_and_where_pure_python_is_asked_for(
    compiled: Tree, tmp_path: Path
) -> None:
    assert made(compiled, "wheel", LB_PURE="1").name.endswith("-py3-none-any.whl")
    with (compiled.root / "lb/tiny.py").open("a") as file:
        file.write("# more\n")
    wheel = made(compiled, "wheel", CC="false")
    assert wheel.name.endswith("-py3-none-any.whl")
    installed = unpacked(wheel, tmp_path / "installed")
    assert installed.trouble() == "", "whoever installs it could not mend that"


def test_the_source_is_pure(compiled: Tree) -> None:
    with tarfile.open(made(compiled, "sdist")) as archive:
        names = archive.getnames()
    assert any(name.endswith("/lb/tiny.py") for name in names)
    assert any(name.endswith("/lb/written_in_c.c") for name in names)
    assert not [name for name in names if "/native/built" in name]


def test_what_it_is_made_with_is_asked_for_where_it_is_of_use(bare: Tree, tmp_path: Path) -> None:
    ask = f"from lb.native.hook import *; print(*{HOOK}.dependencies())"
    assert bare.run("-c", ask, LB_PURE="1")[0].strip() == ""
    assert bare.run("-c", ask, PATH=str(tmp_path / "nothing"))[0].strip() == ""
    made_with = bare.run("-c", ask)[0].strip()
    assert made_with == ("" if origin.compiler() is None else "mypy>=1.13 setuptools>=75")


def test_an_editable_install_compiles_nothing(bare: Tree) -> None:
    bare.run("-c", f"from lb.native.hook import *; {HOOK}.initialize('editable', {{}})")
    assert not bare.built.exists()
