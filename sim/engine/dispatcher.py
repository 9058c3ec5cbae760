"""One balancer in the simulated world: the balancer, its actions, its wake."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass
from functools import partial

from lb.balancing import (
    Backend,
    Balancer,
    Cancel,
    Changed,
    Ejected,
    Joined,
    Lease,
    Left,
    LoadReport,
    Outcome,
    Probe,
    ProbeKind,
    ProbeResult,
    Recall,
    Refuse,
    Start,
    Swapped,
)
from lb.balancing.lease import rival_of
from sim.analysis.record import Reason
from sim.engine.alarms import LIMITS_NEXT, Alarm
from sim.engine.journal import Journal
from sim.engine.prober import Prober
from sim.engine.request import Request
from sim.engine.site import Site
from sim.engine.timeline import Timeline
from sim.model.stations import INFINITY

OK = Outcome.OK
ANSWERS = (OK, Outcome.SERVER_ERROR)
"""Ends of an attempt that come with a head, and so with what it says of the load."""


@dataclass(frozen=True)
class Ways:
    """How long requests and probes travel, seconds one way."""

    there: MutableSequence[float]
    """To the backend, by request; empty when it takes no time, as with `back`."""
    back: MutableSequence[float]
    probe: float
    delayed: bool
    """Whether it takes time; sources may write down a request's ways when it comes."""
    again: Iterator[tuple[float, float]]
    """There and back, for one attempt after another that is not the first of its request."""


class Dispatcher:
    """Brings requests to one balancer and carries out what it asks for.

    Several of them share the sites, the journal and the ways of one world. `response` is how long
    an answer may take, from the pick of a backend on.
    """

    def __init__(
        self,
        balancer: Balancer[Request],
        timeline: Timeline,
        sites: Mapping[str, Site],
        journal: Journal,
        ways: Ways,
        response: float,
    ) -> None:
        self.balancer = balancer
        self._admit: Callable[[Request, float], Lease[Request] | None] = balancer.admit
        self._out = balancer.out
        self._timeline = timeline
        self._journal = journal
        self._there, self._back = ways.there, ways.back
        self._again = ways.again
        self._own_ways: dict[Lease[Request], tuple[float, float]] = {}
        """Of attempts whose request has other ones."""
        self._prober = Prober(timeline, ways.probe, self._observed)
        self._response = response
        self._owed: deque[tuple[float, Lease[Request]]] = deque()
        self._wake = Alarm(self._woken)
        self._wake_set_to = INFINITY
        self._timeout = Alarm(self._timed_out)
        self._timeout_set = False
        self._answer = self._travel_back if ways.delayed else self.end
        self.answered = self._answer
        self.hears = False
        """Whether backends say with their answers how loaded they are."""
        self._sites = sites

    def start(self, now: float) -> None:
        """Get the first health answers: in the model every backend is up at once."""
        with self._prober.before_the_start():
            self._woken(now)

    # --- a request's way

    def arrive(self, request: Request, now: float) -> None:
        """A request comes in."""
        lease = self._admit(request, now)
        if lease is not None:
            self._send(lease, now)
        if lease is None or self._out:  # a call that waits brings no action but an alarm
            self.drain(now)

    def _send(self, lease: Lease[Request], now: float) -> None:
        owed, due = self._owed, now + self._response
        while owed and not owed[0][1].open:
            owed.popleft()
        owed.append((due, lease))
        if not self._timeout_set:
            self._timeout_set = True
            self._timeline.set(self._timeout, due, LIMITS_NEXT)
        site: Site = lease.backend.site
        if self._there:
            self._part_ways(lease)
            arrives = now + self._ways_of(lease)[0]
            self._timeline.set(Alarm(partial(site.receive, lease)), arrives)
        else:
            site.receive(lease, now)

    def _travel_back(
        self,
        lease: Lease[Request],
        now: float,
        outcome: Outcome = OK,
        reached: float | None = None,
    ) -> None:
        arrives = now + self._ways_of(lease)[1]
        if outcome is OK:
            end = partial(self.end, lease)
        else:
            end = partial(self.end, lease, outcome=outcome, reached=reached)
        self._timeline.set(Alarm(end), arrives)

    def _answer_and_report(
        self,
        lease: Lease[Request],
        now: float,
        outcome: Outcome = OK,
        reached: float | None = None,
    ) -> None:
        """An answer leaves with a word of the backend on its load, which is read first."""
        if outcome in ANSWERS:
            self.report(lease.backend, self._ways_of(lease)[1], now)
        self._answer(lease, now, outcome, reached)

    def report(self, backend: Backend, way: float, now: float) -> None:
        """A backend says how loaded it is, with an answer that travels for `way` seconds."""
        report = backend.site.report(now)
        if self._back:
            self._timeline.set(Alarm(partial(self._observed, backend, result=report)), now + way)
        else:
            self._observed(backend, now, report)

    def end(
        self,
        lease: Lease[Request],
        now: float,
        outcome: Outcome = OK,
        reached: float | None = None,
    ) -> None:
        """The answer is with the client, or the balancer knows that there will be none."""
        request = lease.call
        index = request.index
        journal = self._journal
        if not lease.open:  # given up before: its client has an answer already
            self._late(lease, now - self._ways_of(lease)[1])
            return
        if outcome is OK:
            if (
                self._own_ways and lease in self._own_ways
            ):  # what is written down of the request is of this attempt
                self._there[index], self._back[index] = self._own_ways.pop(lease)
            lease.done(now)
            journal.backend[index] = lease.backend.site.place
            journal.started[index] = lease.started_at
            journal.ended[index] = now
            journal.left -= 1
            if journal.ended_with is not None:
                journal.ended_with(request, now)
            if not journal.left:
                journal.over(now)
        else:
            left = now - self._ways_of(lease)[1]
            self._lose(lease, now, left if reached is None else reached, left)
            if outcome is Outcome.SERVER_ERROR:
                lease.done(now, outcome)
                self._refuse(request, now, outcome)
            else:
                self.balancer.failed(lease, now, outcome, sent=outcome is not Outcome.CONNECT)
        if outcome is not OK or self._out:  # a failure may set the alarm without a word
            self.drain(now)

    def take_over(self, leases: Iterable[Lease[Request]], now: float) -> None:
        """See to the time limits of attempts that are under way; some may be over."""
        owed = [(lease.started_at + self._response, lease) for lease in leases]
        self._owed = deque(sorted([*self._owed, *owed], key=lambda row: row[0]))
        if self._owed and not self._timeout_set:
            self._timeout_set = True
            self._timeline.set(self._timeout, max(self._owed[0][0], now), LIMITS_NEXT)

    # --- what the balancer asks for

    def drain(self, now: float) -> None:
        """Carry out what the balancer asks for."""
        balancer, out = self.balancer, self._out
        while out:
            match out.popleft():
                case Probe(backend, ProbeKind.LOAD):
                    self._look(backend, now)
                case Probe(backend):
                    self._check(backend, now)
                case Start(lease):
                    self._journal.retried += bool(lease.call.tried)
                    self._send(lease, now)
                case Ejected(backend):
                    self._journal.ejected.append((backend.site.place, now))
                case Recall(backend):
                    self._recall(backend, now)
                case Refuse(call, why):
                    self._refuse(call, now, why)
                case Joined(backend):
                    backend.site = self._sites[backend.address]
                    self._listen([backend])
                case Cancel(lease):
                    self._give_up(lease, now)
                    lease.done(now, Outcome.CANCELLED)
                case Swapped():
                    self._listen(balancer.pool.backends)
                case Left() | Changed():
                    pass
        if balancer.wakes_at != self._wake_set_to:
            self._wake_set_to = balancer.wakes_at
            if self._wake_set_to < INFINITY:
                self._timeline.set(self._wake, self._wake_set_to)

    def _listen(self, backends: Iterable[Backend]) -> None:
        """Let backends measure what the algorithm wants to know, and say it with their answers."""
        pool = self.balancer.pool
        self.hears = pool.probing or pool.listening
        if self.hears:
            for backend in backends:
                backend.site.measure(figures=pool.listening)
        self.answered = self._answer_and_report if self.hears else self._answer

    def _check(self, backend: Backend, now: float) -> None:
        told = self._prober.check(backend, now, backend.health.policy.timeout)
        if told is not None:
            self.balancer.observed(backend, now, told)

    def _look(self, backend: Backend, now: float) -> None:
        told = self._prober.load(backend, now)
        if told is not None:
            self.balancer.observed(backend, now, told)

    def _observed(self, backend: Backend, now: float, result: ProbeResult | LoadReport) -> None:
        self.balancer.observed(backend, now, result)
        self.drain(now)

    def _woken(self, now: float) -> None:
        self.balancer.wake(now)
        self.drain(now)

    def _timed_out(self, now: float) -> None:
        owed = self._owed
        while owed and (owed[0][0] <= now or not owed[0][1].open):
            _, lease = owed.popleft()
            if lease.open:
                self._give_up(lease, now)
                self.balancer.failed(lease, now, Outcome.TIMEOUT, sent=True)
        self._timeout_set = bool(owed)
        if owed:
            self._timeline.set(self._timeout, owed[0][0], LIMITS_NEXT)
        self.drain(now)

    def _recall(self, backend: Backend, now: float) -> None:
        """Let go on elsewhere what waits at a backend that is silent."""
        balancer = self.balancer
        for _, lease in list(self._owed):
            if lease.backend is backend and lease.open and balancer.movable(lease, now, True):
                self._give_up(lease, now)
                balancer.failed(lease, now, Outcome.TIMEOUT, sent=True)

    # --- bookkeeping

    def _refuse(self, request: Request, now: float, why: Reason) -> None:
        """The client hears that there is no answer for it."""
        self._journal.refuse(request, now, why)

    def _lose(self, lease: Lease[Request], now: float, reached: float, left: float) -> None:
        self._journal.lose(lease, lease.backend.site.place, now, reached, left)
        self._own_ways.pop(lease, None)

    def _late(self, lease: Lease[Request], left: float) -> None:
        """The work of an attempt that was given up is over."""
        self._journal.late(lease, left)
        self._own_ways.pop(lease, None)

    def _give_up(self, lease: Lease[Request], now: float) -> None:
        """Wait no longer for an answer; its work goes on, if there is any."""
        ways = self._ways_of(lease)
        reached = lease.started_at + ways[0]
        held = lease.backend.site.holds(lease)
        self._lose(lease, now, reached, INFINITY if held else reached)
        if held and self._there:
            self._own_ways[lease] = ways  # until its work is over; the request may be given others

    def _part_ways(self, lease: Lease[Request]) -> None:
        """An attempt sets out; one that is not its client's first travels as chance has it now."""
        other, call = rival_of(lease), lease.call
        if other is not None or call.tried or call.failures:
            if other is not None and other not in self._own_ways:
                self._own_ways[other] = self._ways_of(other)
            self._own_ways[lease] = next(self._again)

    def _ways_of(self, lease: Lease[Request]) -> tuple[float, float]:
        """How long an attempt travels there and back."""
        own = self._own_ways.get(lease) if self._own_ways else None
        if own is not None:
            return own
        index = lease.call.index
        return (self._there[index], self._back[index]) if self._there else (0.0, 0.0)
