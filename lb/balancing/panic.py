"""Who may be picked: those that are usable by their own merit or, in panic, the others as well.

A backend merits to be picked when the operator wants it, it does not drain, it is not ejected, and
its health is up. Those whose health is unknown do so only while none is known to be up.

Tiers that can take all traffic together (see spill.py) leave it at that. Where they cannot, a tier
with too few of that kind is in panic: what is left of it would break down under the load of all, so
its down and ejected members are given calls too, and some of those may well succeed. That excludes
those at which nobody listens, for there is nothing to succeed at.

Source: the panic threshold of Envoy's load balancers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lb.balancing.backend import Backend
from lb.balancing.health import Health
from lb.balancing.settings import State
from lb.balancing.spill import ALL, shares

UP, UNKNOWN = Health.UP, Health.UNKNOWN


@dataclass(frozen=True)
class PanicPolicy:
    """Panic."""

    threshold: float = 0.3
    """Usable share of a tier below which its down members are used too; zero is off."""


@dataclass(slots=True)
class Part:
    """What becomes of one tier."""

    usable: list[Backend]
    share: float = 0.0
    """Of the traffic; those of all tiers add up to 1 unless nobody is usable."""
    desperate: Sequence[Backend] = ()
    """Those of them that are so for want of others only."""

    @property
    def panic(self) -> bool:
        """Whether somebody is used who does not merit it."""
        return bool(self.desperate)


def parts(
    tiers: Sequence[Sequence[Backend]], overprovisioning: float, threshold: float
) -> list[Part]:
    """Who may be picked in each tier, and for what share of the traffic."""
    found = [Part(_fit(tier, UP)) for tier in tiers]
    known = any(part.usable for part in found)
    if not known:
        found = [Part(_fit(tier, UNKNOWN)) for tier in tiers]
    capacities = [
        _capacity(len(part.usable), tier, known, overprovisioning)
        for part, tier in zip(found, tiers, strict=True)
    ]
    if sum(capacities) < ALL - 1e-9:  # what rounding may take away
        for part, tier in zip(found, tiers, strict=True):
            _panic(part, tier, known, threshold)
        if all(part.panic for part in found if part.usable):
            # Health says nothing any more: as many calls as there are backends.
            total = sum(len(part.usable) for part in found)
            capacities = [len(part.usable) / total if total else 0.0 for part in found]
    for part, share in zip(found, shares(capacities), strict=True):
        part.share = share
    return found


def _fit(tier: Sequence[Backend], health: Health) -> list[Backend]:
    """Those who merit to be picked where this health is enough."""
    wanted = State.UP
    return [
        it
        for it in tier
        if it.health.state is health and it.state is wanted and not it.draining and not it.ejected
    ]


def _capacity(usable: int, tier: Sequence[Backend], known: bool, overprovisioning: float) -> float:
    """What a tier can take; where some are known to be up, the unknown do not count."""
    if not usable or usable == len(tier):
        return ALL if usable else 0.0
    size = sum(it.health.state is not UNKNOWN for it in tier) if known else len(tier)
    return min(ALL, overprovisioning * usable / size)


def _panic(part: Part, tier: Sequence[Backend], known: bool, threshold: float) -> None:
    """Let a tier have its other members, if too few of those that are wanted are usable."""
    wanted = [it for it in tier if it.state is State.UP and not it.draining]
    if known:
        wanted = [it for it in wanted if it.health.state is not UNKNOWN]
    if len(part.usable) < threshold * len(wanted):
        merit = set(part.usable)
        part.desperate = [
            it
            for it in wanted
            if it not in merit and it.health.state is not UNKNOWN and not it.refusing
        ]
        part.usable = [*part.usable, *part.desperate]
