"""The scenario that ships inside the package: what runs when no file is given."""

from __future__ import annotations

from importlib.resources import files

from lb.config import Scenario

BUILT_IN = files("sim").joinpath("built_in.toml").read_text(encoding="utf-8")


def built_in() -> Scenario:
    """Three backends of thirty workers, one of them half as fast and weighted so; load 0.6."""
    return Scenario.parse(BUILT_IN, "built-in scenario")
