"""Beside the express lane: what backends say of their load, and where the lane is left by whoever
is turned away, has to wait in line or takes too long.

He is given the lease that the general way would have given him, and goes on there.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from heapq import heappush
from typing import Any, NamedTuple

from lb.balancing import Backend, Balancer, Lease, Outcome, Probe, ProbeKind
from sim.engine.alarms import DEPARTURES_FIRST, LIMITS_NEXT, NORMAL, Alarm
from sim.engine.dispatcher import Dispatcher, Ways
from sim.engine.journal import Journal
from sim.engine.request import Request
from sim.engine.site import Site
from sim.engine.source import OpenLoop
from sim.engine.timeline import Timeline
from sim.model.stations import INFINITY

SERVER_ERROR = Outcome.SERVER_ERROR


class Desk(NamedTuple):
    """Where requests of one balancer come in, looked up once."""

    dispatcher: Dispatcher
    balancer: Balancer[Request]
    out: deque[Any]
    backends: list[Backend]
    """By place."""


class Turnoffs:
    """What the lane of a world knows, and what happens in it more seldom; requests are `source`'s.

    A number in the queue is that of a request that is due to leave its station, before anything
    else that happens then; or of one on its way there; its complement, of one on its way back.
    """

    def __init__(
        self,
        timeline: Timeline,
        journal: Journal,
        dispatchers: Sequence[Dispatcher],
        routes: Sequence[int],
        sites: Mapping[str, Site],
        source: OpenLoop,
        ways: Ways,
        response: float,
    ) -> None:
        """`routes` names the dispatcher of each request; empty when there is one only.

        `response` is how long an answer may take, as dispatchers have it.
        """
        self._timeline, self._journal = timeline, journal
        self._dispatchers, self._routes = dispatchers, routes
        self._sites = list(sites.values())
        self._times, self._keys = source.times, source.keys
        self._there, self._back = ways.there, ways.back
        self._delayed = ways.delayed
        self._response = response
        self._next = 0
        self._at = INFINITY
        self._number: int | None = None
        """When that comes, and its place among what else happens then; see `Timeline.numbers`."""
        self._nonstop = False
        self._due: list[tuple[float, Any]] = []
        """Of `Nonstop`: whether the lane is, and when requests leave then, with their numbers."""
        self._general = False
        """From now on everybody takes the general way."""
        self._measured = False
        """Some stations are told of their jobs one by one, once somebody has wanted to know."""
        self._leases: dict[int, Lease[Request]] = {}
        """Of those under way who set out here, and go on there."""
        self._apart: set[int] = set()
        """Those whose end is written down there."""
        self._oldest = 0
        self._limit = Alarm(self._look_at_limits)

    def start(self) -> None:
        """Announce all requests; the dispatchers have started."""
        journal, times = self._journal, self._times
        journal.expect(times)
        journal.none_waits()
        self._members = [it.balancer.pool.backends[:] for it in self._dispatchers]
        self._desks = [
            Desk(
                dispatcher,
                dispatcher.balancer,
                dispatcher.balancer.out,
                sorted(members, key=lambda backend: backend.site.place),
            )
            for dispatcher, members in zip(self._dispatchers, self._members, strict=True)
        ]
        if times:
            self._at, self._number = times[0], next(self._timeline.numbers)
            self._timeline.set(self._limit, times[0] + self._response, LIMITS_NEXT)

    def answer(self, number: int, place: int, now: float) -> None:
        """See `Lane`."""
        if number in self._leases:
            lease = self._leases.pop(number)
            lease.call.home.answered(lease, now)
            return
        dispatcher, balancer, out, backends = self._desk(number)
        if dispatcher.hears:
            if self._back:
                dispatcher.report(backends[place], self._back[number], now)
            else:
                self._hear(balancer, backends[place], now)
                if out:
                    dispatcher.drain(now)
        if self._back:
            timeline, arrives = self._timeline, now + self._back[number]
            heappush(timeline.queue, (arrives, NORMAL, next(timeline.numbers), ~number))
        else:
            self._end(number, now)

    def count(self) -> None:
        """See `Lane`."""
        self._measured = any(site.measures is not None for site in self._sites)
        held = Counter(
            self._site(what).place
            for _, priority, _, what in self._timeline.queue
            if priority == DEPARTURES_FIRST and isinstance(what, int)
        )
        for site in self._sites:
            if site.open is not None:
                site.open.elsewhere = held[site.place]

    # --- what is known of loads

    def _send_and_ask(self, desk: Desk, site: Site, job: int, now: float) -> None:
        """A request sets out, and others are asked for their load.

        Drawn before it is there, and answered after that, as in the general way.
        """
        dispatcher, balancer, out, _ = desk
        asked = balancer.pool.probes(now)
        if site.counted is not None and not self._delayed:
            site.take_in(job, now)
            probed, listening = balancer.pool.probed, balancer.pool.listening
            for backend in asked:
                there: Site = backend.site
                if listening or there.measures is None:
                    self._hear(balancer, backend, now)
                else:  # the common case at full length, three times for each request
                    held = len(there.station)
                    probed(backend, now, held, there.measures.meter.expected(held))
        else:
            out.extend(Probe(backend, ProbeKind.LOAD) for backend in asked)
            if self._there:
                timeline, arrives = self._timeline, now + self._there[job]
                heappush(timeline.queue, (arrives, NORMAL, next(timeline.numbers), job))
            elif not site.take_in(job, now):
                self._turn_away(job, now)
        if out:
            dispatcher.drain(now)

    @staticmethod
    def _hear(balancer: Balancer[Request], backend: Backend, now: float) -> None:
        """What a backend says is heard at once; who only asks needs no report made of it."""
        pool = balancer.pool
        site: Site = backend.site
        if pool.listening:
            pool.told(backend, now, site.report(now))
            return
        held, measures = len(site.station), site.measures
        if measures is not None:
            pool.probed(backend, now, held, measures.meter.expected(held))

    def _leave_station(self, job: int, now: float) -> None:
        """One is due that the lane kept for its station."""
        if self._back or self._leases or len(self._desks) > 1 or not self._desks[0][0].hears:
            site = self._site(job)
            site.left(job, now)
            self.answer(job, site.place, now)
            return
        # What that comes to before one balancer that hears: a tenth of the time less.
        dispatcher, balancer, out, backends = self._desks[0]
        journal = self._journal
        backend = backends[journal.backend[job]]
        site = backend.site
        site.left(job, now)
        self._hear(balancer, backend, now)
        if out:
            dispatcher.drain(now)
        if balancer.settle(backend, now, now - self._times[job]):
            balancer.made_room(now)
        journal.ended[job] = now
        journal.left -= 1
        if not journal.left:
            journal.over(now)
        if out:
            dispatcher.drain(now)

    def _site(self, job: int) -> Site:
        """Where one is that the lane keeps; its request may be elsewhere by now."""
        if job in self._leases:
            site: Site = self._leases[job].backend.site
            return site
        return self._sites[self._journal.backend[job]]

    # --- the ends that are not as usual

    def _end(self, job: int, now: float) -> None:
        """The answer is with the client."""
        journal = self._journal
        dispatcher, balancer, out, backends = self._desk(job)
        if job in self._leases:
            dispatcher.end(self._leases.pop(job), now)
            return
        if balancer.settle(backends[journal.backend[job]], now, now - self._times[job]):
            balancer.made_room(now)
        journal.ended[job] = now
        journal.left -= 1
        if not journal.left:
            journal.over(now)
        if out:
            dispatcher.drain(now)

    def _turn_away(self, job: int, now: float) -> None:
        """Its backend's queue is full."""
        self._apart.add(job)
        lease = self._lease(job)
        lease.call.home.answered(lease, now, SERVER_ERROR)

    def _come(self, dispatcher: Dispatcher, job: int, now: float) -> None:
        """A request that nobody could be picked for, or that takes the general way altogether."""
        request = self._request(job)
        if self._general:
            dispatcher.arrive(request, now)
        else:
            self._leave(now)
            dispatcher.balancer.unplaced(request, now)
            dispatcher.drain(now)

    # --- the general way

    def _unusual(self) -> bool:
        """Whether somebody has changed what cannot change here."""
        members = [it.balancer.pool.backends for it in self._dispatchers]
        return members != self._members or any(it.balancer.hedging for it in self._dispatchers)

    def _look_at_limits(self, now: float) -> None:
        """The oldest request under way has its answer meanwhile, or takes too long."""
        times, ended, apart = self._times, self._journal.ended, self._apart
        oldest, until = self._oldest, self._next
        while oldest < until and (ended[oldest] < INFINITY or oldest in apart):  # `_over`, for all
            oldest += 1
        self._oldest = oldest
        if apart:
            self._apart = {job for job in apart if job >= oldest}
        if self._general or self._oldest == len(times):
            return
        if self._oldest < self._next and times[self._oldest] + self._response <= now:
            self._leave(now)
        else:
            self._timeline.set(self._limit, times[self._oldest] + self._response, LIMITS_NEXT)

    def _over(self, job: int) -> bool:
        return math.isfinite(self._journal.ended[job]) or job in self._apart

    def _leave(self, now: float) -> None:
        """Everybody takes the general way, those too who are under way."""
        self._general = True
        for dispatcher in self._dispatchers:
            mine = [
                job
                for job in range(self._oldest, self._next)
                if self._desk(job)[0] is dispatcher and not self._over(job)
            ]
            self._leases |= {job: self._lease(job) for job in mine}
            dispatcher.take_over([self._leases[job] for job in mine], now)

    def _lease(self, job: int) -> Lease[Request]:
        """What it would hold there."""
        dispatcher, *_, backends = self._desk(job)
        backend = backends[self._journal.backend[job]]
        return Lease(dispatcher.balancer, self._request(job), backend, self._times[job])

    def _request(self, job: int) -> Request:
        request = Request()
        request.index = job
        request.home = self._desk(job)[0]
        if self._keys:
            request.key = self._keys[job]
        return request

    def _desk(self, job: int) -> Desk:
        return self._desks[self._routes[job] if self._routes else 0]
