"""When too few are usable, those that are down are used as well."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PanicPolicy:
    """Panic."""

    threshold: float = 0.3
    """Usable share of a tier below which its down members are used too; zero is off."""
