"""Balancers that are recorded while anything may happen to them."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from lb.balancing import (
    Backend,
    Cancel,
    HealthPolicy,
    HedgePolicy,
    LoadReport,
    Outcome,
    Probe,
    ProbeResult,
    QueuePolicy,
    RetryPolicy,
    Settings,
    Setup,
    Start,
    State,
)
from lb.recording.writer import RecordedBalancer
from lb.strategies import REGISTRY
from tests.doubles import Request

SEED = 11
UNCHECKED = HealthPolicy(enabled=False)
BACKENDS = (
    Settings("10.0.0.1:80", name="a", max_in_flight=2),
    Settings("10.0.0.2:80", weight=2, name="b", max_in_flight=3),
    Settings("10.0.0.3:80", weight=0.5, name="c", max_in_flight="adaptive"),
)

WHICH = st.integers(0, 1000)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), WHICH),
        st.tuples(st.sampled_from(["admit", "done", "failed", "abandoned", "probed"]), WHICH),
        st.tuples(st.sampled_from(["reported", "lagged", "answered", "declined"]), WHICH),
        st.tuples(st.just("passes"), st.floats(0.001, 12.0)),
        st.tuples(
            st.sampled_from(["drain", "add", "remove", "state", "weight", "swap", "applied"]), WHICH
        ),
    ),
    max_size=80,
)
"""For `Player.play`."""


class Player:
    """A driver that does as it is told; what makes no sense at the moment is passed over."""

    def __init__(self, algorithm: str = "round_robin", **policies: Any) -> None:
        self.blocks: list[bytes] = []
        self.now = 100.0
        self.balancer: RecordedBalancer[Request] = RecordedBalancer(
            Setup(
                policies.pop("backends", BACKENDS),
                algorithm,
                policies.pop("settings", {}),
                **policies,
            ),
            Random(SEED),
            self.now,
            seed=SEED,
            sink=self.blocks.append,
        )
        self.known = list(self.balancer.pool.backends)
        self.open: list[Any] = []
        self.begun: set[Any] = set()
        self.asked: list[Backend] = []
        self.calls: list[Request] = []

    @property
    def bytes(self) -> bytes:
        return b"".join(self.blocks)

    def close(self) -> bytes:
        self.balancer.close()
        return self.bytes

    def play(self, events: list[tuple[str, Any]]) -> None:
        for kind, argument in events:
            getattr(self, kind)(argument)

    def finish(self) -> None:
        """Bring every call to its end."""
        self.drain()
        while self.open:  # those that wait take over from those that end
            self.done()
            self.drain()

    # --- what may happen

    def admit(self, which: int = 0, key: bytes | None = None) -> Any:
        call = Request(
            key=b"key-%d" % (which % 7) if key is None else key,
            idempotent=which % 3 > 0,
            deadline=self.now + which / 100 if which % 5 == 0 else float("inf"),
        )
        self.calls.append(call)
        lease = self.balancer.admit(call, self.now)
        if lease is not None:
            self.open.append(lease)
        return lease

    def done(self, which: int = 0) -> None:
        if self.open:
            lease = self.open[which % len(self.open)]
            outcome = list(Outcome)[which % 7]
            first_byte = None if which % 2 else (lease.started_at + self.now) / 2
            if outcome.teaches:
                self.answered(which)
            for it in [it for it in self.open if it.call is lease.call]:
                self.open.remove(it)
                it.done(self.now, outcome, first_byte if it is lease else None)

    def answered(self, which: int = 0) -> None:
        if self.open and self.balancer.hedging:
            lease = self.open[which % len(self.open)]
            if lease not in self.begun:
                self.begun.add(lease)
                self.balancer.answered(lease, self.now)
                self.drain()

    def declined(self, which: int = 0) -> None:
        lease = self._unanswered(which)
        if lease is not None:
            status = 503 if which % 2 else 429
            if self.balancer.declined(lease, self.now, status):
                self.open.remove(lease)
                self.drain()

    def failed(self, which: int = 0) -> None:
        lease = self._unanswered(which)
        if lease is not None:
            self.open.remove(lease)
            outcome = list(Outcome)[1 + which % 4]
            self.balancer.failed(lease, self.now, outcome, sent=which % 2 > 0)

    def _unanswered(self, which: int) -> Any:
        unanswered = [it for it in self.open if it not in self.begun]
        return unanswered[which % len(unanswered)] if unanswered else None

    def abandoned(self, which: int = 0) -> None:
        if self.calls:
            self.balancer.abandoned(self.calls[which % len(self.calls)])

    def drain(self, _: int = 0) -> None:
        while self.balancer.out:
            match self.balancer.out.popleft():
                case Start(lease):
                    self.open.append(lease)
                case Cancel(lease):
                    self.open.remove(lease)
                    lease.done(self.now, Outcome.CANCELLED)
                case Probe(backend):
                    self.asked.append(backend)

    def probed(self, which: int = 0) -> None:
        if self.asked:
            backend = self.asked.pop(which % len(self.asked))
            result = ProbeResult(
                which % 4 > 0, f"status {which}", which / 300 if which % 2 else None
            )
            self.balancer.observed(backend, self.now, result)

    def reported(self, which: int = 0) -> None:
        backend = self.known[which % len(self.known)]
        self.balancer.observed(backend, self.now, LoadReport(which % 9, which / 900))

    def lagged(self, which: int = 0) -> None:
        self.balancer.lagged(which / 500, self.now)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        if self.balancer.wakes_at <= self.now:
            self.balancer.wake(self.now)
            self.drain()

    def stepped(self, which: int = 0) -> None:
        """As a worker that begins some picks ahead of the others."""
        for _ in range(which):
            self.balancer.pool.pick(self.now, b"", ())
        self.balancer.stepped(which, self.now)

    def add(self, which: int = 0) -> None:
        settings = Settings(f"10.0.1.{len(self.known)}:80", 1 + which % 3, max_in_flight=3)
        self.known.append(self.balancer.add(settings, self.now))

    def applied(self, which: int = 0) -> None:
        before = self.balancer.setup
        rows = list(before.backends[which % 2 :])
        if rows:
            rows[-1] = replace(rows[-1], weight=1 + which % 4, max_in_flight=1 + which % 5)
        rows.append(Settings(f"10.0.2.{which}:80", max_in_flight=2 if which % 3 else "adaptive"))
        names = ("p2c", "prequal", before.algorithm)
        setup = replace(
            before,
            backends=tuple({row.label: row for row in rows}.values()),
            algorithm=names[which % 3],
            settings={},
            queue=QueuePolicy(
                limit=which % 5, timeout=4.0, discipline=("fifo", "adaptive")[which % 2]
            ),
            health=replace(before.health, fall=1 + which % 3),
        )
        self.balancer.apply(setup, self.now)
        for backend in self.balancer.pool.backends:
            if backend not in self.known:
                self.known.append(backend)

    def remove(self, which: int = 0) -> None:
        members = self.balancer.pool.backends
        if members:
            self.balancer.remove(members[which % len(members)], self.now)

    def state(self, which: int = 0) -> None:
        members = self.balancer.pool.backends
        if members:
            state = list(State)[which % 4]
            self.balancer.set_state(members[which % len(members)], state, self.now)

    def weight(self, which: int = 0) -> None:
        members = self.balancer.pool.backends
        if members:
            self.balancer.set_weight(members[which % len(members)], 1 + which % 5, self.now)

    def swap(self, which: int = 0) -> None:
        self.balancer.swap(sorted(REGISTRY)[which % len(REGISTRY)], now=self.now)


def full_policies() -> dict[str, Any]:
    """Everything switched on, at sizes that are reached."""
    return {
        "health": HealthPolicy(interval=8.0, fast_interval=1.0, fall=2),
        "retries": RetryPolicy(
            max=2, on=("connect", "reset", 503, 429), min_per_second=0.2, window=10.0
        ),
        "hedging": HedgePolicy(after=0.6),
        "queue": QueuePolicy(limit=3, timeout=5.0, discipline="adaptive", max_lag=0.1),
    }
