"""For hatchling, which makes wheels: one carries what can be compiled, and is pure if nothing can.

An editable install compiles nothing; `make build` does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import which
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledBuild(BuildHookInterface[Any]):
    """Adds the build of this Python to a wheel."""

    def dependencies(self) -> list[str]:
        """Nothing, where they would be of no use."""
        compiles = any(which(command) for command in ("cc", "gcc", "clang"))
        return ["mypy>=1.13", "setuptools>=75"] if compiles else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        try:
            from lb.native import build

            build.main()
            carried = build.to_carry()
        finally:
            sys.path.remove(self.root)
        if carried:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["force_include"].update(
                {str(file): str(file.relative_to(Path(self.root).resolve())) for file in carried}
            )
