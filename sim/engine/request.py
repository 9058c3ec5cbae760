"""One request of the simulation."""

from __future__ import annotations

from typing import Protocol

from lb.balancing import Backend, Lease, Outcome
from sim.model.stations import INFINITY


class Home(Protocol):
    """Where a request came in, and where its answers go."""

    def answered(self, lease: Lease[Request], now: float, outcome: Outcome = ...) -> None:
        """The answer leaves the backend."""


class Request:
    """The simulator's `Call`."""

    key = b""
    tried: tuple[Backend, ...] = ()
    idempotent = True
    deadline = INFINITY

    def __init__(self, index: int, home: Home) -> None:
        self.index = index
        self.home = home
