"""Everything that decides, in one object; the proxy and the simulator only carry out.

The common path is `lease = balancer.admit(call, now)` and, after the last byte, `lease.done(now)`.
Whatever else a driver must do comes through `out`, which it drains from its own loop, so nothing is
ever decided in the middle of something else. One timer, set to `wakes_at`, serves all deadlines.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Generic

from lb.balancing.actions import Action, Cancel, Probe, ProbeKind, Refuse, Start, Why
from lb.balancing.agenda import Agenda
from lb.balancing.backend import Backend
from lb.balancing.call import C
from lb.balancing.extra import ExtraAttempts
from lb.balancing.fleet import TROUBLE, Fleet
from lb.balancing.health import ProbeResult
from lb.balancing.lease import OK, Ending, Lease, part, rival_of
from lb.balancing.settings import Settings, State
from lb.balancing.setup import Setup
from lb.balancing.shedding import Shedding
from lb.balancing.snapshot import Snapshot, taken
from lb.balancing.waiting import WaitingLine
from lb.native.marks import mypyc_attr
from lb.strategies import LoadReport, Outcome, Random

REASONS = (*Why, *TROUBLE, Outcome.SERVER_ERROR, Outcome.CANCELLED)  # to refuse a call


@mypyc_attr(allow_interpreted_subclasses=True)
class Balancer(Ending, Generic[C]):
    """Decides for one balancer. `now` is any clock in seconds that never goes back."""

    def __init__(self, setup: Setup, rng: Random, now: float = 0.0) -> None:
        """`out` begins with a `Joined` for each backend.

        Raises UsageError for an unknown algorithm or parameter.
        """
        self.out: deque[Action[C]] = deque()
        self.lease_type: Callable[[Ending, C, Backend, float], Lease[C]] = Lease
        self.admitted = 0
        self._turned_away = self._left_line = 0
        self._refused: Counter[str] = Counter({why.value: 0 for why in REASONS})
        self._agenda = Agenda()
        self._extra: ExtraAttempts[C] = ExtraAttempts(
            setup, self._agenda, rng, self, self._start, self._refuse, now
        )
        self._budget = self._extra.retries.budget
        self._sample_at = self._budget.sample_at
        self._line: WaitingLine[C] = WaitingLine(setup.queue, self._agenda, self._turn_away)
        self._shedding = Shedding(setup.queue.max_lag)
        self._shed = False  # the call that is being admitted is to be refused
        self.fleet = Fleet(setup, rng, self.out, self._agenda, self._settled, now)
        self.pool = self.fleet.pool
        self._look_up()
        self.fleet.begin(now)

    def __repr__(self) -> str:
        return f"<Balancer {self.algorithm} {self.pool!r} {len(self._line)} waiting>"

    @property
    def setup(self) -> Setup:
        """What would make this balancer as it is configured now."""
        return self.fleet.setup

    @property
    def algorithm(self) -> str:
        """The name of the one that picks."""
        return self.setup.algorithm

    @property
    def needs(self) -> frozenset[str]:
        """What the algorithm needs of the driver, see `Spec.needs`."""
        return self.fleet.needs

    @property
    def wakes_at(self) -> float:
        """When `wake` wants to be called; infinity when nothing will fall due."""
        return self._agenda.next_at

    @property
    def hedging(self) -> bool:
        """Whether `answered` is to be called."""
        return self._extra.hedges.on

    @property
    def retry_statuses(self) -> frozenset[int]:
        """Statuses of answers that are tried elsewhere, if they may be."""
        return self._extra.retries.statuses

    # --- calls

    def admit(self, call: C, now: float) -> Lease[C] | None:
        """A lease, or None: the call waits or is refused, and the rest comes through `out`."""
        if now >= self._sample_at:
            self._sample(now)
        self.admitted += 1
        if self._sheds:
            backend = self._pick_or_shed(now, call.key, call.tried)
        else:
            backend = self.pool.index.pick(now, call.key, call.tried)
        if backend is not None:
            return self._start(call, backend, now)
        self.unplaced(call, now)
        return None

    def place(self, key: bytes, now: float) -> Backend | None:
        """As `admit`, for a driver that keeps no lease: `settle` follows a good answer (then
        `made_room`, if it says so), and `unplaced` where nobody is picked. For any other end it
        makes the lease that it would have had, and it looks up itself whom to ask for their load,
        see `Pool.probes`. Not while `hedging`, which goes by leases.
        """
        if now >= self._sample_at:
            self._sample(now)
        self.admitted += 1
        if not self._sheds:
            return self.pool.place(now, key)
        if (backend := self._pick_or_shed(now, key, ())) is not None:
            self.pool.take(backend, now)
        return backend

    def settle(self, backend: Backend, now: float, latency: float) -> bool:
        """A good answer came from where `place` sent its call; True when that made room."""
        if self._limited:
            return self.fleet.limits.settle(backend, now, latency)
        return self.pool.settle(backend, now, latency)

    def unplaced(self, call: C, now: float) -> None:
        """Nobody was picked for a call: it waits in line, or is refused."""
        if self._shed:
            self._shed = False
            self._turn_away(call, Why.OVERLOADED)
        elif self.pool.empty:
            self._turn_away(call, Why.NO_BACKEND)
        elif not self._line.enter(call, now):
            self._turn_away(call, Why.QUEUE_FULL)

    def failed(self, lease: Lease[C], now: float, outcome: Outcome, sent: bool) -> None:
        """An attempt broke before its answer began; a retry or its refusal comes through `out`.

        `sent`: some of the request may have reached the backend.
        """
        call = lease.call
        call.tried += (lease.backend,)
        other = part(lease)
        lease.done(now, outcome)
        if other is None:  # else the call goes on with that
            self._extra.after(call, now, outcome, sent)

    def movable(self, lease: Lease[C], now: float, sent: bool) -> bool:
        """Whether the call would go on elsewhere if this attempt, which waits, were to time out."""
        call, tried = lease.call, lease.call.tried
        if rival_of(lease) is not None:
            return True
        call.tried += (lease.backend,)
        movable = self._extra.movable(call, now, Outcome.TIMEOUT, sent)
        call.tried = tried
        return movable

    def doubts(self, lease: Lease[C], status: int) -> bool:
        """Whether `declined` is to be asked about an answer of this status.

        An error does not win against another attempt that is under way.
        """
        return status in self.retry_statuses or (status >= 500 and rival_of(lease) is not None)

    def declined(self, lease: Lease[C], now: float, status: int) -> bool:
        """The final answer has begun, and is one to doubt; is it tried elsewhere?

        If so the attempt is over, and its answer is to be forgotten: the call's other attempt goes
        on, or the start of another one comes through `out`. Else the answer stands.
        """
        call, tried = lease.call, lease.call.tried
        call.tried += (lease.backend,)
        if part(lease) is None and not self._extra.instead(call, now):
            call.tried = tried
            return False
        lease.done(now, OK if status < 500 else Outcome.SERVER_ERROR)
        return True

    def answered(self, lease: Lease[C], now: float) -> None:
        """The final answer has begun, and stands; to be called while `hedging`."""
        began, other = lease.started_at, part(lease)
        if other is not None:
            self._extra.hedges.won += other.started_at < began
            began = min(began, other.started_at)
            self.out.append(Cancel(other))
        self._extra.hedges.answered(lease, now - began)

    def abandoned(self, call: C) -> bool:
        """The client of a waiting call is gone; False when the call was not waiting.

        It may have waited in line, or for its next try.
        """
        if self._line.leave(call):
            self._left_line += 1
            return True
        return self._extra.pauses.leave(call)

    def made_room(self, now: float) -> None:
        """A lease is done whose backend was full; called by the lease, or after `settle`."""
        self._serve_waiting(now)

    def give(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> bool:
        """A lease of `backend` is done; called by the lease alone."""
        if self._limited:
            return self.fleet.limits.give(backend, now, outcome, latency)
        return self.pool.give(backend, now, outcome, latency)

    def broken(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> None:
        """A lease of `backend` is done without success; called by the lease alone."""
        if outcome is Outcome.CLIENT_GONE:
            backend.gone += 1
        elif outcome is Outcome.CANCELLED:
            backend.cancelled += 1
        else:
            backend.failed += 1
        made_room = self.give(backend, now, outcome, latency)
        # Before anybody who waits is sent to the same place.
        self.fleet.suffered(backend, now, outcome, latency)
        if made_room:
            self._serve_waiting(now)

    # --- probes and time

    def observed(self, backend: Backend, now: float, result: ProbeResult | LoadReport) -> None:
        """The answer of a probe; a load report may also come without having been asked for."""
        self.fleet.observed(backend, now, result)

    def lagged(self, seconds: float, now: float) -> None:
        """The driver's event loop was late by so much when it was looked at, which is regularly."""
        if self._shedding.minds(seconds):
            self._shedding.lagged(seconds)
            self._look_up()

    def wake(self, now: float) -> None:
        """Do what has fallen due."""
        self._agenda.wake(now)

    # --- control: see fleet.py

    def add(self, settings: Settings, now: float) -> Backend:
        """A new backend, last in order; unknown until its first probe answers."""
        return self.fleet.add(settings, now)

    def remove(self, backend: Backend, now: float) -> None:
        """No new calls; those in flight end as they would."""
        self.fleet.remove(backend, now)

    def set_state(self, backend: Backend, state: State, now: float) -> None:
        """What the operator wants of a backend."""
        self.fleet.set_state(backend, state, now)

    def set_weight(self, backend: Backend, weight: float, now: float) -> None:
        """Another configured weight."""
        self.fleet.set_weight(backend, weight, now)

    def swap(
        self, algorithm: str, settings: Mapping[str, object] | None = None, now: float = 0.0
    ) -> None:
        """Another algorithm from the next pick on; backends forget nothing.

        Raises UsageError for an unknown algorithm or parameter, and changes nothing then.
        """
        self.fleet.swap(algorithm, dict(settings or {}), now)

    def apply(self, setup: Setup, now: float) -> None:
        """Move to another setup: backends are the same when name and address are.

        Raises UsageError for an unknown algorithm or parameter, and changes nothing then.
        """
        before = self.setup
        if (setup.algorithm, setup.settings) != (before.algorithm, before.settings):
            self.fleet.swap(setup.algorithm, setup.settings, now)
        self._extra.adopt(before, setup)
        self._line.policy = setup.queue
        self._shedding.allowed = setup.queue.max_lag
        self.fleet.apply(setup, now)

    def snapshot(self, now: float) -> Snapshot:
        """What is known at this moment."""
        return taken(
            self.fleet,
            self._extra,
            now,
            requests=self.admitted,
            refused=dict(self._refused),
            turned_away=self._turned_away,
            waiting=len(self._line),
            left_line=self._left_line,
            shedding=self._shedding.share,
        )

    # --- inside

    def _look_up(self) -> None:
        # Looked up once, asked for every call.
        self._sheds = bool(self._shedding)
        self._limited = bool(self.fleet.limits)
        self._attending = self.pool.probing or self.hedging

    def _sample(self, now: float) -> None:
        self._budget.sample(now, self.admitted)
        self._sample_at = self._budget.sample_at

    def _pick_or_shed(self, now: float, key: bytes, tried: Sequence[Backend]) -> Backend | None:
        """For a call that comes, while the event loop is late."""
        self._shed = self._shedding.refuses()
        return None if self._shed else self.pool.pick(now, key, tried)

    def _start(self, call: C, backend: Backend, now: float) -> Lease[C]:
        self.pool.take(backend, now)
        lease = self.lease_type(self, call, backend, now)
        if self._attending:
            self._attend(lease, now)
        return lease

    def _refuse(self, call: C, why: Why | Outcome) -> None:
        self._refused[why.value] += 1
        self.out.append(Refuse(call, why))

    def _attend(self, lease: Lease[C], now: float) -> None:
        self.out.extend([Probe(asked, ProbeKind.LOAD) for asked in self.pool.probes(now)])
        if self.hedging:
            self._extra.hedges.watch(lease)

    def _serve_waiting(self, now: float) -> None:
        while self._line:
            call = self._line.next(now)
            backend = self.pool.pick(now, call.key, call.tried)
            if backend is None:
                return
            self._line.leave(call)
            self.out.append(Start(self._start(call, backend, now)))

    def _settled(self, now: float) -> None:
        """Who may be picked may have changed: the line goes on, or hears that nobody is left."""
        self._look_up()
        if not self.pool.empty:
            self._serve_waiting(now)
        elif not self._line.policy.hold:
            for call in self._line.disband():
                self._turn_away(call, Why.NO_BACKEND)

    def _turn_away(self, call: C, why: Why) -> None:
        self._turned_away += 1
        self._refuse(call, why)
