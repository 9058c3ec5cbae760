"""Everything that decides, in one object; the proxy and the simulator only carry out.

The common path is `lease = balancer.admit(call, now)` and, after the last byte, `lease.done(now)`.
Whatever else a driver must do comes through `out`, which it drains from its own loop, so nothing is
ever decided in the middle of something else. One timer, set to `wakes_at`, serves all deadlines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush
from typing import Generic, Protocol, TypeVar

from lb.balancing.backend import LATENCY_GAIN, Backend, Settings, State
from lb.balancing.health import Health, HealthPolicy, ProbeResult
from lb.balancing.pool import Pool
from lb.balancing.retries import RetryBudget, RetryPolicy
from lb.balancing.subset import SubsetPolicy
from lb.balancing.waiting import QueuePolicy, WaitingLine
from lb.strategies import Outcome, Probing, Random, Strategy, create

OK = Outcome.OK  # reading a member off an Enum costs as much as a small method


class Call(Protocol):
    """What a driver hands in: the proxy's exchange, or the simulator's request."""

    key: bytes
    """What hash strategies see."""
    tried: tuple[Backend, ...]
    """Backends that failed this call; the balancer extends it."""
    deadline: float
    """No retry starts at or after this time."""

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent twice."""


C = TypeVar("C", bound=Call)


class Why(Enum):
    """Reasons to refuse a call that no backend is to blame for."""

    NO_BACKEND = "no_backend"
    QUEUE_FULL = "queue_full"
    QUEUE_TIMEOUT = "queue_timeout"


class Lease(Generic[C]):
    """One attempt: `call` is at `backend` since `started_at`."""

    __slots__ = ("_balancer", "backend", "call", "open", "started_at")

    def __init__(self, balancer: Balancer[C], call: C, backend: Backend, now: float) -> None:
        self._balancer = balancer
        self.call = call
        self.backend = backend
        self.started_at = now
        self.open = True

    def __repr__(self) -> str:
        return f"<Lease of {self.backend.name} {'open' if self.open else 'done'}>"

    def done(self, now: float, outcome: Outcome = OK, first_byte: float | None = None) -> None:
        """End the attempt. Exactly once, after the last byte, on every path.

        `first_byte` is when the answer began; `now` stands in when there is no such time.
        """
        assert self.open, f"{self!r}: done() twice"
        self.open = False
        backend = self.backend
        active = backend.active = backend.active - 1
        latency = (now if first_byte is None else first_byte) - self.started_at
        if outcome is OK:
            backend.succeeded += 1
            old = backend.response_time
            backend.response_time = latency if old is None else old + LATENCY_GAIN * (latency - old)
        elif outcome.teaches:
            backend.failed += 1
        balancer = self._balancer
        balancer.strategy.finished(backend, now, outcome, latency)
        if active == backend.limit - 1:
            balancer.unblocked(backend, now)


@dataclass(frozen=True, slots=True)
class Start(Generic[C]):
    """Carry out this attempt: a retry, or a call that has waited."""

    lease: Lease[C]


@dataclass(frozen=True, slots=True)
class Refuse(Generic[C]):
    """Tell the client no. An Outcome means the last attempt broke and is not tried again."""

    call: C
    why: Why | Outcome


class ProbeKind(Enum):
    """What a probe asks for: a ProbeResult, or a LoadReport."""

    HEALTH = "health"
    LOAD = "load"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a backend says of its load, in a probe's answer or with a response."""

    in_flight: int
    latency: float
    """Seconds it takes for one request at present."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask the backend how it is, and bring the answer to `observed`."""

    backend: Backend
    kind: ProbeKind = ProbeKind.HEALTH


@dataclass(frozen=True, slots=True)
class Changed:
    """News for the log: a backend went up or down."""

    backend: Backend
    why: str


Action = Start[C] | Refuse[C] | Probe | Changed


class Balancer(Generic[C]):
    """Decides for one balancer. `now` is any clock in seconds that never goes back."""

    lease_type: type[Lease[C]] = Lease

    def __init__(
        self,
        backends: Sequence[Settings],
        algorithm: str,
        settings: Mapping[str, object] | None = None,
        *,
        rng: Random,
        now: float = 0.0,
        health: HealthPolicy | None = None,
        retries: RetryPolicy | None = None,
        queue: QueuePolicy | None = None,
        subset: SubsetPolicy | None = None,
    ) -> None:
        """Raises UsageError for an unknown algorithm or parameter."""
        self.out: deque[Action[C]] = deque()
        self.wakes_at = float("inf")
        self.algorithm = algorithm
        self.admitted = 0
        self._rng = rng
        self._health = health or HealthPolicy()
        self._retries = retries or RetryPolicy()
        self._budget = RetryBudget(self._retries, now)
        self._line: WaitingLine[C] = WaitingLine(queue or QueuePolicy())
        self._probes_due: list[tuple[float, int, Backend]] = []
        self._next_order = 0
        self._use(create(algorithm, rng, settings))
        self.pool = Pool(self.strategy, subset)
        for row in backends:
            self.add(row, now)

    def __repr__(self) -> str:
        return f"<Balancer {self.algorithm} {self.pool!r} {len(self._line)} waiting>"

    # --- calls

    def admit(self, call: C, now: float) -> Lease[C] | None:
        """A lease, or None: the call waits or is refused, and the rest comes through `out`."""
        self.admitted += 1
        backend = self._pick(now, call.key, call.tried)
        if backend is not None:
            return self._start(call, backend, now)
        if self.pool.empty:
            self.out.append(Refuse(call, Why.NO_BACKEND))
        elif self._line.enter(call, now):
            self._set_alarm()
        else:
            self.out.append(Refuse(call, Why.QUEUE_FULL))
        return None

    def failed(self, lease: Lease[C], now: float, outcome: Outcome, sent: bool) -> None:
        """An attempt broke before its answer began; a retry or its refusal comes through `out`.

        `sent`: some of the request may have reached the backend.
        """
        call = lease.call
        call.tried += (lease.backend,)
        lease.done(now, outcome)
        may_repeat = (call.idempotent or not sent) and now < call.deadline
        if (
            may_repeat
            and len(call.tried) <= self._retries.max
            and self._budget.spend(now, self.admitted)
        ):
            backend = self._pick(now, call.key, call.tried)
            if backend is not None:
                self.out.append(Start(self._start(call, backend, now)))
                return
        self.out.append(Refuse(call, outcome))

    def abandoned(self, call: C) -> bool:
        """The client of a waiting call is gone; False when the call was not waiting."""
        return self._line.leave(call)

    # --- probes and time

    def observed(self, backend: Backend, now: float, result: ProbeResult | LoadReport) -> None:
        """The answer of a probe; a load report may also come without having been asked for."""
        if isinstance(result, LoadReport):
            if self._prober is not None:
                self._prober.probed(backend, now, result.in_flight, result.latency)
            return
        if backend not in self.pool.backends:
            return
        backend.probing = False
        backend.checked_at = now
        if result.latency is not None and not backend.succeeded:
            backend.measured(result.latency)  # until real requests say better
        if backend.health.observe(result.ok):
            self.pool.refresh(now)
            self.out.append(Changed(backend, result.why))
            self._serve_waiting(now)
        spread = 1 + self._health.jitter * (2 * self._rng.random() - 1)
        self._schedule_probe(backend, now + backend.health.pause * spread)

    def wake(self, now: float) -> None:
        """Do what has fallen due."""
        for call in self._line.expired(now):
            self.out.append(Refuse(call, Why.QUEUE_TIMEOUT))
        due = self._probes_due
        while due and due[0][0] <= now:
            at, _, backend = heappop(due)
            if at != backend.probe_due or backend.probing or backend not in self.pool.backends:
                continue
            if backend.state is State.MAINT:
                self._schedule_probe(backend, now + self._health.interval)
            else:
                backend.probing = True
                self.out.append(Probe(backend))
        self._set_alarm()

    # --- control

    def add(self, settings: Settings, now: float) -> Backend:
        """A new backend, last in order; unknown until its first probe answers."""
        backend = Backend(settings, self._next_order, self._health)
        self._next_order += 1
        if not self._health.enabled:
            backend.health.state = Health.UP
        self.pool.add(backend, now)
        if self._health.enabled:
            self._schedule_probe(backend, now)
        self._serve_waiting(now)
        return backend

    def remove(self, backend: Backend, now: float) -> None:
        """No new calls; those in flight end as they would."""
        self.pool.remove(backend, now)
        self._serve_waiting(now)  # unknown backends take over from the last one up

    def set_state(self, backend: Backend, state: State, now: float) -> None:
        backend.state = state
        self.pool.refresh(now)
        self._serve_waiting(now)

    def set_weight(self, backend: Backend, weight: float, now: float) -> None:
        backend.weight = weight
        if backend in self.pool:
            self.strategy.reweigh(backend, now)

    def swap(
        self, algorithm: str, settings: Mapping[str, object] | None = None, now: float = 0.0
    ) -> None:
        """Another algorithm from the next pick on; backends forget nothing."""
        self._use(create(algorithm, self._rng, settings))
        self.pool.swap(self.strategy, now)
        self.algorithm = algorithm

    # --- inside

    def _use(self, strategy: Strategy[Backend]) -> None:
        self.strategy = strategy
        self._pick = strategy.pick  # looked up once, asked for every call
        self._prober = strategy if isinstance(strategy, Probing) else None

    def unblocked(self, backend: Backend, now: float) -> None:
        """A lease ended and left its backend below its limit again."""
        if backend in self.pool:
            self.strategy.unblock(backend, now)
            self._serve_waiting(now)

    def _start(self, call: C, backend: Backend, now: float) -> Lease[C]:
        backend.picked += 1
        active = backend.active = backend.active + 1
        self.strategy.started(backend, now)
        if active >= backend.limit:
            self.strategy.block(backend, now)
        if self._prober is not None:
            self.out.extend(Probe(asked, ProbeKind.LOAD) for asked in self._prober.probes(now))
        return self.lease_type(self, call, backend, now)

    def _serve_waiting(self, now: float) -> None:
        while self._line:
            call = self._line.first()
            backend = self._pick(now, call.key, call.tried)
            if backend is None:
                return
            self._line.leave(call)
            self.out.append(Start(self._start(call, backend, now)))

    def _schedule_probe(self, backend: Backend, at: float) -> None:
        backend.probe_due = at
        heappush(self._probes_due, (at, backend.order, backend))
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = self._probes_due[0][0] if self._probes_due else float("inf")
        self.wakes_at = min(due, self._line.next_deadline)
