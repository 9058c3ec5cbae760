"""A recording played again, under its own algorithm or another.

Under its own, the balancer makes the same picks, bit for bit. Under another, the traffic is taken
as it was: an attempt ends when and how the recorded call's did, whoever carries it, and a call that
is over in the recording is over in the replay. So:

- a call refused there and picked here is started and cancelled at once;
- a call that still waits here when it ended there leaves the line;
- a call refused here stays refused, whatever became of it there;
- a retry made here alone is cancelled at once; one made there alone has no counterpart.

Latencies are the recorded ones even where another backend was picked, so the further a
latency-aware algorithm departs from the recording, the less it says.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from math import isnan
from operator import eq
from typing import Any, TypeVar

from lb.balancing import (
    Backend,
    Balancer,
    Lease,
    LoadReport,
    ProbeResult,
    Refuse,
    Settings,
    Setup,
    Start,
    State,
)
from lb.errors import BadRecording, UsageError
from lb.recording.format import HEAD, Kind
from lb.recording.reader import NONE, Decision, Entry, Header, Log
from lb.strategies import Outcome, Random, parse, spec

T = TypeVar("T")


@dataclass(frozen=True)
class Mismatch:
    """The first decision that came out otherwise."""

    event: int
    """From 1."""
    offset: int
    now: float
    recorded: Decision | None
    replayed: Decision | None


@dataclass
class Replayed:
    """What was picked and what would have been, one entry for each start in either world."""

    header: Header
    algorithm: str
    faithful: bool
    """The recorded algorithm was replayed, exchanges of it included."""
    balancer: Balancer[ReplayedCall]
    """As the replay left it."""
    names: list[str] = field(default_factory=list)
    """Of all backends there ever were, by order."""
    calls: array[int] = field(default_factory=lambda: array("q"))
    attempts: array[int] = field(default_factory=lambda: array("q"))
    recorded: array[int] = field(default_factory=lambda: array("q"))
    """Orders of backends; NONE where only the other world had this start."""
    replayed: array[int] = field(default_factory=lambda: array("q"))
    events: Counter[str] = field(default_factory=Counter)
    """By kind."""
    first_difference: Mismatch | None = None
    complete: bool = False
    """The recording was closed; else it ends in a crash, or is still being written."""
    end: int = 0
    """Bytes that were replayed: up to the last whole event."""

    @property
    def identical(self) -> bool:
        return self.first_difference is None

    @property
    def agreeing(self) -> int:
        """Starts at the same backend in both worlds."""
        return sum(map(eq, self.recorded, self.replayed))


def replay(
    recording: bytes | Iterable[bytes],
    algorithm: str | None = None,
    *,
    random: Callable[[int], Random],
) -> Replayed:
    """Play a recording, whole or in pieces, to a fresh balancer; `random` is `random.Random`.

    Without `algorithm`, or with the recorded one's name, everything is as it was recorded. Any
    other stays throughout: recorded exchanges of the algorithm are passed over.
    Raises BadRecording, and UsageError for an algorithm that is unknown.
    """
    log = Log([recording] if isinstance(recording, bytes) else recording)
    twin = _Twin(log.header(), algorithm, random)
    for event in log.events():
        twin.play(event)
    twin.result.complete = log.complete
    twin.result.end = log.end
    return twin.result


class ReplayedCall:
    """The `Call` that stands for a recorded one."""

    __slots__ = ("deadline", "idempotent", "key", "lease", "number", "tried")

    def __init__(self, number: int, key: bytes, idempotent: bool, deadline: float) -> None:
        self.number = number
        self.key = key
        self.idempotent = idempotent
        self.deadline = deadline
        self.tried: tuple[Backend, ...] = ()
        self.lease: Lease[ReplayedCall] | None = None


class _Twin:
    """A balancer that is told what the recorded one was told."""

    def __init__(
        self, header: Header, algorithm: str | None, random: Callable[[int], Random]
    ) -> None:
        setup = header.setup
        self._faithful = algorithm is None or algorithm == setup.algorithm
        if algorithm is None or self._faithful:
            self._supported(HEAD.size, setup.algorithm, setup.settings)
        else:
            name, settings = parse(algorithm)
            setup = replace(setup, algorithm=name, settings=settings)
        self._balancer: Balancer[ReplayedCall] = Balancer(setup, random(header.seed), header.now)
        self._backends = list(self._balancer.pool.backends)  # by order, those removed too
        self._calls: dict[int, ReplayedCall] = {}  # under way in the recording
        self._next = 0  # number of the next call
        self._now = header.now
        self._offset = 0
        self._count = 0
        self._made: list[Decision] = []
        self._unmatched: dict[tuple[int, int], int] = {}  # rows that only one world has yet
        self.result = Replayed(
            header,
            algorithm or setup.algorithm,
            self._faithful,
            self._balancer,
            [backend.name for backend in self._backends],
        )
        self._inputs: dict[Kind, Callable[[Any], None]] = {
            Kind.ADMIT: self._admit,
            Kind.DONE: self._done,
            Kind.FAILED: self._failed,
            Kind.ABANDONED: self._abandoned,
            Kind.WAKE: self._wake,
            Kind.OBSERVED: self._observed,
            Kind.REPORTED: self._reported,
            Kind.ADD: self._add,
            Kind.REMOVE: self._remove,
            Kind.SET_STATE: self._set_state,
            Kind.SET_WEIGHT: self._set_weight,
            Kind.SWAP: self._swap,
            Kind.APPLY: self._apply,
            Kind.LAGGED: lambda body: self._read(
                lambda seconds: self._balancer.lagged(seconds, self._now), body
            ),
        }

    def play(self, event: Entry) -> None:
        """Tell the balancer, and compare its decisions with the recorded ones."""
        self._count += 1
        self._offset = event.offset
        self._made.clear()
        recorded = event.decisions
        if not isnan(event.now):
            self._now = event.now
        if not self._faithful and self._balancer.wakes_at <= self._now:
            self._balancer.wake(self._now)  # what waits here alone was on nobody's timer there
        if event.kind is Kind.ADMIT and event.body[3] != NONE:
            recorded = (Decision(self._next, 0, event.body[3]), *recorded)
        self._inputs[event.kind](event.body)
        self._drain()
        for call, _, order in recorded:
            if order == NONE:
                self._over(self._call(call), Outcome.CANCELLED)
        self._compare(recorded)
        self.result.events[event.kind.name.lower()] += 1

    def _drain(self) -> None:
        out = self._balancer.out
        while out:
            match out.popleft():
                case Start(lease):
                    lease.call.lease = lease
                    self._decided(lease.call, lease.backend.order)
                case Refuse(call, _):
                    self._decided(call, NONE)

    def _decided(self, call: ReplayedCall, order: int) -> None:
        self._made.append(Decision(call.number, len(call.tried), order))

    def _call(self, number: int) -> ReplayedCall:
        """A call that is under way in the recording."""
        try:
            return self._calls[number]
        except KeyError:
            raise BadRecording(self._offset, f"call {number} is not under way") from None

    def _over(self, call: ReplayedCall, outcome: Outcome, first_byte: float | None = None) -> None:
        """The call is over in the recording, so whatever it still holds here ends too."""
        del self._calls[call.number]
        lease, call.lease = call.lease, None
        if lease is None:
            self._balancer.abandoned(call)
            return
        if first_byte is not None and not self._faithful:
            first_byte = max(first_byte, lease.started_at)  # it may have waited here alone
        lease.done(self._now, outcome, first_byte)
        self._drain()

    # --- the inputs

    def _admit(self, body: tuple[bytes, bool, float, int]) -> None:
        key, idempotent, deadline, _ = body
        call = self._calls[self._next] = ReplayedCall(self._next, key, idempotent, deadline)
        self._next += 1
        call.lease = self._balancer.admit(call, self._now)
        if call.lease is not None:
            self._decided(call, call.lease.backend.order)

    def _done(self, body: tuple[int, Outcome, float | None]) -> None:
        number, outcome, first_byte = body
        self._over(self._call(number), outcome, first_byte)

    def _failed(self, body: tuple[int, Outcome, bool]) -> None:
        number, outcome, sent = body
        call = self._call(number)
        lease, call.lease = call.lease, None
        if lease is not None:
            self._balancer.failed(lease, self._now, outcome, sent)

    def _abandoned(self, number: int) -> None:
        self._over(self._call(number), Outcome.CANCELLED)

    def _wake(self, _: None) -> None:
        self._balancer.wake(self._now)

    def _observed(self, body: dict[str, Any]) -> None:
        backend = self._named(body)
        self._balancer.observed(backend, self._now, self._read(ProbeResult, body))

    def _reported(self, body: dict[str, Any]) -> None:
        backend = self._named(body)
        self._balancer.observed(backend, self._now, self._read(LoadReport, body))

    def _add(self, body: dict[str, Any]) -> None:
        self._balancer.add(self._read(Settings.from_dict, body), self._now)
        self._meet()

    def _remove(self, body: dict[str, Any]) -> None:
        backend = self._named(body)
        if backend not in self._balancer.pool.backends:
            raise BadRecording(self._offset, f"backend {backend.name} is removed twice")
        self._balancer.remove(backend, self._now)

    def _set_state(self, body: dict[str, Any]) -> None:
        backend = self._named(body)
        wanted = self._read(lambda state: State(state), body)
        self._balancer.set_state(backend, wanted, self._now)

    def _set_weight(self, body: dict[str, Any]) -> None:
        backend = self._named(body)
        self._balancer.set_weight(backend, self._read(lambda weight: weight, body), self._now)

    def _swap(self, body: dict[str, Any]) -> None:
        name, settings = self._read(lambda algorithm, settings: (algorithm, settings), body)
        if self._faithful:
            self._supported(self._offset, name, settings)
            self._balancer.swap(name, settings, self._now)

    def _apply(self, body: dict[str, Any]) -> None:
        setup = self._read(lambda **fields: Setup.from_dict(fields), body)
        if self._faithful:
            self._supported(self._offset, setup.algorithm, setup.settings)
        else:
            own = self._balancer.setup
            setup = replace(setup, algorithm=own.algorithm, settings=own.settings)
        self._balancer.apply(setup, self._now)
        self._meet()

    def _meet(self) -> None:
        """Know the backends that are here for the first time."""
        for backend in self._balancer.pool.backends:
            if backend.order >= len(self._backends):
                self._backends.append(backend)
                self.result.names.append(backend.name)

    @staticmethod
    def _supported(offset: int, name: str, settings: Mapping[str, object]) -> None:
        """A recording may name an algorithm of a plug-in, or of another version."""
        try:
            spec(name).configure(settings)
        except UsageError as error:
            raise BadRecording(offset, str(error)) from None

    def _named(self, body: dict[str, Any]) -> Backend:
        """The backend that a body speaks of; taken out of it."""
        order = body.pop("backend", None)
        if not isinstance(order, int) or not 0 <= order < len(self._backends):
            raise BadRecording(self._offset, f"there is no backend {order!r}")
        return self._backends[order]

    def _read(self, make: Callable[..., T], body: dict[str, Any]) -> T:
        """What the fields of a body stand for."""
        try:
            return make(**body)
        except (TypeError, ValueError) as error:
            raise BadRecording(self._offset, str(error)) from None

    # --- the comparison

    def _compare(self, recorded: Sequence[Decision]) -> None:
        made, result = self._made, self.result
        if result.first_difference is None and list(recorded) != made:
            was, is_now = next((a, b) for a, b in zip_longest(recorded, made) if a != b)
            result.first_difference = Mismatch(self._count, self._offset, self._now, was, is_now)
        for mine, other, decisions in (
            (result.recorded, result.replayed, recorded),
            (result.replayed, result.recorded, made),
        ):
            for call, attempt, order in decisions:
                if order == NONE:
                    continue
                row = self._unmatched.pop((call, attempt), None)
                if row is not None:
                    mine[row] = order
                    continue
                self._unmatched[call, attempt] = len(mine)
                result.calls.append(call)
                result.attempts.append(attempt)
                mine.append(order)
                other.append(NONE)
