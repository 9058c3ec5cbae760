"""What a balancer is asked to account for: a simple model of who is where."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from lb.balancing import (
    Backend,
    Balancer,
    Cancel,
    Changed,
    HealthPolicy,
    HedgePolicy,
    Joined,
    Lease,
    Left,
    LoadReport,
    Outcome,
    OutlierPolicy,
    PanicPolicy,
    Probe,
    ProbeKind,
    QueuePolicy,
    Refuse,
    RetryPolicy,
    Settings,
    Setup,
    SlowStartPolicy,
    Start,
    State,
    Swapped,
    Why,
)
from lb.balancing.health import Health
from lb.strategies import REGISTRY
from tests.doubles import Request

LINE = QueuePolicy(limit=3, timeout=5.0)
HEDGE_AFTER = 0.7


class Account(RuleBasedStateMachine):
    """Carries out what a balancer asks for, and keeps its own, simpler account of everything."""

    @initialize(
        algorithm=st.sampled_from(sorted(REGISTRY)),
        checks=st.booleans(),
        threshold=st.sampled_from([0.0, 0.3, 0.6]),
        hedging=st.booleans(),
        priority=st.sampled_from([0, 1]),
    )
    def begin(
        self, algorithm: str, checks: bool, threshold: float, hedging: bool, priority: int
    ) -> None:
        self.now = 0.0
        self.rng = Random(0)
        self.balancer = Balancer(
            Setup(
                (
                    Settings("10.0.0.1:80"),
                    Settings("10.0.0.2:80", weight=3, max_in_flight=2, priority=priority),
                ),
                algorithm,
                health=HealthPolicy(enabled=checks, interval=10.0, fast_interval=1.0),
                retries=RetryPolicy(
                    max=2, on=("connect", "reset", 503), min_per_second=0.1, window=10.0
                ),
                hedging=HedgePolicy(after=HEDGE_AFTER if hedging else None),
                queue=LINE,
                panic=PanicPolicy(threshold),
                outliers=OutlierPolicy(consecutive_failures=2, eject=2.0),
                slow_start=SlowStartPolicy(duration=5.0),
            ),
            self.rng,
        )
        self.joined: set[Backend] = set()
        self.known = list(self.balancer.pool.backends)  # those removed too
        self.open: list[Lease] = []
        self.line: list[tuple[Request, float]] = []  # waiting calls and when they came
        self.pausing: list[Request] = []  # between two tries
        self.answering: set[Lease] = set()  # their answers have begun
        self.asked: list[Backend] = []  # probes not answered yet
        self.fates: Counter[Request] = Counter()  # how often each call came to an end
        self.calls: list[Request] = []
        self.drain()

    # --- the account

    def usable(self) -> list[Backend]:
        """Who may be picked if limits did not matter, by the words of the design."""
        members = self.balancer.pool.backends
        wanted = [b for b in members if b.state is State.UP and not b.draining]
        usable = [b for b in wanted if not b.ejected and b.health.state is Health.UP]
        if usable:
            members = [b for b in members if b.health.state is not Health.UNKNOWN]
            wanted = [b for b in wanted if b in members]
        else:
            usable = [b for b in wanted if not b.ejected and b.health.state is Health.UNKNOWN]
        able = 0.0
        tiers = []
        for priority in {b.priority for b in members}:
            tier, mine, those = (
                [b for b in group if b.priority == priority] for group in (members, usable, wanted)
            )
            able += min(1.0, 1.4 * len(mine) / len(tier))
            tiers.append((mine, those))
        return usable + [b for mine, those in tiers for b in self.desperate(able, mine, those)]

    def desperate(self, able: float, usable: list[Backend], wanted: list[Backend]) -> list[Backend]:
        """Those that panic adds to a tier."""
        if able >= 1 or len(usable) >= self.balancer.setup.panic.threshold * len(wanted):
            return []
        others = [b for b in wanted if b not in usable and not b.refusing]
        return [b for b in others if b.health.state is not Health.UNKNOWN]

    def attempts(self, call: Request) -> list[Lease]:
        """Those under way."""
        return [lease for lease in self.open if lease.call is call]

    def room(self) -> list[Backend]:
        return [b for b in self.usable() if b.active < b.limit]

    def account_for(self, lease: Lease) -> None:
        """Why does this attempt start now?"""
        others = self.attempts(lease.call)
        if lease.call in self.pausing:
            self.pausing.remove(lease.call)
        elif others:
            (other,) = others
            assert lease.call.idempotent
            assert other not in self.answering
            assert self.now >= other.started_at + HEDGE_AFTER
            assert lease.backend not in (*lease.call.tried, other.backend)
        else:
            first, _ = self.line.pop(0)
            assert lease.call is first, "the line is first come, first served"

    def take(self, lease: Lease) -> None:
        backend = lease.backend
        assert backend in self.joined
        assert backend in self.usable()
        assert backend.active <= backend.limit
        assert lease.open
        assert lease.started_at == self.now
        untried = [b for b in self.usable() if b not in lease.call.tried]
        if backend in lease.call.tried:
            assert all(b.active >= b.limit for b in untried)
        self.open.append(lease)

    def refused(self, call: Request, why: Why | Outcome, failed: Request | None) -> None:
        if isinstance(why, Why):
            first, came = self.line.pop(0)
            assert call is first
            assert why in (Why.QUEUE_TIMEOUT, Why.NO_BACKEND)
            if why is Why.QUEUE_TIMEOUT:
                assert self.now >= came + LINE.timeout
        elif call is not failed:
            self.pausing.remove(call)
        self.fates[call] += 1

    def drain(self, failed: Request | None = None) -> None:
        """Carry out what the balancer asks for; `failed` is the call whose attempt just broke."""
        while self.balancer.out:
            match self.balancer.out.popleft():
                case Joined(backend):
                    assert backend not in self.joined
                    self.joined.add(backend)
                case Left(backend):
                    self.joined.remove(backend)
                case Swapped(needs):
                    assert needs == self.balancer.needs
                case Start(lease):
                    if lease.call is failed:
                        failed = None
                    else:
                        self.account_for(lease)
                    self.take(lease)
                case Refuse(call, why):
                    self.refused(call, why, failed)
                    failed = None if call is failed else failed
                case Cancel(lease):
                    self.open.remove(lease)
                    lease.done(self.now, Outcome.CANCELLED)
                case Probe(backend, ProbeKind.LOAD):
                    assert backend.usable
                    self.balancer.observed(backend, self.now, LoadReport(backend.active, 0.1))
                case Probe(backend):
                    assert backend in self.balancer.pool.backends
                    assert backend.state is not State.MAINT
                    assert backend not in self.asked, "one probe at a time"
                    self.asked.append(backend)
                case Changed(backend):
                    assert backend.health.state is not Health.UNKNOWN
        if failed is not None:
            assert set(self.usable()) <= set(failed.tried)
            self.pausing.append(failed)
