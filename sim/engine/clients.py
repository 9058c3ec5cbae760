"""Clients that leave, and clients that come again: a dispatcher that sees to them.

A client whose request failed comes again as another request of the same entry in the journal, so
its latency counts from its first try. One who leaves is gone and comes no more.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from lb.balancing import Lease, Outcome
from sim.analysis.record import Reason
from sim.engine.alarms import Alarm
from sim.engine.dispatcher import OK, Dispatcher
from sim.engine.request import Request

BACK_OFF = 0.1
"""Seconds from a client's first failure to its next try; every further time twice as long."""


def back_off(failures: int) -> float:
    """Seconds between a client's last failure, of so many, and its next try."""
    return BACK_OFF * 2.0 ** (failures - 1)


class Attended(Dispatcher):
    """A dispatcher whose clients have their own mind.

    `patience` holds seconds by the index of a request; it is empty where everybody waits for ever.
    Backends that have `noticed` end what nobody waits for, see `Reneging`.
    """

    def __init__(
        self, *world: Any, patience: list[float], retries: int, noticed: bool, cancels: bool
    ) -> None:
        """`world` is what any dispatcher takes."""
        super().__init__(*world)
        self._patience = patience
        self._retries = retries
        self._noticed, self._cancels = noticed, cancels
        self._here: dict[int, Request] = {}
        """Those with limited patience, by index, until their time is over or they are refused."""

    def arrive(self, request: Request, now: float) -> None:
        """A client comes for the first time."""
        if self._patience:
            index = request.index
            self._here[index] = request
            self._timeline.set(Alarm(partial(self._leave, index)), now + self._patience[index])
        self._enter(request, now)

    def _enter(self, request: Request, now: float) -> None:
        """It comes to the balancer."""
        super().arrive(request, now)

    def _send(self, lease: Lease[Request], now: float) -> None:
        lease.call.leases += (lease,)
        super()._send(lease, now)

    def end(
        self,
        lease: Lease[Request],
        now: float,
        outcome: Outcome = OK,
        reached: float | None = None,
    ) -> None:
        stands = lease.open and outcome is OK
        super().end(lease, now, outcome, reached)
        if stands:
            self._forget(lease.call)

    def _forget(self, request: Request) -> None:
        """It has ended. What it holds and what holds it would stay for ever: nobody looks for
        garbage while a world runs.
        """
        self._here.pop(request.index, None)
        request.leases = ()

    def _refuse(self, request: Request, now: float, why: Reason) -> None:
        if request.failures < self._retries:
            request.leases = ()
            again = now + back_off(request.failures + 1)
            self._timeline.set(Alarm(partial(self._come_again, request)), again)
        else:
            self._forget(request)
            super()._refuse(request, now, why)

    def _come_again(self, request: Request, now: float) -> None:
        index = request.index
        if self._patience and index not in self._here:
            return  # it has left meanwhile
        again = Request()
        again.index, again.home, again.key = index, request.home, request.key
        again.failures = request.failures + 1
        if self._patience:
            self._here[index] = again
        self._journal.came_again += 1
        self._enter(again, now)

    def _leave(self, index: int, now: float) -> None:
        """Its time is over, if it is still here."""
        request = self._here.pop(index, None)
        if request is None or math.isfinite(self._journal.ended[index]):
            return
        self.balancer.abandoned(request)
        for lease in request.leases:
            if lease.open:
                self._give_up(lease, now)
                lease.done(now, Outcome.CLIENT_GONE)
        self._forget(request)
        self._journal.refuse(request, now, Outcome.CLIENT_GONE)
        if self._out:
            self.drain(now)

    def _give_up(self, lease: Lease[Request], now: float) -> None:
        """Its connection closes, which a backend may notice."""
        super()._give_up(lease, now)
        if self._noticed:
            way = self._ways_of(lease)[0]
            if way:
                self._timeline.set(Alarm(partial(self._closed, lease)), now + way)
            else:
                self._closed(lease, now)

    def _closed(self, lease: Lease[Request], now: float) -> None:
        if lease.backend.site.renege(lease, now, self._cancels):
            self._late(lease, now)
