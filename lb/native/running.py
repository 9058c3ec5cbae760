"""Which build runs: modules that were compiled from the sources that are here, or those sources.

What `build` has made lies in a folder of its own for each kind of Python. It is used as a whole or
not at all: compiled modules call each other directly, so one that is stale spoils all.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from sysconfig import get_config_var
from typing import Any, TypeVar, cast
from zlib import crc32

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
UNREADABLE = "the compiled build cannot be read (make build)"
T = TypeVar("T")


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


def checksum(file: Path) -> int:
    """What tells a file from what a disk or a crash makes of it; 72 of 5 MB take 1.3 ms."""
    return crc32(file.read_bytes())


def one_line(text: str, longest: int | None = None) -> str:
    """Of anybody's text: what can be shown of it, and of a long one as much as fits."""
    line = "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
    return line if longest is None or len(line) <= longest else f"{line[: longest - 3]}..."


def choose() -> Build:
    """Use what was compiled, if it fits; to be called once, before anything else is imported."""
    if forced_pure():
        return Build()
    try:
        found = manifest()
        check(found)
        use({name: HERE / file for name, (file, _) in found["modules"].items()})
        return Build(True, one_line(found["compiler"]))
    except FileNotFoundError:
        return Build()
    except Unfit as why:
        return Build(trouble=one_line(str(why)))


def manifest() -> Any:
    """What the last build has left. Raises FileNotFoundError, or Unfit if it cannot be read."""
    try:
        return json.loads(_of(HERE / MANIFEST, Path.read_bytes))
    except (ValueError, RecursionError):
        raise Unfit(UNREADABLE) from None


def check(manifest: Any) -> None:
    """Whether it is of a whole build, for this Python and of these sources. Raises Unfit."""
    try:
        if manifest.get("trouble"):
            raise Unfit(str(manifest["trouble"]))
        _check(manifest["python"], manifest["sources"], manifest["modules"])
        if not isinstance(manifest["compiler"], str):
            raise Unfit(UNREADABLE)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Unfit(UNREADABLE) from None


def _check(python: str, sources: dict[str, str], modules: dict[str, tuple[str, int]]) -> None:
    if python != SOABI:
        raise Unfit(f"the compiled build is for {python}, not for {SOABI} (make build)")
    for source, was in sources.items():
        if not _is(ROOT / source, digest, was):
            raise Unfit(f"{source} has changed since it was compiled (make build)")
    for file, sum_ in modules.values():
        if not _is(HERE / file, checksum, sum_):
            raise Unfit(f"{HERE / file} is not what was compiled (make build)")
    if SHARED not in modules:
        raise Unfit(UNREADABLE)


def _is(file: Path, sign: Callable[[Path], T], was: T) -> bool:
    """Whether a file is there, and what it was. Raises Unfit if it is kept from being read."""
    try:
        return _of(file, sign) == was
    except FileNotFoundError:
        return False


def _of(file: Path, sign: Callable[[Path], T]) -> T:
    """`sign(file)`. Raises FileNotFoundError, or Unfit, which says what is in the way."""
    try:
        return sign(file)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError from None
    except OSError as error:
        raise Unfit(f"{file} cannot be read: {error.strerror}") from None


def use(files: dict[str, Path]) -> None:
    """Let these be found first. Raises Unfit if their library cannot be loaded."""
    finder = cast(Any, Compiled(files))
    sys.meta_path.insert(0, finder)
    try:
        if SHARED in files:
            import_module(SHARED)
    except Exception as error:
        sys.meta_path.remove(finder)
        raise Unfit(f"the compiled build cannot be loaded: {one_line(str(error), 150)}") from None
