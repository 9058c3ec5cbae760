"""The express lane: the requests of an open loop while nothing unusual becomes of them.

The general way makes a request, a lease and an alarm or two for each of them. Here a request is its
number: it waits under it in its station and, while it travels, in SimPy's queue, and everything
else about it is looked up. What is decided is decided by the same balancer in the same order, so
records are the same to the last bit.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

from sim.engine.alarms import DEPARTURES_FIRST, NORMAL, Alarm
from sim.engine.nonstop import Nonstop
from sim.engine.site import Site
from sim.model.stations import INFINITY, ProcessorSharing


class Express(Nonstop):
    """The `Lane` of a world with plain dispatchers and sites."""

    def run(self) -> None:  # noqa: C901 - every step into a method would cost a twentieth
        """All that comes before what is not ours."""
        if not self._general and self._unusual():
            self._leave(self._timeline.now)
        if self._goes_on():
            return
        journal, queue, numbers = self._journal, self._timeline.queue, self._timeline.numbers
        ended, where, sites = journal.ended, journal.backend, self._sites
        there, back = self._there, self._back
        times, keys, routes, count = self._times, self._keys, self._routes, len(self._times)
        desks, index, at, number = self._desks, self._next, self._at, self._number
        dispatcher, balancer, out, backends = desks[0]
        general = self._general
        alone = self._alone()
        plain = alone and not back
        measured = self._measured
        asks = any(it.balancer.pool.probing for it in self._dispatchers)
        while True:
            while queue and queue[0][0] <= at:
                if number is None:
                    number = next(numbers)
                entry = now, priority, _, what = heappop(queue)
                if priority != DEPARTURES_FIRST or not plain or what.__class__ is not int:
                    if priority == NORMAL and now == at and entry > (at, NORMAL, number):
                        heappush(queue, entry)
                        break
                    if what.__class__ is not int:
                        if what.__class__ is not Site:
                            heappush(queue, entry)
                            self._next, self._at, self._number = index, at, number
                            if not isinstance(what, Alarm):
                                self.count()
                            return
                        if plain and what.shared is not None:
                            if now < what.set_to:
                                continue  # others came to share the worker
                            if self._leave_shared(what, what.shared, now):
                                continue
                        else:
                            what.action(now)
                        alone = self._alone()
                        plain = alone and not back
                        continue
                    if not alone:
                        if priority == DEPARTURES_FIRST:
                            self._leave_station(what, now)
                        else:
                            self._travelled(what, now)
                        if not measured:
                            alone = self._alone()
                            plain = alone and not back
                        continue
                    if priority == DEPARTURES_FIRST:
                        heappush(queue, (now + back[what], NORMAL, next(numbers), ~what))
                        continue
                    if what >= 0:
                        self._reach(sites[where[what]], what, now)
                        continue
                    what = ~what
                if balancer.settle(backends[where[what]], now, now - times[what]):
                    balancer.made_room(now)
                ended[what] = now
                journal.left -= 1
                if not journal.left:
                    journal.over(now)
                if out:
                    dispatcher.drain(now)
                    alone = self._alone()
                    plain = alone and not back
            if index == count:
                self._next, self._at, self._number = index, at, number
                return
            now = at
            if routes:
                dispatcher, balancer, out, backends = desks[routes[index]]
            backend = None if general else balancer.place(keys[index] if keys else b"", now)
            if backend is None:
                self._next = index
                self._come(dispatcher, index, now)
                general, alone, plain = True, False, False
            else:
                site = backend.site
                where[index] = site.place
                if asks:
                    self._send_and_ask(self._desk(index), site, index, now)
                    alone = plain = False  # whoever asks makes stations count
                elif there:
                    heappush(queue, (now + there[index], NORMAL, next(numbers), index))
                elif site.open is not None:
                    due = site.open.settle(now, site.sizes[index] * site.mean)
                    heappush(queue, (due, DEPARTURES_FIRST, next(numbers), index))
                elif site.shared is not None:
                    due = site.shared.join(index, now, site.sizes[index] * site.mean)
                    if due != site.set_to:
                        site.set_to = due
                        heappush(queue, (due, DEPARTURES_FIRST, next(numbers), site))
                elif not site.take_in(index, now):
                    self._turn_away(index, now)
                if out:
                    dispatcher.drain(now)
                    alone = self._alone()
                    plain = alone and not back
            index += 1
            at, number = times[index] if index < count else INFINITY, None

    def _alone(self) -> bool:
        """Whether all that is under way belongs to one balancer, which hears of nothing else."""
        return len(self._desks) == 1 and not (self._measured or self._leases)

    def _leave_shared(self, site: Site, station: ProcessorSharing[Any], now: float) -> bool:
        """What is due at a station whose jobs share their workers, as in `Site`.

        False when more than that happened.
        """
        plain = True
        journal, queue, numbers = self._journal, self._timeline.queue, self._timeline.numbers
        dispatcher, balancer, out, backends = self._desks[0]
        while True:
            job, due = station.let_go()
            if job.__class__ is not int:
                plain = False
                job.call.home.answered(job, now)
                due = station.next_departure()
            else:
                if balancer.settle(backends[site.place], now, now - self._times[job]):
                    balancer.made_room(now)
                journal.ended[job] = now
                journal.left -= 1
                if not journal.left:
                    journal.over(now)
                if out:
                    plain = False
                    dispatcher.drain(now)
                    due = station.next_departure()
            if due > now:
                break
        if due != site.set_to:
            site.set_to = due
            if due < INFINITY:
                heappush(queue, (due, DEPARTURES_FIRST, next(numbers), site))
        return plain

    def _travelled(self, what: int, now: float) -> None:
        """A request is at its backend, or its answer with the client."""
        if what < 0:
            self._end(~what, now)
            return
        if what in self._leases:
            lease = self._leases.pop(what)
            lease.backend.site.receive(lease, now)
            return
        self._reach(self._sites[self._journal.backend[what]], what, now)

    def _reach(self, site: Site, job: int, now: float) -> None:
        """A request has come to its backend."""
        if site.open is not None:
            timeline, due = self._timeline, site.open.settle(now, site.sizes[job] * site.mean)
            heappush(timeline.queue, (due, DEPARTURES_FIRST, next(timeline.numbers), job))
        elif not site.take_in(job, now):
            self._turn_away(job, now)
