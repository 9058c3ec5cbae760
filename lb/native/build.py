"""`python -m lb.native.build`: compile the hot rooms where that can be done, and say so in a line.

Whatever goes wrong leaves pure Python, which is why it is no error here; it is kept, and told by
whoever runs then. Nothing is done twice from the same sources by the same tools.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lb.native import compiling, modules, running
from lb.native.running import HERE, MANIFEST, PURE, ROOT, SOABI, digest

LOG = "build.log"
"""Beside the manifest: all that the tools said."""
C = "#include <Python.h>\nint main(void) { return PY_MAJOR_VERSION; }\n"
_SAYS_WHY = re.compile(r".*\berror: .*|\w*(Error|Exception): .*")


class CannotCompile(Exception):
    """Why not, in a line."""


def main() -> int:
    """0, whichever build there is afterwards."""
    if running.forced_pure():
        return 0
    command = compiler()
    try:
        if command is None:
            if "trouble" in _manifest():  # of one that has gone
                (HERE / MANIFEST).unlink()
            return 0
        made_from = {"tools": _tools(command), "sources": _sources()}
        if (before := _as_before(made_from)) is None:
            HERE.mkdir(parents=True, exist_ok=True)
            with (HERE / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                before = _as_before(made_from) or _made(command, made_from)
        print(f"lb: {before}")
    except (OSError, ValueError, SyntaxError) as error:
        print(f"lb: compiling failed: {error}; pure Python runs")
    except KeyboardInterrupt:
        return 130
    return 0


def wanted() -> bool:
    """Whether there is something to compile with, and pure Python is not asked for."""
    return not running.forced_pure() and compiler() is not None


def to_carry() -> list[Path]:
    """The files of a build that fits the sources; none if there is none, or none wanted."""
    manifest = _manifest()
    if running.forced_pure() or "trouble" in manifest or not _stands(manifest):
        return []
    return [HERE / MANIFEST, *(HERE / file for file, _ in manifest["modules"].values())]


def compiler() -> str | None:
    """The command of the C compiler that there is: the one asked for, Python's own, the usual."""
    own = str(sysconfig.get_config_var("CC") or "cc")
    for command in [os.environ["CC"]] if os.environ.get("CC") else [own, "cc", "gcc", "clang"]:
        if shutil.which(command.split()[0]) is not None:
            return command
    return None


def _as_before(made_from: dict[str, Any]) -> str | None:
    """What there is, if it was made, or tried, from the same."""
    manifest = _manifest()
    same = manifest.get("made_from") == made_from and _stands(manifest)
    return _told(manifest) if same else None


def _made(command: str, made_from: dict[str, Any]) -> str:
    """Build; what there is now."""
    before = _manifest()
    folder = Path(tempfile.mkdtemp(dir=HERE))
    try:
        manifest: dict[str, Any] = {"made_from": made_from, "python": SOABI}
        try:
            _probe(command, folder)
            built = _compile(command, folder)
            manifest |= {
                "compiler": made_from["tools"]["compiler"],
                "sources": made_from["sources"],
                "modules": {
                    name: [str(file.relative_to(HERE)), file.stat().st_size]
                    for name, file in built.items()
                },
            }
        except CannotCompile as why:
            manifest["trouble"] = f"compiling failed: {why}"
        written = folder / MANIFEST
        written.write_text(json.dumps(manifest, indent=1))
        written.replace(HERE / MANIFEST)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    # Who runs the one before may still load modules from it.
    _remove_all_but(*_folders(manifest), *_folders(before))
    return _told(manifest)


def _told(manifest: dict[str, Any]) -> str:
    if "trouble" in manifest:
        return f"{manifest['trouble']}; pure Python runs (all of it: {HERE / LOG})"
    return f"compiled, {len(manifest['modules'])} modules with {manifest['compiler']}"


def _tools(command: str) -> dict[str, str]:
    """What a build depends on beside the sources."""
    words = command.split()
    said = subprocess.run([*words, "--version"], capture_output=True, text=True, errors="replace")
    number = re.search(r"\d+(\.\d+)+", said.stdout)
    name = re.sub(r"^.*-(gcc|clang|cc)\b", r"\1", Path(words[0]).name)
    recipe = [Path(str(module.__file__)) for module in (modules, compiling)]
    return {
        "command": command,
        "compiler": f"{name} {number[0] if number else ''}".strip(),
        "python": sys.version,
        "mypy": _version("mypy"),
        "setuptools": _version("setuptools"),
        "recipe": " ".join(digest(file) for file in recipe),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _sources() -> dict[str, str]:
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


def _manifest() -> dict[str, Any]:
    """What was done before; nothing if that cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        manifest = json.loads((HERE / MANIFEST).read_bytes())
        if isinstance(manifest, dict):
            return manifest
    return {}


def _stands(manifest: dict[str, Any]) -> bool:
    """Whether it is still there as it was left: a failure always is."""
    if "trouble" in manifest:
        return True
    try:
        running.check(manifest)
    except (running.Unfit, TypeError, KeyError, AttributeError):
        return False
    return True


def _probe(command: str, folder: Path) -> None:
    """Whether the compiler and Python's headers work at all. Raises CannotCompile."""
    if not _version("mypy") or not _version("setuptools"):
        raise CannotCompile("mypy and setuptools are not both installed")
    source = folder / "probe.c"
    source.write_text(C)
    include = sysconfig.get_path("include")
    _run([*command.split(), f"-I{include}", "-c", str(source), "-o", str(folder / "probe.o")])
    source.unlink()
    (folder / "probe.o").unlink(missing_ok=True)


def _compile(command: str, folder: Path) -> dict[str, Path]:
    """The files by module. Raises CannotCompile."""
    own = sys.executable, "-m", compiling.__name__, str(folder)
    _run([*own], CC=command)
    shutil.rmtree(folder / "c", ignore_errors=True)
    return compiling.built(folder)


def _run(command: list[str], **environment: str) -> None:
    """Raises CannotCompile with the first line that says why."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    inherited = {**os.environ, "PYTHONPATH": path, PURE: "1", "LC_ALL": "C"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with contextlib.suppress(OSError):
        (HERE / LOG).write_text(done.stdout)
    if done.returncode != 0:
        said = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        why = [line for line in said if _SAYS_WHY.fullmatch(line)] or said[-1:]
        raise CannotCompile(why[0] if why else f"{command[0]} failed ({done.returncode})")


def _folders(manifest: dict[str, Any]) -> set[str]:
    """Those that a build lies in."""
    with contextlib.suppress(TypeError, ValueError, AttributeError):
        return {Path(file).parts[0] for file, _ in manifest.get("modules", {}).values()}
    return set()


def _remove_all_but(*kept: str) -> None:
    for other in HERE.iterdir():
        if other.is_dir() and other.name not in kept:
            shutil.rmtree(other, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
