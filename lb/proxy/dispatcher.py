"""The dispatcher: the one balancer of a proxy, its alarm, and its actions carried out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from lb.balancing import (
    Apply,
    Backend,
    Balancer,
    Call,
    Cancel,
    Change,
    Joined,
    Lease,
    Left,
    LoadReport,
    Outcome,
    Probe,
    ProbeResult,
    Recall,
    Refuse,
    Start,
    Swapped,
    Why,
    perform,
)
from lb.balancing.health import Health
from lb.proxy.context import Context
from lb.proxy.health.asking import Asking, Prober
from lb.proxy.logs.log import Log
from lb.proxy.logs.news import tell
from lb.proxy.timers import SOON, Deadlines, Punctual

NEVER = float("inf")
AT_ONCE = 16
"""Backends whose idle connections are looked at in one turn, at least; `TURNS` are for all."""
TURNS = 20


class Dispatched(Call, Protocol):
    """A call, as those who carry out the balancer's wishes know it."""

    def start(self, lease: Lease[Any]) -> None: ...

    def refuse(self, why: Why | Outcome) -> None: ...

    def cancel(self, lease: Lease[Any]) -> None: ...

    def overdue(self, lease: Lease[Any]) -> None: ...


class Site(Protocol):
    """What is kept for a backend: the connections to it."""

    def close_idle(self, since: float) -> None: ...

    def adopt(self) -> None:
        """What the context says may have changed."""

    def retire(self) -> None:
        """The backend has left; what is in flight there ends as it would."""

    def close(self) -> None: ...


def _overdue(lease: Lease[Any]) -> None:
    if lease.open:
        lease.call.overdue(lease)


C = TypeVar("C", bound=Dispatched)
Report = Callable[[Backend, LoadReport], None]


class Dispatcher(Generic[C]):
    """All that is said to the balancer goes through here, and all that it wants done."""

    def __init__(
        self,
        context: Context,
        balancer: Balancer[C],
        *,
        prober: Prober,
        log: Log,
        site: Callable[[Backend, Report], Site],
        swapped: Callable[[frozenset[str]], None],
        recall: Callable[[Backend], None],
        attempt: float | None = None,
    ) -> None:
        """`site` makes what is kept for a backend; `swapped` hears what another algorithm needs;
        `recall` ends what waits at a backend and can go on elsewhere.

        `attempt` is how long one may take to the first byte of its answer, in seconds; None is off.
        """
        self.balancer = balancer
        self.answered = asyncio.Event()
        """Something is known of every backend."""
        self.refused: Counter[str] = Counter({"too_late": 0, "loop": 0})
        """Requests that the proxy told no by itself, by reason."""
        self._context = context
        self._limit: Deadlines[Lease[Any]] | None = None
        # Used for every call: looked up once.
        self.admit: Callable[[C, float], Lease[C] | None] = balancer.admit
        """A lease, or None: the call waits or is refused, which only a `drain` will tell."""
        self.limit_attempts(attempt)
        self.out = balancer.out
        """What is to be drained."""
        self._asking = Asking(context.loop, prober, self.heard, context.now)
        self._log = log
        self._site = site
        self._swapped = swapped
        self._recall = recall
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = NEVER
        self._looked_at = 0  # so many backends, in this round
        self._carry_out()

    # --- life

    def begin(self) -> None:
        """Ask the backends how they are."""
        self._wake()
        self._look()

    async def close(self) -> None:
        """Ask and decide no more."""
        self._set_alarm(NEVER)
        await self._asking.close()
        for backend in self.balancer.pool.backends:
            backend.site.close()

    def close_idle(self, since: float) -> None:
        """Close connections to backends that have been idle since `since`."""
        for backend in self.balancer.pool.backends:
            backend.site.close_idle(since)

    def close_some_idle(self, since: float) -> None:
        """The same for a share of the backends, another one each time."""
        backends = self.balancer.pool.backends
        count = max(AT_ONCE, len(backends) // TURNS + 1)
        begin = self._looked_at if self._looked_at < len(backends) else 0
        self._looked_at = begin + count
        for backend in backends[begin : begin + count]:
            backend.site.close_idle(since)

    def sweep(self, now: float) -> None:
        """End attempts that have taken too long."""
        if self._limit is not None:
            self._limit.sweep(now)

    # --- calls

    @property
    def watching(self) -> bool:
        """Whether `begun` is to be called, or `declined` asked."""
        return self.balancer.hedging or bool(self.balancer.retry_statuses)

    def limit(self, lease: Lease[C], now: float) -> None:
        """The time of an attempt begins, or begins again."""
        if self._limit is not None:
            self._limit.start(lease, now)

    def begun(self, lease: Lease[C], now: float) -> None:
        """The final answer has begun, and stands; whoever else was asked is asked no more."""
        self.balancer.answered(lease, now)
        self.drain()

    def declined(self, lease: Lease[C], now: float, status: int) -> bool:
        """Whether an answer is forgotten, as its call goes on elsewhere; `drain` has to follow."""
        balancer = self.balancer
        return balancer.doubts(lease, status) and balancer.declined(lease, now, status)

    def failed(self, lease: Lease[C], now: float, outcome: Outcome, sent: bool) -> None:
        """An attempt broke before its answer began; the call is started anew, or refused."""
        self.balancer.failed(lease, now, outcome, sent)
        self.drain()

    def abandoned(self, call: C) -> None:
        """A call that waits in line has gone."""
        self.balancer.abandoned(call)
        self.drain()

    def reported(self, backend: Backend, report: LoadReport) -> None:
        """A backend has said how loaded it is."""
        self.balancer.observed(backend, self._context.now(), report)

    def lagged(self, seconds: float) -> None:
        """The event loop was late by so much."""
        self.balancer.lagged(seconds, self._context.now())

    # --- control

    def limit_attempts(self, seconds: float | None) -> None:
        """Each begun from now on may take so long to the first byte of its answer; None is off."""
        if seconds is None:
            self._limit = None
        elif self._limit is None:
            context = self._context
            self._limit = Punctual(seconds, _overdue, context.loop, context.now)
        else:
            self._limit.adopt(seconds, self._context.now())
        self._look_up()

    def adopt(self) -> None:
        """What the context says may have changed."""
        for backend in self.balancer.pool.backends:
            backend.site.adopt()

    def perform(self, change: Change) -> None:
        """Carry out what somebody wants changed. Raises UnknownBackend, UsageError."""
        perform(self.balancer, change, self._context.now())
        if isinstance(change, Apply):
            self._look_up()
            self._swapped(self.balancer.needs)
        self.drain()

    # --- what the balancer asks for

    def _look_up(self) -> None:
        """At defaults, there is nothing between a call and the balancer."""
        plain = self._limit is None and not self.balancer.hedging
        self.admit = self.balancer.admit if plain else self._admit

    def _admit(self, call: C, now: float) -> Lease[C] | None:
        lease = self.balancer.admit(call, now)
        if lease is not None:
            self.limit(lease, now)
        self._set_alarm_by_balancer()  # it may have to be hedged soon
        return lease

    def drain(self) -> None:
        """Carry out the balancer's actions, and set the alarm by what falls due next."""
        self._carry_out()
        self._set_alarm_by_balancer()

    def _set_alarm_by_balancer(self) -> None:
        if self.balancer.wakes_at != self._alarm_at:
            self._set_alarm(self.balancer.wakes_at)

    def _carry_out(self) -> None:
        out = self.balancer.out
        while out:
            match out.popleft():
                case Start(lease):
                    self.limit(lease, lease.started_at)
                    lease.call.start(lease)
                case Recall(backend):
                    self._recall(backend)
                case Refuse(call, why):
                    call.refuse(why)
                case Cancel(lease):
                    lease.call.cancel(lease)
                case Probe() as probe:
                    self._asking.ask(probe)
                case Joined(backend):
                    backend.site = self._site(backend, self.reported)
                case Left(backend):
                    backend.site.retire()
                case Swapped(needs):
                    self._swapped(needs)
                case news:
                    tell(self._log, news)

    def heard(self, backend: Backend, result: ProbeResult | LoadReport) -> None:
        """A probe has been answered."""
        self.balancer.observed(backend, self._context.now(), result)
        self.drain()
        if isinstance(result, ProbeResult) and not self.answered.is_set():
            if result.ours:
                self.answered.set()  # who knows when
            self._look()

    def _look(self) -> None:
        if all(it.health.state is not Health.UNKNOWN for it in self.balancer.pool.backends):
            self.answered.set()

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_at = at
        if at != NEVER:
            loop = self._context.loop
            wait = max(at - self._context.now(), SOON)
            self._alarm = loop.call_at(loop.time() + wait, self._wake)

    def _wake(self) -> None:
        self._alarm_at = NEVER
        now = self._context.now()
        if now >= self.balancer.wakes_at:
            self.balancer.wake(now)
        self.drain()
