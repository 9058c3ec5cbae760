"""One attempt at a call."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic

from lb.balancing.backend import Backend
from lb.balancing.call import C
from lb.native.marks import mypyc_attr
from lb.strategies import Outcome

OK = Outcome.OK  # reading a member off an Enum costs as much as a small method


@mypyc_attr(allow_interpreted_subclasses=True)
class Ending:
    """The part of a balancer that hears of the end of a lease."""

    @abstractmethod
    def give(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> bool:
        """Count an attempt at `backend` no more; True when that made room."""

    @abstractmethod
    def made_room(self, now: float) -> None:
        """Somebody who waits may go on."""

    @abstractmethod
    def broken(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> None:
        """An attempt at `backend` did not succeed; `latency` is in seconds to the first byte."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Lease(Generic[C]):
    """One attempt: `call` is at `backend` since `started_at`."""

    __slots__ = ("_balancer", "backend", "call", "open", "rival", "started_at")

    def __init__(self, balancer: Ending, call: C, backend: Backend, now: float) -> None:
        self._balancer = balancer
        self.call = call
        self.backend = backend
        self.started_at = now
        self.open = True
        self.rival: Lease[C] | None = None  # the other attempt at the call, see `rival_of`

    def __repr__(self) -> str:
        return f"<Lease of {self.backend.name} {'open' if self.open else 'done'}>"

    def done(self, now: float, outcome: Outcome = OK, first_byte: float | None = None) -> None:
        """End the attempt. Exactly once, after the last byte, on every path.

        `first_byte` is when the answer began; `now` stands in when there is no such time. After any
        end but a good one `wakes_at` may be another.
        """
        assert self.open, f"{self!r}: done() twice"
        self.open = False
        backend, balancer = self.backend, self._balancer
        latency = (now if first_byte is None else first_byte) - self.started_at
        if outcome is not OK:
            balancer.broken(backend, now, outcome, latency)
            return
        backend.succeeded += 1
        backend.measured(latency)
        if balancer.give(backend, now, outcome, latency):
            balancer.made_room(now)


def rival_of(lease: Lease[C]) -> Lease[C] | None:
    """The other attempt that is under way at the same call, if there is one."""
    rival = lease.rival
    return rival if rival is not None and rival.open else None


def pair(first: Lease[C], second: Lease[C]) -> None:
    """Two attempts at one call are under way."""
    first.rival, second.rival = second, first


def part(lease: Lease[C]) -> Lease[C] | None:
    """It is settled which of two attempts goes on; returns the other one, if it is under way."""
    rival = rival_of(lease)
    if rival is not None:
        lease.rival = rival.rival = None
    return rival
