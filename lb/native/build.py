"""`python -m lb.native.build`: compile the hot rooms where that can be done, and say so in a line.

Whatever goes wrong leaves pure Python, which is why it is no error here; it is kept, and told by
whoever runs then.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from lb.native.modules import sources
from lb.native.running import HERE, MANIFEST, ROOT, digest

GROUP = "lb"
"""Compiled modules share one library, whose name begins so."""


class CannotCompile(Exception):
    """Why not, in a few words."""


def compiler() -> str:
    """The C compiler and its version. Raises CannotCompile."""
    words = str(sysconfig.get_config_var("CC") or "cc").split()
    command = os.environ.get("CC", words[0])
    if shutil.which(command.split()[0]) is None:
        raise CannotCompile("")
    said = subprocess.run([*command.split(), "--version"], capture_output=True, text=True)
    version = re.search(r"\d+(\.\d+)+", said.stdout)
    return f"{Path(command).name} {version[0] if version else ''}".strip()


def compile_all(into: Path) -> dict[str, str]:
    """Compile; returns the files by module. Raises CannotCompile."""
    try:
        from mypyc.build import mypycify
        from setuptools import Distribution
        from setuptools.command.build_ext import build_ext
    except ImportError:
        raise CannotCompile("mypyc is not installed") from None
    files = sources()
    with contextlib.chdir(ROOT), tempfile.TemporaryDirectory() as temporary:
        extensions: list[Any] = mypycify(
            ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent", *files],
            group_name=GROUP,
            target_dir=temporary,
            opt_level="3",
            debug_level="0",
        )
        command = build_ext(Distribution({"name": "lb", "ext_modules": extensions}))
        command.build_lib = str(into)
        command.build_temp = temporary
        command.ensure_finalized()
        command.run()
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    return {
        str(file.relative_to(into)).removesuffix(suffix).replace(os.sep, "."): str(
            file.relative_to(into)
        )
        for file in sorted(into.rglob(f"*{suffix}"))
    }


def main() -> int:
    """0, whichever build there is afterwards."""
    shutil.rmtree(HERE, ignore_errors=True)
    try:
        by = compiler()
        with tempfile.TemporaryDirectory(dir=_beside()) as folder:
            modules = compile_all(Path(folder))
            manifest = {
                "compiler": by,
                "sources": {source: digest(ROOT / source) for source in sources()},
                "modules": modules,
            }
            Path(folder, MANIFEST).write_text(json.dumps(manifest, indent=1))
            Path(folder).rename(HERE)
            Path(folder).mkdir()  # which is removed
    except CannotCompile as why:
        print(f"lb: {why}")
        return 0
    print(f"lb: compiled {len(modules)} modules with {by}")
    return 0


def _beside() -> Path:
    HERE.parent.mkdir(parents=True, exist_ok=True)
    return HERE.parent


if __name__ == "__main__":
    sys.exit(main())
