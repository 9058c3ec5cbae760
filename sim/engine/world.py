"""The simulator's driver: SimPy keeps the time, the balancer of the live proxy decides.

One request costs two events, its arrival and its departure. Alarms that are set again and again
stand for both, instead of one event object per occasion.
"""

from __future__ import annotations

import gc
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Any, cast

import simpy

from lb.balancing import (
    Backend,
    Balancer,
    Changed,
    Lease,
    LoadReport,
    Outcome,
    Probe,
    ProbeKind,
    ProbeResult,
    Refuse,
    Start,
    Why,
)
from lb.config import Model, Scenario
from lb.strategies import Probing
from sim.analysis.record import Record
from sim.model.arrivals import Schedule, network_delays, streams
from sim.model.laws import shape
from sim.model.stations import INFINITY, LoadMeter, Station, station

NAN = float("nan")
OK = Outcome.OK
DEPARTURES_FIRST, NORMAL = 0, 1
"""Of what happens at one instant, what makes room comes before what takes it."""


class Alarm:
    """Calls `action(now)` at every time it is set to; setting it again does not unset it."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[float], None]) -> None:
        self.action = action


class Request:
    """The simulator's `Call`."""

    key = b""
    tried: tuple[Backend, ...] = ()
    idempotent = True
    deadline = INFINITY

    def __init__(self, index: int) -> None:
        self.index = index


class Site:
    """A backend in the model: its station, and the alarm of its next departure."""

    __slots__ = ("alarm", "mean", "meter", "set_to", "sizes", "station")

    def __init__(
        self, model: Model, sizes: list[float], departed: Callable[[Site, float], None]
    ) -> None:
        self.station: Station[Lease[Request]] = station(model)
        self.meter = LoadMeter()
        self.mean = model.service.mean
        self.sizes = sizes
        self.alarm = Alarm(partial(departed, self))
        self.set_to = INFINITY


class World(simpy.Environment):
    """One replication of one algorithm; call `replicate` once.

    Alarms stand in SimPy's own event queue, where they cost a third of an event: nobody waits for
    one, so it has no state. Their times are absolute, because now + (at - now) need not be `at`.
    """

    def __init__(
        self,
        scenario: Scenario,
        schedule: Schedule,
        algorithm: str | None = None,
        replication: int = 0,
    ) -> None:
        super().__init__()
        # SimPy's own queue, under the type of what stands in it here.
        self._agenda = cast(list[tuple[float, int, int, Any]], self._queue)
        *_, picks, network = streams(scenario.run.seed, replication)
        self._schedule = schedule
        self._times: list[float] = schedule.times.tolist()
        self._keys = [] if schedule.keys is None else [b"%d" % key for key in schedule.keys]
        self._left = len(schedule)
        self._balancer: Balancer[Request] = scenario.balancer(
            Random(int(picks.integers(2**63))), algorithm=algorithm
        )
        self._out = self._balancer.out
        self._admit = self._balancer.admit
        sizes = {
            name: row.tolist() for name, row in zip(schedule.shapes, schedule.sizes, strict=True)
        }
        for backend, (_, model) in zip(
            self._balancer.pool.backends, scenario.modelled(), strict=True
        ):
            backend.driver = Site(model, sizes[shape(model.service)], self._depart)
        self._delays = network_delays(scenario, network, len(schedule))
        self._there, self._back = ([], []) if self._delays is None else self._delays.tolist()
        self._metered = isinstance(self._balancer.strategy, Probing)
        self._found: dict[
            Lease[Request], tuple[int, float]
        ] = {}  # who was there before, since when
        law = scenario.offered().network
        self._one_way = 0.0 if law is None else law.mean  # of probes
        explicit = "response" in scenario.timeouts.model_fields_set
        self._response_timeout = scenario.timeouts.response if explicit else None
        self._owed: deque[tuple[float, Lease[Request]]] = deque()
        # The ways of a request that nothing delays are its arrival and its end themselves.
        timed = self._delays is not None or explicit
        self._sent = self._send if timed else self._reach
        self._answered = self._end if self._delays is None else self._travel_back

        self._over = self.event()
        self._next = 0
        self._arrival = Alarm(self._arrive)
        self._wake = Alarm(self._woken)
        self._wake_set_to = INFINITY
        self._timeout = Alarm(self._timed_out)

        # One entry per request, by arrival; NaN where there was no successful end.
        self._backend = array("q", bytes(8 * len(schedule)))
        self._started = array("d", bytes(8 * len(schedule)))
        self._ended = array("d", [NAN]) * len(schedule)
        self._refused: list[tuple[int, float, Why | Outcome]] = []
        self._retried = 0
        self._lost: dict[Lease[Request], list[float]] = {}
        """Backend, started, ended, reached, left of attempts that did not succeed."""

    def replicate(self) -> Record:
        """Simulate until every request has been answered or refused."""
        self._woken(0.0)  # the first health answers: in the model every backend is up at once
        if self._left:
            self._set(self._arrival, self._times[0])
            with _no_garbage_collection():
                self.run(until=self._over)
        return Record.of(
            schedule=self._schedule,
            delays=self._delays,
            backend=self._backend,
            started=self._started,
            ended=self._ended,
            refused=self._refused,
            retried=self._retried,
            lost=self._lost.values(),
        )

    def step(self) -> None:
        """Process the next event, and every alarm before it."""
        queue = self._agenda
        while queue and queue[0][3].__class__ is Alarm:
            self._now, _, _, alarm = heappop(queue)
            alarm.action(self._now)
        super().step()

    def _set(self, alarm: Alarm, at: float, priority: int = NORMAL) -> None:
        heappush(self._agenda, (at, priority, next(self._eid), alarm))

    # --- a request's way

    def _arrive(self, now: float) -> None:
        """One arrival, and those that follow before anything else happens."""
        times, queue = self._times, self._agenda
        while True:
            index = self._next
            request = Request(index)
            if self._keys:
                request.key = self._keys[index]
            lease = self._admit(request, now)
            if lease is not None:
                self._sent(lease, now)
            if lease is None or self._out:  # a call that waits brings no action but an alarm
                self._drain(now)
            self._next = index = index + 1
            if index == len(times):
                return
            now = times[index]
            if queue and queue[0][0] <= now:
                heappush(queue, (now, NORMAL, next(self._eid), self._arrival))
                return
            self._now = now

    def _send(self, lease: Lease[Request], now: float) -> None:
        if self._response_timeout is not None:
            if not self._owed:
                self._set(self._timeout, now + self._response_timeout)
            self._owed.append((now + self._response_timeout, lease))
        if self._there:
            arrives = now + self._there[lease.call.index]
            self._set(Alarm(partial(self._reach, lease)), arrives)
        else:
            self._reach(lease, now)

    def _reach(self, lease: Lease[Request], now: float) -> None:
        """The request is at its backend."""
        site: Site = lease.backend.driver
        if self._metered:
            self._found[lease] = (len(site.station), now)
        if site.station.arrive(lease, now, site.sizes[lease.call.index] * site.mean):
            due = site.station.next_departure()
            if due != site.set_to:
                site.set_to = due
                heappush(self._agenda, (due, DEPARTURES_FIRST, next(self._eid), site.alarm))
        else:
            self._answered(lease, now, Outcome.SERVER_ERROR)

    def _depart(self, site: Site, now: float) -> None:
        due = site.station.next_departure()
        while due <= now:
            _, lease = site.station.depart()
            if self._metered:
                found, since = self._found.pop(lease)
                site.meter.left(found, now - since)
            self._answered(lease, now)
            due = site.station.next_departure()
        if due != site.set_to:
            site.set_to = due
            if due < INFINITY:
                heappush(self._agenda, (due, DEPARTURES_FIRST, next(self._eid), site.alarm))

    def _travel_back(self, lease: Lease[Request], now: float, outcome: Outcome = OK) -> None:
        arrives = now + self._back[lease.call.index]
        self._set(Alarm(partial(self._end, lease, outcome=outcome)), arrives)

    def _end(self, lease: Lease[Request], now: float, outcome: Outcome = OK) -> None:
        """The answer is with the client."""
        index = lease.call.index
        if not lease.open:  # given up before: its client has an answer already
            self._lost[lease][-1] = now - self._way(self._back, index)
            return
        lease.done(now, outcome)
        if outcome is OK:
            self._backend[index] = lease.backend.order
            self._started[index] = lease.started_at
            self._ended[index] = now
            self._left -= 1
            if not self._left:
                self._over.succeed()
        else:
            turned_away = now - self._way(self._back, index)
            self._lose(lease, now, turned_away, turned_away)
            self._refuse(index, now, outcome)
        if self._out:
            self._drain(now)

    # --- what the balancer asks for

    def _drain(self, now: float) -> None:
        while self._out:
            match self._out.popleft():
                case Start(lease):
                    self._retried += bool(lease.call.tried)
                    self._sent(lease, now)
                case Refuse(call, why):
                    self._refuse(call.index, now, why)
                case Probe(backend, ProbeKind.LOAD):
                    self._ask_for_load(backend, now)
                case Probe(backend):
                    self._balancer.observed(backend, now, ProbeResult(ok=True))
                case Changed():
                    pass
        if self._balancer.wakes_at != self._wake_set_to:
            self._wake_set_to = self._balancer.wakes_at
            if self._wake_set_to < INFINITY:
                self._set(self._wake, self._wake_set_to)

    def _ask_for_load(self, backend: Backend, now: float) -> None:
        """A load probe: it travels like a request, takes no worker, and comes back."""

        def reach(now: float) -> None:
            site: Site = backend.driver
            held = len(site.station)
            report = LoadReport(held, site.meter.expected(held))
            self._set(Alarm(lambda now: self._reported(backend, now, report)), now + self._one_way)

        self._set(Alarm(reach), now + self._one_way)

    def _reported(self, backend: Backend, now: float, report: LoadReport) -> None:
        self._balancer.observed(backend, now, report)
        if self._out:
            self._drain(now)

    def _woken(self, now: float) -> None:
        self._balancer.wake(now)
        self._drain(now)

    def _timed_out(self, now: float) -> None:
        while self._owed and (self._owed[0][0] <= now or not self._owed[0][1].open):
            _, lease = self._owed.popleft()
            if lease.open:
                reached = lease.started_at + self._way(self._there, lease.call.index)
                self._lose(lease, now, reached, INFINITY)
                self._balancer.failed(lease, now, Outcome.TIMEOUT, sent=True)
        if self._owed:
            self._set(self._timeout, self._owed[0][0])
        self._drain(now)

    # --- bookkeeping

    def _lose(self, lease: Lease[Request], now: float, reached: float, left: float) -> None:
        self._lost[lease] = [lease.backend.order, lease.started_at, now, reached, left]

    @staticmethod
    def _way(delays: list[float], index: int) -> float:
        return delays[index] if delays else 0.0

    def _refuse(self, index: int, now: float, why: Why | Outcome) -> None:
        self._refused.append((index, now, why))
        self._left -= 1
        if not self._left:
            self._over.succeed()


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A run makes many objects and no cycles; looking for cycles costs a tenth of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
