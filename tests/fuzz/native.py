"""The scanner in C, compiled from the source that is here, whichever build runs."""

from __future__ import annotations

import subprocess
import sysconfig
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from lb.native.modules import EXTENSIONS
from lb.native.origin import compiler
from lb.native.running import ROOT

NAME = "lb.proxy.http._scan"
WARNINGS = ("-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers")
SANITIZE = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")


def compiled(folder: Path, *flags: str) -> Path | None:
    """The library in `folder`; None where there is no compiler, or none that can do it."""
    command = compiler()
    if command is None:
        return None
    library = folder / "_scan.so"
    done = subprocess.run(
        [
            *(*command.split(), "-shared", "-fPIC", "-O1", *WARNINGS, "-Werror", *flags),
            *(f"-I{sysconfig.get_path('include')}", str(ROOT / EXTENSIONS[NAME])),
            *("-o", str(library)),
        ],
        capture_output=True,
        text=True,
    )
    if "Python.h" not in done.stderr and "sanitize" not in done.stderr:
        assert done.returncode == 0, done.stderr
    return library if done.returncode == 0 else None


def loaded(library: Path) -> Any:
    """What it calls `Native`."""
    spec = spec_from_file_location(NAME, library)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Native


def preload() -> str | None:
    """The sanitizer's library, which must be there before all others; None without one."""
    command = compiler()
    if command is None:
        return None
    asked = [*command.split(), "-print-file-name=libasan.so"]
    said = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    found = Path(said).is_absolute() and Path(said).read_bytes()[:4] == b"\x7fELF"
    return said if found else None  # some have a linker's script there
