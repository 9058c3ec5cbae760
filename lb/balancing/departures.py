"""What was counted at backends that are not there any more, so that nothing gets lost of a sum.

Counts are kept by name for a while, in which somebody may look at them a last time, or a backend of
that name may come back; then under "", together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from lb.balancing.backend import Backend

KEPT = 900.0
"""Seconds that the name of a backend which has left is remembered."""
MOST = 100
"""Names that are remembered at once: backends may come and go for years, each under its own."""


@dataclass(frozen=True, slots=True)
class Counts:
    """All of a backend that adds up; see `BackendView`."""

    connections: int = 0
    """At one that has left: what has not ended yet."""
    picked: int = 0
    succeeded: int = 0
    failed: int = 0
    gone: int = 0
    cancelled: int = 0
    ejections: int = 0
    checks: int = 0
    checks_failed: int = 0
    checks_lost: int = 0
    went_down: int = 0


NAMES = tuple(field.name for field in fields(Counts))


def total(counts: Iterable[Counts]) -> Counts:
    """All of them together."""
    many = list(counts)
    return Counts(**{name: sum(getattr(it, name) for it in many) for name in NAMES})


def joined(parts: Iterable[Mapping[str, Counts]]) -> dict[str, Counts]:
    """Several books by name as one."""
    found: dict[str, Counts] = {}
    for part in parts:
        for name, counts in part.items():
            found[name] = total([found[name], counts]) if name in found else counts
    return found


class Recent:
    """Names of backends that have left lately: `KEPT` seconds ago at most, and `MOST` at most."""

    def __init__(self) -> None:
        self._over: dict[str, float] = {}  # who left last comes last

    def left(self, name: str, now: float) -> None:
        self._over.pop(name, None)
        self._over[name] = now + KEPT

    def over(self, now: float) -> list[str]:
        """Those who are so no more since this was asked last."""
        names = []
        while self._over:
            name, at = next(iter(self._over.items()))
            if at > now and len(self._over) <= MOST:
                break
            del self._over[name]
            names.append(name)
        return names


class Departures:
    """Of one balancer. Attempts at a backend that has left count until they have ended."""

    def __init__(self) -> None:
        self._leaving: list[Backend] = []  # these have something in flight yet
        self._counted: dict[str, Counts] = {}
        self._recent = Recent()

    def add(self, backend: Backend, present: Iterable[Backend], now: float) -> None:
        """A backend has left, and these are there."""
        self._leaving.append(backend)
        self._recent.left(backend.name, now)
        self._settle(present, now)

    def counts(self, present: Iterable[Backend], now: float) -> dict[str, Counts]:
        """By name, "" for those whose names are forgotten."""
        self._settle(present, now)
        return joined([self._counted, *({it.name: counts_of(it)} for it in self._leaving)])

    def _settle(self, present: Iterable[Backend], now: float) -> None:
        over = [it for it in self._leaving if not it.active]
        if over:
            self._leaving = [it for it in self._leaving if it.active]
            self._counted = joined([self._counted, *({it.name: counts_of(it)} for it in over)])
        names = self._recent.over(now)
        if names:
            self._forget(names, present, now)

    def _forget(self, names: list[str], present: Iterable[Backend], now: float) -> None:
        there, leaving = {it.name for it in present}, {it.name for it in self._leaving}
        for name in names:
            if name in leaving:
                self._recent.left(name, now)
            elif name not in there:
                self._counted = forgotten(self._counted, {name})


def forgotten(books: Mapping[str, Counts], names: set[str]) -> dict[str, Counts]:
    """The same with these names under ""."""
    return joined({"" if name in names else name: counts} for name, counts in books.items())


def counts_of(backend: Backend) -> Counts:
    """What was counted at one."""
    health = backend.health
    return Counts(
        backend.active,
        backend.picked,
        backend.succeeded,
        backend.failed,
        backend.gone,
        backend.cancelled,
        backend.ejections,
        health.checks,
        health.failed,
        health.lost,
        health.went_down,
    )
