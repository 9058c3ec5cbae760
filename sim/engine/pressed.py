"""A dispatcher under pressure: hedges, answers that are tried elsewhere, limits of a whole request.

What is started or cancelled the balancer says; here stands when it is told and asked.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from lb.balancing import Lease, Outcome
from lb.balancing.lease import rival_of
from sim.analysis.record import Late
from sim.engine.alarms import Alarm
from sim.engine.clients import Attended
from sim.engine.dispatcher import OK
from sim.engine.request import Request


class Pressed(Attended):
    """`total` is how long a request may take, from its arrival to its answer; None is for ever."""

    def __init__(self, *world: Any, total: float | None, **clients: Any) -> None:
        """`world` and `clients` are what `Attended` takes."""
        super().__init__(*world, **clients)
        self._total = total
        self._admit = self._admitted
        self._limited: deque[Request] = deque()
        self._limit = Alarm(self._run_out)

    def _admitted(self, request: Request, now: float) -> Lease[Request] | None:
        if self._total is not None:
            request.deadline = now + self._total
            if not self._limited:
                self._timeline.set(self._limit, request.deadline)
            self._limited.append(request)
        lease = self.balancer.admit(request, now)
        self.drain(now)  # a hedge may fall due before anything else happens
        return lease

    def _send(self, lease: Lease[Request], now: float) -> None:
        self._journal.hedged += rival_of(lease) is not None
        super()._send(lease, now)

    def end(
        self,
        lease: Lease[Request],
        now: float,
        outcome: Outcome = OK,
        reached: float | None = None,
    ) -> None:
        """The answer is here; does it stand, and whose other attempt does it end?"""
        balancer, request = self.balancer, lease.call
        if lease.open and outcome in (OK, Outcome.SERVER_ERROR):
            if (
                outcome is not OK
                and balancer.doubts(lease, request.status)
                and balancer.declined(lease, now, request.status)
            ):
                left = now - self._ways_of(lease)[1]
                self._lose(lease, now, left if reached is None else reached, left)
                self.drain(now)
                return
            if balancer.hedging:
                balancer.answered(lease, now)
                self.drain(now)
        super().end(lease, now, outcome, reached)

    def _run_out(self, now: float) -> None:
        limited = self._limited
        while limited and limited[0].deadline <= now:
            self._too_late(limited.popleft(), now)
        if limited:
            self._timeline.set(self._limit, limited[0].deadline)
        self.drain(now)

    def _too_late(self, request: Request, now: float) -> None:
        """Its time is over, if it is still here."""
        under_way = [lease for lease in request.leases if lease.open]
        for lease in under_way:
            self._give_up(lease, now)
            lease.done(now, Outcome.TIMEOUT)
        if under_way or self.balancer.abandoned(request):
            self._refuse(request, now, Late.TOO_LATE)
