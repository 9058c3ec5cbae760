"""Control: whatever somebody may want changed of a running balancer, each as one value.

An operator's command, a file that was read again and a name that resolves to other addresses all
become such values. They travel to other processes, and each is one input to each balancer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lb.balancing.backend import Backend
from lb.balancing.balancer import Balancer
from lb.balancing.settings import Settings, State
from lb.balancing.setup import Setup
from lb.errors import UnknownBackend, UsageError


@dataclass(frozen=True)
class Add:
    """One more backend."""

    settings: Settings


@dataclass(frozen=True)
class Remove:
    """No new calls go to the backend; those in flight end as they would."""

    backend: str
    """Its name."""


@dataclass(frozen=True)
class SetState:
    """What the operator wants of a backend."""

    backend: str
    state: State


@dataclass(frozen=True)
class SetWeight:
    """Another configured weight."""

    backend: str
    weight: float


@dataclass(frozen=True)
class Swap:
    """Another algorithm from the next pick on."""

    algorithm: str
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Apply:
    """Another setup altogether; backends of the same name and address forget nothing."""

    setup: Setup


Change = Add | Remove | SetState | SetWeight | Swap | Apply


def perform(balancer: Balancer[Any], change: Change, now: float) -> None:
    """Carry out one change. Raises UnknownBackend, UsageError, and changes nothing then."""
    match change:
        case Add(settings):
            if any(backend.name == settings.label for backend in balancer.pool.backends):
                raise UsageError(f"backend {settings.label!r} is there already")
            balancer.add(settings, now)
        case Remove(name):
            balancer.remove(named(balancer, name), now)
        case SetState(name, state):
            balancer.set_state(named(balancer, name), state, now)
        case SetWeight(name, weight):
            balancer.set_weight(named(balancer, name), weight, now)
        case Swap(algorithm, settings):
            balancer.swap(algorithm, settings, now)
        case _:
            balancer.apply(change.setup, now)


def named(balancer: Balancer[Any], name: str) -> Backend:
    """The backend of that name. Raises UnknownBackend, which tells the nearest."""
    for backend in balancer.pool.backends:
        if backend.name == name:
            return backend
    raise UnknownBackend(name, [backend.name for backend in balancer.pool.backends])
