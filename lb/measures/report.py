"""The report of a process that serves, and how reports of several add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lb.balancing import BackendView, Pick, Snapshot
from lb.balancing.departures import joined
from lb.measures.histogram import Spread
from lb.measures.requests import Durations, added

KEPT = 100
"""Picks that are explained, at most."""

COUNTS = ("connections", "picked", "succeeded", "failed", "gone", "cancelled", "ejections")
"""Of a backend, what adds up."""


@dataclass(frozen=True)
class Worker:
    """One process that serves."""

    pid: int
    started_at: float
    """Seconds since 1970."""
    clients: int
    """Connected."""
    requests: int
    lag: float
    """How late its event loop was when it was looked at last, seconds."""
    descriptors: int
    """Open."""


@dataclass(frozen=True)
class Connections:
    """To one backend."""

    busy: int
    """Those that carry a request, or are being made for one."""
    idle: int


@dataclass(frozen=True)
class Report:
    """What one process has to say, or all of them together."""

    build: str
    snapshot: Snapshot
    workers: tuple[Worker, ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)
    """Requests that the proxy told no by itself, by reason."""
    server: Durations = field(default_factory=dict)
    """Of requests, from the head to the last byte of the answer, or to the end of the handshake
    where the connection became a tunnel. What was not understood took no time."""
    client: Durations = field(default_factory=dict)
    """Of attempts, from the pick of a backend to the same end."""
    good: Spread = field(default_factory=Spread)
    """Of requests that ended well, whichever backend they had."""
    ends: Mapping[str, int] = field(default_factory=dict)
    """Requests by how they ended: "ok", or the code of what went wrong."""
    connections: Mapping[str, Connections] = field(default_factory=dict)
    """By backend."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """What was to be told and found no room: "access_log" (lines), "spans"."""
    certificates: Mapping[str, float] = field(default_factory=dict)
    """When each expires, seconds since 1970, by the file that it is in."""
    connections_refused: Mapping[str, int] = field(default_factory=dict)
    """Of clients, which came to nothing before any HTTP, by reason."""

    shadow: Mapping[str, Any] | None = None
    """What other algorithms would give, see `lb.workers.shadow`; None where nobody asks."""
    picks: tuple[Pick, ...] = ()
    """Why the last ones fell as they did, the oldest first, while somebody wants to know. `now` is
    the time of an event loop, which all processes of a machine share."""

    @property
    def lag(self) -> float:
        """Seconds, of the latest event loop."""
        return max((worker.lag for worker in self.workers), default=0.0)


def merged(reports: Sequence[Report]) -> Report:
    """All of them as one: counts add up, and of states the worst is told. Not for none.

    A backend is usable if one of them uses it.
    """
    first, *others = reports
    for other in others:
        first = _both(first, other)
    return first


def _both(one: Report, other: Report) -> Report:
    return replace(
        one,
        snapshot=_snapshots(one.snapshot, other.snapshot),
        workers=(*one.workers, *other.workers),
        refused=_sums(one.refused, other.refused),
        connections_refused=_sums(one.connections_refused, other.connections_refused),
        server=added(one.server, other.server),
        client=added(one.client, other.client),
        good=_spreads(one.good, other.good),
        ends=_sums(one.ends, other.ends),
        connections=_connections(one.connections, other.connections),
        dropped=_sums(one.dropped, other.dropped),
        picks=tuple(sorted((*one.picks, *other.picks), key=_time))[-KEPT:],
        certificates={**one.certificates, **other.certificates},
    )


def _time(pick: Pick) -> float:
    return pick.now


def _connections(
    one: Mapping[str, Connections], other: Mapping[str, Connections]
) -> dict[str, Connections]:
    found = dict(one)
    for name, theirs in other.items():
        ours = found.get(name, Connections(0, 0))
        found[name] = Connections(ours.busy + theirs.busy, ours.idle + theirs.idle)
    return found


def _spreads(one: Spread, other: Spread) -> Spread:
    both = one.copy()
    both.add(other)
    return both


def _sums(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _snapshots(one: Snapshot, other: Snapshot) -> Snapshot:
    theirs = {backend.name: backend for backend in other.backends}
    ours = {backend.name for backend in one.backends}
    backends = [
        _backends(backend, theirs[backend.name]) if backend.name in theirs else backend
        for backend in one.backends
    ]
    backends += [backend for backend in other.backends if backend.name not in ours]
    return replace(
        one,
        requests=one.requests + other.requests,
        retried=one.retried + other.retried,
        retry_budget=one.retry_budget + other.retry_budget,
        retry_refused=_sums(one.retry_refused, other.retry_refused),
        backing_off=one.backing_off + other.backing_off,
        hedged=one.hedged + other.hedged,
        hedges_won=one.hedges_won + other.hedges_won,
        hedge_refused=_sums(one.hedge_refused, other.hedge_refused),
        refused=_sums(one.refused, other.refused),
        turned_away=one.turned_away + other.turned_away,
        waiting=one.waiting + other.waiting,
        left_line=one.left_line + other.left_line,
        panic=one.panic or other.panic,
        shedding=max(one.shedding, other.shedding),
        ejections_withheld=one.ejections_withheld + other.ejections_withheld,
        backends=tuple(backends),
        departed=joined([one.departed, other.departed]),
    )


def _backends(one: BackendView, other: BackendView) -> BackendView:
    """The same one, seen by two."""
    times = [it.response_time for it in (one, other) if it.response_time is not None]
    limits = [it.max_in_flight for it in (one, other) if it.max_in_flight is not None]
    worse = one if (one.usable, not one.ejected) <= (other.usable, not other.ejected) else other
    usable = one.usable or other.usable  # somebody sends requests there
    merit = any(it.usable and not it.panic for it in (one, other))
    return replace(
        worse,
        usable=usable,
        panic=usable and not merit,
        **{name: getattr(one, name) + getattr(other, name) for name in COUNTS},
        max_in_flight=sum(limits) if len(limits) == 2 else None,
        response_time=sum(times) / len(times) if times else None,
    )
