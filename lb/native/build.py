"""`python -m lb.native.build`: compile the hot rooms where that can be done, and say so in a line.

Whatever goes wrong leaves what ran before, which is why it is no error here; where that is pure
Python, it is kept, and told by whoever runs then. Nothing is done twice from the same sources by
the same tools.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from lb.native import compiling, origin, running
from lb.native.running import HERE, MANIFEST, PURE, ROOT, SOABI, Unfit, checksum, one_line

LOG = "build.log"
"""Beside the manifest: all that the tools said."""
C = "#include <Python.h>\nint main(void) { return PY_MAJOR_VERSION; }\n"
LONGEST = 150
"""Characters of a reason."""
_SAYS_WHY = re.compile(r".*\berror: .*|[\w.]*(Error|Exception): .*")
_SAYS_NOTHING = re.compile(r".*: (warning|note): .*")


class CannotCompile(Exception):
    """Why not, in a line."""


def main() -> int:
    """0, whichever build there is afterwards."""
    if running.forced_pure():
        return 0
    command = origin.compiler()
    try:
        if command is None:
            said = _without()
        else:
            made_from = {"tools": origin.tools(command), "sources": origin.sources()}
            said = _as_before(made_from) or _locked(command, made_from)
    except (OSError, ValueError, SyntaxError, RecursionError) as error:
        said = f"compiling failed: {one_line(str(error), LONGEST)}; {_still_runs()}"
    except KeyboardInterrupt:
        return 130
    if said:
        _say(said)
    return 0


def wanted() -> bool:
    """Whether there is something to compile with, and pure Python is not asked for."""
    return not running.forced_pure() and origin.compiler() is not None


def to_carry() -> list[Path]:
    """The files of a build that fits the sources; none if there is none, or none wanted."""
    manifest = _manifest()
    if running.forced_pure() or not _fits(manifest):
        return []
    return [HERE / MANIFEST, *(HERE / file for file, _ in manifest["modules"].values())]


def _say(line: str) -> None:
    """At once, and in whatever letters the terminal has; where nobody reads it is not said."""
    letters = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(f"lb: {line}".encode(letters, "replace").decode(letters), flush=True)
    except OSError:  # a full disk, a closed pipe: what is left of the line goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _without() -> str:
    """What there is to say where there is no compiler, and so nobody to mend what does not fit."""
    if _fits(_manifest()):
        told = _which_runs()
    else:
        _remove(HERE / MANIFEST)
        told = ""
    named = one_line(origin.asked_for(), LONGEST)
    return f"there is no compiler {named}; {_still_runs()}" if named else told


def _locked(command: str, made_from: dict[str, Any]) -> str:
    """Build, unless another has just done so; what there is now."""
    HERE.mkdir(parents=True, exist_ok=True)
    with (HERE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _as_before(made_from) or _made(command, made_from)


def _as_before(made_from: dict[str, Any]) -> str | None:
    """What there is, if it was made, or tried, from the same."""
    manifest = _manifest()
    if _fits(manifest) and manifest.get("made_from") == made_from:
        return _which_runs()
    tried = manifest.get("tried")
    known = isinstance(tried, dict) and tried.get("from") == made_from
    if known and ("trouble" in manifest or _fits(manifest)):
        return _told(str(manifest["tried"].get("trouble")))
    return None


def _made(command: str, made_from: dict[str, Any]) -> str:
    """Build; what there is now. What fits the sources stays where nothing better can be had."""
    before = _manifest()
    folder = HERE / f"{time.time_ns():x}"  # not a private one: whoever reads the sources may use it
    folder.mkdir()
    _remove(HERE / LOG)
    trouble = ""
    try:
        try:
            _probe(command, folder)
            _say(f"compiling with {one_line(made_from['tools']['compiler'])}, a minute or two")
            manifest = {
                "made_from": made_from,
                "python": SOABI,
                "compiler": made_from["tools"]["compiler"],
                "sources": made_from["sources"],
                "modules": {
                    name: [str(file.relative_to(HERE)), checksum(file)]
                    for name, file in _compile(command, folder).items()
                },
            }
        except CannotCompile as why:
            trouble = f"compiling failed: {one_line(str(why), LONGEST)}"
            manifest = before if _fits(before) else {"trouble": trouble}
            manifest = manifest | {"tried": {"from": made_from, "trouble": trouble}}
        written = folder / MANIFEST
        written.write_text(json.dumps(manifest, indent=1))
        _keep(folder)
        if (HERE / MANIFEST).is_dir():
            _remove(HERE / MANIFEST)
        written.replace(HERE / MANIFEST)
    except BaseException:
        _remove(folder)
        raise
    # Who runs the one before may still load modules from it.
    _remove_all_but(*_folders(manifest), *_folders(before))
    return _told(trouble)


def _told(trouble: str) -> str:
    """In a line; where it is not all, where the rest is."""
    if not trouble:
        return _which_runs()
    rest = f" (all of it: {HERE / LOG})" if (HERE / LOG).exists() else ""
    return f"{one_line(trouble)}; {_still_runs()}{rest}"


def _which_runs() -> str:
    manifest = _manifest()
    if not _fits(manifest):
        return "pure Python runs"
    return f"compiled, {len(manifest['modules'])} modules with {one_line(manifest['compiler'])}"


def _still_runs() -> str:
    """After trouble."""
    return "what was compiled before runs" if _fits(_manifest()) else "pure Python runs"


def _manifest() -> dict[str, Any]:
    """What was done before; nothing if that cannot be read."""
    with contextlib.suppress(OSError, Unfit):
        manifest = running.manifest()
        if isinstance(manifest, dict):
            return manifest
    return {}


def _fits(manifest: dict[str, Any]) -> bool:
    """Whether it is of a build that would be used."""
    try:
        running.check(manifest)
    except Unfit:
        return False
    return True


def _probe(command: str, folder: Path) -> None:
    """Whether the compiler and Python's headers work at all. Raises CannotCompile."""
    if not origin.installed("mypy") or not origin.installed("setuptools"):
        raise CannotCompile("mypy and setuptools are not both installed")
    source = folder / "probe.c"
    source.write_text(C)
    include = sysconfig.get_path("include")
    _run([*command.split(), f"-I{include}", "-c", str(source), "-o", str(folder / "probe.o")])
    source.unlink()
    (folder / "probe.o").unlink(missing_ok=True)


def _compile(command: str, folder: Path) -> dict[str, Path]:
    """The files by module. Raises CannotCompile."""
    _run([sys.executable, "-m", compiling.__name__, str(folder)], CC=command)
    _remove(folder / "c")
    built = compiling.built(folder)
    for name in compiling.expected():
        if name not in built:
            raise CannotCompile(f"{command} has left no {name}")
    return built


def _run(command: list[str], **environment: str) -> None:
    """Raises CannotCompile with the first line that says why, or the last one."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    # Unbuffered, so that what it says itself stands where it was said between the compiler's words.
    own = {"PYTHONPATH": path, PURE: "1", "LC_ALL": "C", "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **own, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    with contextlib.suppress(OSError):
        (HERE / LOG).write_text(done.stdout, "utf-8")
    if done.returncode != 0:
        lines = (line.strip() for line in done.stdout.splitlines())
        said = [line for line in lines if line and not _SAYS_NOTHING.fullmatch(line)]
        own_last = [line for line in said if not line.startswith(compiling.FAILED)] or said
        why = [line for line in said if _SAYS_WHY.fullmatch(line)] or own_last[-1:]
        raise CannotCompile(why[0] if why else f"{command[0]} failed ({done.returncode})")


def _keep(folder: Path) -> None:
    """On the disk, before anything says that it is there."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _folders(manifest: dict[str, Any]) -> set[str]:
    """Those that a build lies in."""
    with contextlib.suppress(TypeError, ValueError, AttributeError, IndexError):
        return {Path(file).parts[0] for file, _ in manifest.get("modules", {}).values()}
    return set()


def _remove_all_but(*kept: str) -> None:
    for other in HERE.iterdir():
        if other.is_dir() and other.name not in kept:
            _remove(other)


def _remove(path: Path) -> None:
    """A file or a folder, if it is there and may be removed."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


if __name__ == "__main__":
    sys.exit(main())
