"""Tiers and panic, as the file writes them: which backends come first, and when the last do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from lb.balancing import PanicPolicy, TierPolicy
from lb.config.model import BackendTable
from lb.config.values import Mistakes, Share, Table
from lb.errors import nearest


class Panic(Table):
    """When too few are usable; see PanicPolicy."""

    threshold: Share = PanicPolicy.threshold
    """Usable share of a tier below which its down members are used too; 0 is off."""


class Tiers(Table):
    """Priorities and zones; see TierPolicy."""

    local_zone: str = TierPolicy.local_zone
    """The balancer's own: of one priority, backends there come first."""
    overprovisioning: Annotated[float, Field(ge=1)] = TierPolicy.overprovisioning
    """A tier of which the share h is usable takes this times h of the traffic, and at most all."""


def check_priorities(backends: Sequence[BackendTable]) -> None:
    """Raise Mistakes unless somebody comes first."""
    first = min(backends, key=lambda row: row.priority)
    if first.priority:
        number = backends.index(first)
        why = f"no backend has priority 0, which comes first; give it to this one, {first.label}"
        raise Mistakes(((number, "priority"), why))


def check_zone(tiers: Tiers, backends: Sequence[BackendTable]) -> None:
    """Raise Mistakes for a zone of ours where nobody is."""
    zones = list(dict.fromkeys(row.zone for row in backends if row.zone))
    if tiers.local_zone and tiers.local_zone not in zones:
        hint = nearest(tiers.local_zone, zones) if zones else "none has a zone"
        raise Mistakes((("local_zone",), f"no backend is in zone {tiers.local_zone!r}; {hint}"))
