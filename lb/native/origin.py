"""What a build is made from: the sources, the C compiler and the other tools."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lb.native import compiling, modules
from lb.native.running import ROOT, digest


def asked_for() -> str:
    """The command of the compiler that somebody named, or nothing."""
    return os.environ.get("CC", "").strip()


def compiler() -> str | None:
    """The command of the C compiler that there is: the one asked for, Python's own, the usual."""
    own = str(sysconfig.get_config_var("CC") or "cc")
    for command in [asked_for()] if asked_for() else [own, "cc", "gcc", "clang"]:
        if shutil.which(command.split()[0]) is not None:
            return command
    return None


def tools(command: str) -> dict[str, str]:
    """What a build depends on beside the sources. Raises OSError."""
    words = command.split()
    said = subprocess.run(
        [*words, "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    number = re.search(r"\d+(\.\d+)+", said.stdout)
    name = re.sub(r"^.*-(gcc|clang|cc)\b", r"\1", Path(words[0]).name)
    recipe = [Path(str(module.__file__)) for module in (modules, compiling)]
    return {
        "command": command,
        "compiler": f"{name} {number[0] if number else ''}".strip(),
        "python": sys.version,
        "mypy": installed("mypy"),
        "setuptools": installed("setuptools"),
        "recipe": " ".join(digest(file) for file in recipe),
    }


def installed(package: str) -> str:
    """The version of a package, or nothing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def sources() -> dict[str, str]:
    """The digests of what is compiled, and of where it takes constants from: mypyc copies those."""
    listed = modules.sources()
    seen = dict.fromkeys(listed)
    todo = list(listed)
    while todo:
        for other in _imported(ROOT / todo.pop()):
            if other not in seen:
                seen[other] = None
                todo.append(other)
    constant = [
        file for file in seen if file in listed or "Final" in (ROOT / file).read_text("utf-8")
    ]
    own = [file for file in modules.EXTENSIONS.values() if (ROOT / file).exists()]
    return {file: digest(ROOT / file) for file in [*listed, *sorted({*constant} - {*listed}), *own]}


def _imported(file: Path) -> Iterator[str]:
    """The files of ours that one imports at its top."""
    for node in ast.parse(file.read_bytes(), file).body:
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
            if name.split(".")[0] in ("lb", "sim"):
                path = name.replace(".", "/")
                yield from (
                    found
                    for found in (f"{path}.py", f"{path}/__init__.py")
                    if (ROOT / found).exists()
                )
