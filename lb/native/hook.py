"""For hatchling, which makes wheels: one carries what can be compiled, and is pure if nothing can.

An editable install compiles nothing; `make build` does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledBuild(BuildHookInterface[Any]):
    """Adds the build of this Python to a wheel."""

    def dependencies(self) -> list[str]:
        """Nothing, where they would be of no use."""
        return ["mypy>=1.13", "setuptools>=75"] if self._room().wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        room = self._room()
        room.main()
        carried: list[Path] = room.to_carry()
        if carried:
            root = Path(self.root).resolve()
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["force_include"].update(
                {str(file): str(file.relative_to(root)) for file in carried}
            )

    def _room(self) -> ModuleType:
        """That of what is packed, which is not installed."""
        sys.path.insert(0, self.root)
        try:
            from lb.native import build
        finally:
            sys.path.remove(self.root)
        return build
