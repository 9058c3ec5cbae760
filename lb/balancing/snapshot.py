"""What a balancer knows at one moment, for endpoints and everything else that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lb.balancing.backend import UNLIMITED, Backend
from lb.balancing.departures import NAMES, Counts
from lb.balancing.extra import ExtraAttempts
from lb.balancing.fleet import Fleet


@dataclass(frozen=True, slots=True)
class BackendView:
    """One backend. `picked` = `succeeded` + `failed` + `gone` + `cancelled` + `connections`."""

    name: str
    address: str
    state: str
    """In one word: an operator's wish first, then health."""
    healthy: bool
    """Its checks say it is up, and the operator wants it up."""
    usable: bool
    """It may be picked, limits aside."""
    panic: bool
    """It is usable for want of others only."""
    draining: bool
    """It is given nobody but those who are at home there: an operator, or itself, says so."""
    priority: int
    zone: str
    weight: float
    """As configured."""
    effective_weight: float
    connections: int
    """Requests in flight, connecting included."""
    max_in_flight: int | None
    """As many may be at present; None without a limit."""
    picked: int
    succeeded: int
    failed: int
    gone: int
    """Attempts whose client did not wait for the end."""
    cancelled: int
    """Attempts that were ended from here, or could not be made for want of our own."""
    response_time: float | None
    """Smoothed seconds to the first byte; None when nothing was measured."""
    ejected: bool
    ejections: int
    ejected_for: float | None
    """Seconds left; None while it is not ejected."""
    last_check: float | None
    """Seconds ago; None before the first."""
    why: str
    """What the last check said."""
    checks: int
    """Health checks that were answered, well or not."""
    checks_failed: int
    """Those of them that were not well."""
    checks_lost: int
    """Checks that could not be made for want of our own."""
    went_down: int
    """How often its health has gone down."""
    last_change: float | None
    """Seconds since its health went up or down; None before the first time."""
    change: str
    """What was said when it did."""

    @property
    def counts(self) -> Counts:
        """What adds up."""
        return Counts(**{name: getattr(self, name) for name in NAMES})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole.

    `requests` + `retried` + `hedged` = the sum of `picked`, of `backends` and `departed`, +
    `turned_away` + `left_line` + `waiting`.
    """

    algorithm: str
    settings: Mapping[str, object]
    requests: int
    """Calls admitted."""
    retried: int
    """Attempts beyond a call's first that followed one which broke."""
    retry_budget: float
    """Attempts beyond a call's first that may follow at once."""
    retry_refused: Mapping[str, int]
    """Attempts that broke and were not followed by another, by reason; see `Refusal`."""
    backing_off: int
    """Calls between two tries."""
    hedged: int
    """Attempts beside another one that took long."""
    hedges_won: int
    """Those of them that answered first."""
    hedge_refused: Mapping[str, int]
    """Attempts that took long and got none beside them, by reason."""
    refused: Mapping[str, int]
    """Calls that were told no, by reason; those without an attempt and those after one."""
    turned_away: int
    """Calls that were told no without an attempt."""
    waiting: int
    left_line: int
    """Calls whose client left while they waited."""
    panic: bool
    """So few are usable that others are used as well."""
    shedding: float
    """Share of the calls that is refused because the event loop is late."""
    ejections_withheld: int
    """Ejections that were due while as many were out as may be."""
    backends: tuple[BackendView, ...]
    departed: Mapping[str, Counts]
    """What was counted at backends that have left, by name: "" for those long ago. One of the same
    name may be among `backends` again, which has counted from 0."""


def taken(fleet: Fleet, extra: ExtraAttempts[Any], now: float, **calls: Any) -> Snapshot:
    """Of a balancer; `calls` are what it has counted of them itself."""
    return Snapshot(
        algorithm=fleet.setup.algorithm,
        settings=fleet.setup.settings,
        retried=extra.retried,
        retry_budget=extra.budget_left(now),
        retry_refused=dict(extra.retries.refused),
        backing_off=len(extra.pauses),
        hedged=extra.hedges.started,
        hedges_won=extra.hedges.won,
        hedge_refused=dict(extra.hedges.refused),
        panic=fleet.pool.panic,
        ejections_withheld=fleet.outliers.withheld,
        backends=tuple(view(backend, now) for backend in fleet.pool.backends),
        departed=fleet.departures.counts(fleet.pool.backends, now),
        **calls,
    )


def view(backend: Backend, now: float) -> BackendView:
    """How a backend is at `now`."""
    checked_at, health = backend.checked_at, backend.health
    return BackendView(
        name=backend.name,
        address=backend.address,
        state=backend.standing,
        healthy=backend.healthy,
        usable=backend.usable,
        panic=backend.desperate,
        draining=backend.drains,
        priority=backend.priority,
        zone=backend.zone,
        weight=backend.configured_weight,
        effective_weight=backend.weight,
        connections=backend.active,
        max_in_flight=None if backend.limit == UNLIMITED else backend.limit,
        picked=backend.picked,
        succeeded=backend.succeeded,
        failed=backend.failed,
        gone=backend.gone,
        cancelled=backend.cancelled,
        response_time=backend.response_time,
        ejected=backend.ejected,
        ejections=backend.ejections,
        ejected_for=backend.ejected_until - now if backend.ejected else None,
        last_check=None if checked_at is None else now - checked_at,
        why=backend.why,
        checks=health.checks,
        checks_failed=health.failed,
        checks_lost=health.lost,
        went_down=health.went_down,
        last_change=None if health.changed_at is None else now - health.changed_at,
        change=health.change,
    )
