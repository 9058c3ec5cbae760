"""One request of the simulation."""

from __future__ import annotations

from typing import Protocol

from lb.balancing import Backend, Lease, Outcome
from sim.model.stations import INFINITY


class Home(Protocol):
    """Where a request came in, and where its answers go."""

    def answered(
        self,
        lease: Lease[Request],
        now: float,
        outcome: Outcome = Outcome.OK,
        reached: float | None = None,
    ) -> None:
        """The answer leaves the backend, or the news that there will be none.

        `reached`: since when it was worked at, when that did not bring success.
        """


class Request:
    """The simulator's `Call`. Who makes one sets `index` and `home`: a constructor would double its
    cost, which is paid for every request.
    """

    index: int
    """Its number in the world."""
    home: Home
    key = b""
    tried: tuple[Backend, ...] = ()
    idempotent = True
    safe = True
    leases: tuple[Lease[Request], ...] = ()
    """Every attempt; kept where clients may leave, or requests take too long."""
    failures = 0
    """How often its client has come before."""
    deadline = INFINITY
    status = 503
    """What an answer says that is an error of the backend."""
