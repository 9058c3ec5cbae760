"""Whose turn it is in an exchange: the acts of back-pressure, and the time limits they set.

At any time the backend owes something (`client.owed`), or the client has to read
(`timers.stalled`), or to send its body, for which its own connection has a limit.
"""

from __future__ import annotations

from abc import abstractmethod

from lb.balancing import Backend
from lb.proxy.context import Context
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.sides import ClientSide, UpstreamSide
from lb.proxy.timers import Timers
from lb.proxy.waits import INFINITY as NEVER


class Turns:
    """The part of an exchange that makes one side wait for the other."""

    __slots__ = ("_context", "_timers", "attempt", "client", "complete")

    _context: Context
    _timers: Timers
    attempt: Attempt | None
    client: ClientSide
    complete: bool
    """The whole request is here."""

    @property
    def _upstream(self) -> UpstreamSide:
        """The connection to the backend, in states that have one."""
        assert self.attempt is not None
        assert self.attempt.upstream is not None
        return self.attempt.upstream

    # --- events of time: see exchange.py

    @abstractmethod
    def recall(self, backend: Backend) -> None: ...

    @abstractmethod
    def silent(self) -> None: ...

    @abstractmethod
    def stalled(self) -> None: ...

    @abstractmethod
    def timed_out(self) -> None: ...

    # --- acts

    def _owed(self, now: float) -> None:
        """The backend owes (more of) an answer from now on."""
        timers = self._timers
        if timers.stalled.waiting:
            timers.stalled.stop(self)
        self.client.owed.start(now)

    def _settle(self) -> None:
        """Nobody owes anything."""
        timers = self._timers
        self.client.owed.since = NEVER
        if timers.stalled.waiting:
            timers.stalled.stop(self)

    def _close_account(self) -> None:
        """Nobody will ever owe anything again."""
        self._settle()
        if self._timers.total.waiting:
            self._timers.total.stop(self)

    def _hold_backend(self) -> None:
        self._upstream.pause_reading()
        self.client.owed.stop()
        self._timers.stalled.start(self, self._context.now())

    def _let_backend(self) -> None:
        self._upstream.resume_reading()
        self._owed(self._context.now())

    def _hold_tunnel(self) -> None:
        """What the client will read again resumes: see tunnel.py."""
        self._upstream.pause_reading()

    def _hold_client(self) -> None:
        self.client.pause_reading()
        self._owed(self._context.now())

    def _let_client_send(self) -> None:
        if not self.complete:
            self._settle()  # it is the client's turn
        self.client.resume_reading()

    def _let_client(self) -> None:
        self.client.resume_reading()
