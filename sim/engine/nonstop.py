"""The express lane at its plainest: one balancer, no network, and backends that take everybody.

What is under way then is departures alone, which the lane keeps in a heap of its own: nobody else
need look for them in SimPy's queue. As there, they come before anything else that happens at their
instant, and in the order of their requests where that is one. Where nobody goes by them they need
no order at all: a static algorithm is told of them now and then.
"""

from __future__ import annotations

from array import array
from heapq import heapify, heappop, heappush
from typing import Any

from lb.balancing import Backend, Balancer
from sim.engine.alarms import DEPARTURES_FIRST, NORMAL, Alarm
from sim.engine.request import Request
from sim.engine.site import Site
from sim.engine.turnoffs import Turnoffs
from sim.model.stations import INFINITY

AT_ONCE = 256
"""Departures that are told together where nobody minds, few enough for the processor's memory; as
many more are waited for as are still to come, for these are looked at in vain."""


class Nonstop(Turnoffs):
    """A lane that is plain until something happens; it never becomes so again."""

    _due_in_order = True
    """Of the departures, which are a heap; else they stand as their requests came."""

    def start(self) -> None:
        super().start()
        stations = [site.counted if self._measured else site.open for site in self._sites]
        self._nonstop = None not in stations

    def count(self) -> None:
        self._hand_over()
        super().count()

    def _leave(self, now: float) -> None:
        self._hand_over()
        super()._leave(now)

    def _hand_over(self) -> None:
        """From now on departures stand in SimPy's queue, before all that may be set there."""
        self._nonstop = False
        queue, count = self._timeline.queue, len(self._times)
        for at, job in self._due:
            heappush(queue, (at, DEPARTURES_FIRST, job - count, job))
        self._due.clear()

    def _goes_on(self) -> bool:
        """Do all that comes before what is not the lane's; False when it is not plain any more."""
        if not self._nonstop:
            return False
        asks = self._desks[0].balancer.pool.probing
        if len(self._desks) > 1 or self._delayed or self._general or (asks and not self._measured):
            self._hand_over()
        elif self._indifferent():
            self._due_in_order = False
            self._pass_by()
        else:
            if not self._due_in_order:
                heapify(self._due)
                self._due_in_order = True
            self._go_on()
        return self._nonstop

    def _go_on(self) -> None:  # noqa: C901 - every step into a method would cost a twentieth
        # A number that is an object is not made one again wherever it is looked up.
        job: Any
        journal, due = self._journal, self._due
        queue: list[Any] = self._timeline.queue
        site: Site
        ended: Any = journal.ended
        where: Any = journal.backend
        times: Any = self._times
        keys: Any = self._keys
        push, pop = heappush, heappop
        dispatcher, out, backends = self._desks[0][0], self._desks[0][2], self._desks[0][3]
        balancer: Balancer[Request] = self._desks[0][1]
        count, index, at = len(times), self._next, self._at
        measured, hears, asks = self._measured, dispatcher.hears, balancer.pool.probing
        backend: Backend | None
        other: float = queue[0][0] if queue else INFINITY
        while self._nonstop:
            leaves: float = due[0][0] if due else INFINITY
            if leaves <= at and leaves <= other and due:
                now, job = pop(due)
                backend = backends[where[job]]
                if measured:
                    site = backend.site
                    site.left(job, now)
                    if hears:
                        self._hear(balancer, backend, now)
                    if out:
                        self._announce()
                        dispatcher.drain(now)
                        other = queue[0][0] if queue else INFINITY
                        hears, asks = dispatcher.hears, balancer.pool.probing
                if balancer.settle(backend, now, now - times[job]):
                    balancer.made_room(now)
                ended[job] = now
                journal.left -= 1
                if out or not journal.left:
                    self._announce()
                    if not journal.left:
                        journal.over(now)
                    if out:
                        dispatcher.drain(now)
                        hears, asks = dispatcher.hears, balancer.pool.probing
                    other = queue[0][0] if queue else INFINITY
                continue
            if other <= at and self._precedes(queue):
                if not isinstance(queue[0][3], Alarm):
                    self.count()  # somebody else's, who may look at stations
                return
            if index == count:
                return
            job, now = index, at
            backend = balancer.place(keys[job] if keys else b"", now)
            if backend is None:
                self._come(dispatcher, index, now)
            else:
                site = backend.site
                where[job] = site.place
                if measured:
                    asked = balancer.pool.probes(now) if asks else ()
                    push(due, (site.count_in(job, now), job))
                    for probed in asked:
                        self._hear(balancer, probed, now)
                else:
                    station = site.open
                    assert station is not None, "it takes everybody"
                    push(due, (station.settle(now, site.sizes[job] * site.mean), job))
            self._next = index = index + 1
            self._at = at = times[index] if index < count else INFINITY
            self._number = None
            if out:
                dispatcher.drain(now)
                other = queue[0][0] if queue else INFINITY
                hears, asks = dispatcher.hears, balancer.pool.probing

    # --- where departures need no order

    def _indifferent(self) -> bool:
        """Whether nobody minds when requests leave, and those of one backend do so as they came.

        Whoever counts what ends as it does (`Tally`) minds.
        """
        return (
            not self._measured
            and isinstance(self._journal.ended, array)
            and self._desks[0].balancer.pool.static
            and all(site.open is not None and site.open.alone for site in self._sites)
        )

    def _pass_by(self) -> None:
        """As `_go_on`: departures are told before anybody looks, and else when there are many."""
        job: Any
        journal, due = self._journal, self._due
        queue: list[Any] = self._timeline.queue
        where: Any = journal.backend
        times: Any = self._times
        keys: Any = self._keys
        dispatcher, out = self._desks[0][0], self._desks[0][2]
        balancer: Balancer[Request] = self._desks[0][1]
        count, index, at = len(times), self._next, self._at
        other: float = queue[0][0] if queue else INFINITY
        many = 2 * len(due) + AT_ONCE
        while True:
            if other <= at or index == count:
                self._tell(min(at, other))
                if queue and (index == count or self._precedes(queue)):
                    if not isinstance(queue[0][3], Alarm):
                        self.count()
                    return
                if index == count:
                    return
            if len(due) >= many:
                self._tell(at)
                many = 2 * len(due) + AT_ONCE
            job, now = index, at
            backend = balancer.place(keys[job] if keys else b"", now)
            if backend is None:
                self._tell(now)
                self._come(dispatcher, index, now)
                return
            site: Site = backend.site
            station = site.open
            assert station is not None, "it takes everybody"
            where[job] = site.place
            due.append((station.settle(now, site.sizes[job] * site.mean), job))
            self._next = index = index + 1
            self._at = at = times[index] if index < count else INFINITY
            self._number = None
            if out:
                self._tell(now)
                dispatcher.drain(now)
                return

    def _tell(self, until: float) -> None:
        """Let the balancer know of those who have left by then."""
        journal, due = self._journal, self._due
        balancer, backends = self._desks[0].balancer, self._desks[0].backends
        ended: Any = journal.ended
        where: Any = journal.backend
        times: Any = self._times
        stay: list[tuple[float, Any]] = []
        last = 0.0
        for entry in due:
            at, job = entry
            if at > until:
                stay.append(entry)
                continue
            balancer.settle(backends[where[job]], at, at - times[job])
            ended[job] = at
            last = at if at > last else last  # noqa: FURB136 - a call costs
        told = len(due) - len(stay)
        journal.left -= told
        due[:] = stay
        if told and not journal.left:
            self._announce()
            journal.over(last)

    def _announce(self) -> None:
        """Whatever is set from now on for the instant of the next arrival comes after it."""
        if self._number is None:
            self._number = next(self._timeline.numbers)

    def _precedes(self, queue: list[Any]) -> bool:
        """Whether what stands first in SimPy's queue comes before the next arrival."""
        self._announce()
        at, priority, number, _ = queue[0]
        return bool((at, priority, number) < (self._at, NORMAL, self._number))
