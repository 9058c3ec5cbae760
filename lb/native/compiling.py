"""`python -m lb.native.compiling FOLDER`: mypyc and the C compiler, in a process of their own.

They print, call sys.exit and change the working folder; `build` reads what they say.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from lb.native import running
from lb.native.modules import EXTENSIONS, sources

OPTIMISE = "3"
"""Of gcc 12 on the decisions' 55 modules, -O2 and -O3 take the same (30 s), -O1 18 s."""
MYPY = (
    "--config-file=",
    "--ignore-missing-imports",
    "--follow-imports=silent",
    "--cache-dir=.mypy_cache/mypyc",  # not the linter's, whose options are others
)
FAILED = "the compiler "
"""How the line begins that says how a compiler ended, after what it said itself."""


def compile_into(folder: Path) -> None:
    """All that is listed, to be called in the root of the project. Raises whatever its tools do."""
    from mypyc.build import mypycify
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    # One C file, not one a module: calls between modules can be inlined, and the compiler takes as
    # long (two at a time would take half; the shims beside it use the second core).
    extensions: list[Any] = mypycify(
        [*MYPY, *sources()],
        group_name=running.SHARED.removesuffix("__mypyc"),
        target_dir=str(folder / "c"),
        opt_level=OPTIMISE,
        debug_level="0",
    )
    extensions += [
        Extension(name, [source], extra_compile_args=[f"-O{OPTIMISE}", "-g0"])
        for name, source in EXTENSIONS.items()
        if Path(source).exists()
    ]
    for extension in extensions:
        extension.extra_compile_args.append("-Wno-error")  # what a newer compiler warns of
    command: Any = build_ext(Distribution({"name": "lb", "ext_modules": extensions}))
    command.build_lib, command.build_temp = str(folder), str(folder / "c")
    command.parallel = os.cpu_count()
    command.ensure_finalized()
    command.run()


def built(folder: Path) -> dict[str, Path]:
    """The files in `folder` by the modules that they are."""
    suffix = f".{running.SOABI}.so"
    return {
        ".".join(file.relative_to(folder).parts).removesuffix(suffix): file
        for file in sorted(folder.rglob(f"*{suffix}"))
    }


def expected() -> list[str]:
    """The modules that a whole build has."""
    compiled = [source.removesuffix(".py").replace("/", ".") for source in sources()]
    own = [name for name, source in EXTENSIONS.items() if (running.ROOT / source).exists()]
    return [running.SHARED, *compiled, *own]


def try_out(modules: dict[str, Path]) -> None:
    """Import all of it. Raises Unfit or ImportError, or what a module raises."""
    running.use(modules)
    for name in modules:
        import_module(name)


def main(folder: Path) -> None:
    """Compile and try it out; exits with a line after what a compiler said that failed."""
    from setuptools.errors import BaseError, CCompilerError

    try:
        compile_into(folder)
    except (BaseError, CCompilerError) as error:
        # The command itself may be some thousand letters long.
        how = re.sub(
            r"^command ('.*?'|'?\[.*\]'?) ", "", str(error), flags=re.IGNORECASE | re.DOTALL
        )
        sys.exit(f"{FAILED}{how}")
    try_out(built(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
