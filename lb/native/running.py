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
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from sysconfig import get_config_var
from typing import Any, cast

ROOT = Path(__file__).parents[2]
"""Where the packages lie; sources are named from here."""
HERE = ROOT / "lb" / "native" / "built" / str(get_config_var("SOABI"))
"""What was compiled for this Python; one of another kind looks elsewhere."""
MANIFEST = "manifest.json"
PURE = "LB_PURE"
"""Set to anything but nothing or 0, this variable forces pure Python."""


@dataclass(frozen=True)
class Build:
    """What runs."""

    compiled: bool = False
    compiler: str = ""
    trouble: str = ""
    """Why it is not the compiled build, where there is one, or should be: for people."""

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


def digest(source: Path) -> str:
    """What tells one version of a source from another."""
    return sha256(source.read_bytes()).hexdigest()


def choose() -> Build:
    """Use what was compiled, if it fits; to be called once, before anything else is imported."""
    if os.environ.get(PURE, "0") not in ("", "0"):
        return Build()
    try:
        manifest = json.loads((HERE / MANIFEST).read_bytes())
    except FileNotFoundError:
        return Build()
    except (OSError, ValueError) as error:
        return Build(trouble=f"the compiled build cannot be read: {error}")
    if "trouble" in manifest:
        return Build(trouble=manifest["trouble"])
    for source, was in manifest["sources"].items():
        try:
            same = digest(ROOT / source) == was
        except OSError:
            same = False
        if not same:
            return Build(trouble=f"{source} has changed since it was compiled (make build)")
    files = {name: HERE / file for name, file in manifest["modules"].items()}
    sys.meta_path.insert(0, cast(Any, Compiled(files)))
    return Build(True, manifest["compiler"])
