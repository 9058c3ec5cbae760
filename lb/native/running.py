"""Which build runs: modules that were compiled from the sources that are here, or those sources.

What `build` has made lies in a folder of its own for each kind of Python. It is used as a whole or
not at all: compiled modules call each other directly, so one that is stale spoils all.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from sysconfig import get_config_var
from typing import Any, cast

ROOT = Path(__file__).parents[2]
"""Where the packages lie; sources are named from here."""
SOABI = str(get_config_var("SOABI"))
"""The kind of Python that extensions are made for: version, processor, system."""
HERE = ROOT / "lb" / "native" / "built" / SOABI
MANIFEST = "manifest.json"
"""What was built from what and lies where, or why it could not be."""
SHARED = "lb__mypyc"
"""The library that holds what is compiled by mypyc."""
PURE = "LB_PURE"
"""Set to anything but nothing or 0, this variable forces pure Python."""


@dataclass(frozen=True)
class Build:
    """What runs."""

    compiled: bool = False
    compiler: str = ""
    trouble: str = ""
    """Why it is not the compiled build, where there is one, or should be: for people."""

    @property
    def name(self) -> str:
        return "compiled" if self.compiled else "pure"

    def __str__(self) -> str:
        return f"compiled, {self.compiler}" if self.compiled else "pure Python"


class Compiled:
    """Finds compiled modules by name, as importlib's finders do."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)


class Unfit(Exception):
    """Why a build cannot be used."""


def forced_pure() -> bool:
    """Whether the environment asks for it."""
    return os.environ.get(PURE, "0") not in ("", "0")


def environment() -> dict[str, str]:
    """This process's, for a command that our variables are not meant for; the build stays."""
    return {
        name: value
        for name, value in os.environ.items()
        if name == PURE or not name.startswith("LB_")
    }


def digest(source: Path) -> str:
    """What tells one version of a source from another; 120 of them take 2 ms."""
    return sha256(source.read_bytes()).hexdigest()


def choose() -> Build:
    """Use what was compiled, if it fits; to be called once, before anything else is imported."""
    if forced_pure():
        return Build()
    try:
        manifest = json.loads((HERE / MANIFEST).read_bytes())
        if "trouble" in manifest:
            return Build(trouble=str(manifest["trouble"]))
        check(manifest)
        use({name: HERE / file for name, (file, _) in manifest["modules"].items()})
        return Build(True, str(manifest["compiler"]))
    except FileNotFoundError:
        return Build()
    except Unfit as why:
        return Build(trouble=str(why))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Build(trouble="the compiled build cannot be read (make build)")


def check(manifest: dict[str, Any]) -> None:
    """Whether it is whole, for this Python and of these sources. Raises Unfit."""
    if manifest["python"] != SOABI:
        raise Unfit(f"the compiled build is for {manifest['python']}, not for {SOABI} (make build)")
    for source, was in manifest["sources"].items():
        try:
            same = digest(ROOT / source) == was
        except OSError:
            same = False
        if not same:
            raise Unfit(f"{source} has changed since it was compiled (make build)")
    for file, size in manifest["modules"].values():
        try:
            whole = (HERE / file).stat().st_size == size
        except OSError:
            whole = False
        if not whole:
            raise Unfit(f"{HERE / file} is not what was compiled (make build)")


def use(files: dict[str, Path]) -> None:
    """Let these be found first. Raises Unfit if their library cannot be loaded."""
    finder = cast(Any, Compiled(files))
    sys.meta_path.insert(0, finder)
    try:
        if SHARED in files:
            import_module(SHARED)
    except Exception as error:
        sys.meta_path.remove(finder)
        raise Unfit(f"the compiled build cannot be loaded: {str(error).splitlines()[0]}") from None
