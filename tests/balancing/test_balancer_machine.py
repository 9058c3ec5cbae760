"""The balancer under any order of events: what may never happen, and what always must."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from lb.balancing import (
    Outcome,
    ProbeResult,
    Refuse,
    Settings,
    Start,
    State,
    Why,
)
from lb.strategies import REGISTRY
from tests.balancing.account import LINE, Account
from tests.doubles import Request

ENDS = st.sampled_from(Outcome)
FAILURES = st.sampled_from([Outcome.CONNECT, Outcome.RESET, Outcome.TIMEOUT, Outcome.SERVER_ERROR])


class AnyDriver(Account):
    """Tells a balancer anything that a proxy might."""

    # --- calls

    @rule(idempotent=st.booleans(), patience=st.sampled_from([2.0, 100.0]))
    def admit(self, idempotent: bool, patience: float) -> None:
        call = Request(idempotent=idempotent, deadline=self.now + patience)
        self.calls.append(call)
        room, usable = self.room(), self.usable()
        share = self.balancer.snapshot(self.now).shedding
        lease = self.balancer.admit(call, self.now)
        if self.balancer.out and self.balancer.out[0] == Refuse(call, Why.OVERLOADED):
            assert share > 0
            assert lease is None
            self.balancer.out.popleft()
            self.fates[call] += 1
        elif room:
            assert lease is not None
            assert lease.backend in room
            self.take(lease)
        else:
            assert lease is None
            if not usable:
                assert self.balancer.out.popleft() == Refuse(call, Why.NO_BACKEND)
                self.fates[call] += 1
            elif len(self.line) < LINE.limit:
                self.line.append((call, self.now))
            else:
                assert self.balancer.out.popleft() == Refuse(call, Why.QUEUE_FULL)
                self.fates[call] += 1
        self.drain()

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0), status=st.sampled_from([200, 503]))
    def answer_begins(self, which: int, status: int) -> None:
        lease = self.open[which % len(self.open)]
        if lease in self.answering:
            return
        alone = self.attempts(lease.call) == [lease]
        if status in self.balancer.retry_statuses:
            tried = lease.call.tried
            self.open.remove(lease)
            if self.balancer.declined(lease, self.now, status):
                assert not lease.open
                self.drain(failed=lease.call if alone else None)
                assert lease.call not in self.pausing
                return
            assert alone
            assert lease.open
            assert lease.call.tried == tried
            self.open.append(lease)
        self.answering.add(lease)
        self.balancer.answered(lease, self.now)
        self.drain()
        assert self.attempts(lease.call) == [lease]

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0), outcome=ENDS)
    def done(self, which: int, outcome: Outcome) -> None:
        lease = self.open[which % len(self.open)]
        if outcome.teaches:
            self.answer_begins(which, 200)
        for it in self.attempts(lease.call):
            self.open.remove(it)
            it.done(self.now, outcome)
        self.fates[lease.call] += 1
        self.drain()

    @precondition(lambda self: any(it not in self.answering for it in self.open))
    @rule(which=st.integers(0), outcome=FAILURES, sent=st.booleans())
    def failed(self, which: int, outcome: Outcome, sent: bool) -> None:
        unanswered = [it for it in self.open if it not in self.answering]
        lease = unanswered[which % len(unanswered)]
        self.open.remove(lease)
        attempts = len(lease.call.tried) + 1
        repeatable = (lease.call.idempotent or not sent) and outcome is not Outcome.TIMEOUT
        alone = not self.attempts(lease.call)
        self.balancer.failed(lease, self.now, outcome, sent)
        assert lease.call.tried[-1] is lease.backend
        again = [
            a for a in self.balancer.out if isinstance(a, Start) and a.lease.call is lease.call
        ]
        if again:
            assert alone
            assert repeatable
            assert attempts <= 2
            assert self.now < lease.call.deadline
        self.drain(failed=lease.call if alone else None)

    @precondition(lambda self: self.pausing)
    @rule(which=st.integers(0))
    def leaves_between_two_tries(self, which: int) -> None:
        call = self.pausing.pop(which % len(self.pausing))
        assert self.balancer.abandoned(call)
        self.fates[call] += 1
        self.drain()

    @precondition(lambda self: self.line)
    @rule(which=st.integers(0))
    def abandoned(self, which: int) -> None:
        call, _ = self.line.pop(which % len(self.line))
        assert self.balancer.abandoned(call)
        self.fates[call] += 1
        self.drain()

    # --- time and probes

    @rule(passes=st.sampled_from([0.01, 0.5, 1.0, 3.0, 12.0]))
    def time_passes(self, passes: float) -> None:
        until = self.now + passes
        while self.balancer.wakes_at <= until:
            self.now = max(self.now, self.balancer.wakes_at)
            self.balancer.wake(self.now)
            assert self.balancer.wakes_at > self.now, "an alarm that was heard is set anew"
            self.drain()
        self.now = until

    @rule(seconds=st.sampled_from([0.0, 0.3, 9.0]))
    def the_loop_is_late(self, seconds: float) -> None:
        self.balancer.lagged(seconds, self.now)

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(0), ok=st.booleans(), refused=st.booleans(), drain=st.booleans())
    def probe_answers(self, which: int, ok: bool, refused: bool, drain: bool) -> None:
        backend = self.asked.pop(which % len(self.asked))
        result = ProbeResult(ok, latency=0.1, refused=refused and not ok, drain=drain and ok)
        self.balancer.observed(backend, self.now, result)
        self.drain()

    # --- control

    @precondition(lambda self: len(self.balancer.pool.backends) < 5)
    @rule(
        weight=st.integers(1, 4),
        limit=st.sampled_from([None, 1, 2, "adaptive"]),
        priority=st.sampled_from([0, 0, 1]),
    )
    def add(self, weight: int, limit: int | str | None, priority: int) -> None:
        address = f"10.0.0.{len(self.known) + 1}:80"
        backend = self.balancer.add(
            Settings(address, weight, max_in_flight=limit, priority=priority), self.now
        )
        assert backend.order == max(b.order for b in self.known) + 1
        self.known.append(backend)
        self.drain()

    @precondition(lambda self: self.balancer.pool.backends)
    @rule(which=st.integers(0))
    def remove(self, which: int) -> None:
        backends = self.balancer.pool.backends
        self.balancer.remove(backends[which % len(backends)], self.now)
        self.drain()

    @precondition(lambda self: self.balancer.pool.backends)
    @rule(which=st.integers(0), state=st.sampled_from(State))
    def set_state(self, which: int, state: State) -> None:
        backends = self.balancer.pool.backends
        self.balancer.set_state(backends[which % len(backends)], state, self.now)
        self.drain()

    @precondition(lambda self: self.balancer.pool.backends)
    @rule(which=st.integers(0), weight=st.integers(1, 5))
    def set_weight(self, which: int, weight: int) -> None:
        backends = self.balancer.pool.backends
        self.balancer.set_weight(backends[which % len(backends)], weight, self.now)
        self.drain()

    @rule(algorithm=st.sampled_from(sorted(REGISTRY)))
    def swap(self, algorithm: str) -> None:
        self.balancer.swap(algorithm, now=self.now)
        self.drain()

    @invariant()
    def in_flight_is_what_is_open(self) -> None:
        held = Counter(lease.backend for lease in self.open)
        assert {b: b.active for b in self.known} == {b: held[b] for b in self.known}

    @invariant()
    def nobody_is_above_its_limit(self) -> None:
        assert all(b.active <= b.limit for b in self.known)

    @invariant()
    def nobody_waits_beside_a_free_place(self) -> None:
        assert not (self.line and self.room())

    @invariant()
    def nobody_waits_for_nobody(self) -> None:
        assert self.usable() or not self.line

    @invariant()
    def what_is_usable_is_known_to_each(self) -> None:
        assert [b for b in self.known if b.usable] == sorted(
            self.usable(), key=lambda backend: backend.order
        )

    @invariant()
    def no_more_are_ejected_than_may_be(self) -> None:
        backends = self.balancer.pool.backends
        assert sum(b.ejected for b in backends) <= max(1, len(self.known) / 2)
        assert all(b.ejected == (b.ejected_until > self.now) for b in backends)

    @invariant()
    def the_books_balance(self) -> None:
        for b in self.known:
            assert b.picked == b.succeeded + b.failed + b.gone + b.cancelled + b.active
        now = self.balancer.snapshot(self.now)
        books = [*(view.counts for view in now.backends), *now.departed.values()]
        for it in books:
            assert it.picked == it.succeeded + it.failed + it.gone + it.cancelled + it.connections
        picked = sum(it.picked for it in books)
        assert picked == sum(b.picked for b in self.known)
        assert now.backing_off == len(self.pausing)
        assert now.requests + now.retried + now.hedged == (
            picked + now.turned_away + now.left_line + now.waiting
        )

    @invariant()
    def every_call_has_one_fate_or_is_under_way(self) -> None:
        under_way = {lease.call for lease in self.open} | {call for call, _ in self.line}
        fates = self.fates + Counter([*under_way, *self.pausing])
        assert all(fates[call] == 1 for call in self.calls)

    @invariant()
    def the_alarm_is_never_late(self) -> None:
        if self.line:
            assert self.balancer.wakes_at <= self.line[0][1] + LINE.timeout

    def teardown(self) -> None:
        """When every lease has ended, nothing is left in flight."""
        while getattr(self, "open", None):
            self.done(0, Outcome.OK)
        assert all(b.active == 0 for b in getattr(self, "known", []))


TestAnyDriver: Any = AnyDriver.TestCase
TestAnyDriver.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
