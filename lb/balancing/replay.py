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

import json
import struct
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from math import isnan
from operator import eq
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from lb.balancing.backend import Backend, Settings, State
from lb.balancing.balancer import Balancer, Lease, Refuse, Start
from lb.balancing.health import HealthPolicy, ProbeResult
from lb.balancing.recording import (
    ABANDONED,
    ADMIT,
    BLOCK,
    COUNT,
    DEADLINE,
    DECIDED,
    DECISION,
    DONE,
    FAILED,
    HEAD,
    IDEMPOTENT,
    JSON,
    MAGIC,
    NOBODY,
    OUTCOMES,
    TIME,
    VERSION,
    WAKE,
    Kind,
)
from lb.balancing.retries import RetryPolicy
from lb.balancing.waiting import QueuePolicy
from lb.errors import BadRecording, UsageError
from lb.strategies import Outcome, Random, parse, spec

T = TypeVar("T")

NONE = -1
"""No start, in the place of a backend's order."""


@dataclass(frozen=True)
class Header:
    """What a recording says about the balancer it was made of."""

    lb: str
    """Version that recorded."""
    seed: int
    now: float
    algorithm: str
    settings: Mapping[str, object]
    backends: Sequence[Settings]
    health: HealthPolicy
    retries: RetryPolicy
    queue: QueuePolicy

    def balancer(self, rng: Random, algorithm: str | None = None) -> Balancer[ReplayedCall]:
        """A fresh balancer like the recorded one. Raises UsageError for an unknown algorithm."""
        name, settings = self.algorithm, self.settings
        if algorithm is not None and algorithm != name:
            name, settings = parse(algorithm)
        return Balancer(
            self.backends,
            name,
            settings,
            rng=rng,
            now=self.now,
            health=self.health,
            retries=self.retries,
            queue=self.queue,
        )


class Decision(NamedTuple):
    """A call's attempt was started, or the call refused."""

    call: int
    attempt: int
    order: int
    """Of the backend; NONE for a refusal."""


class Event(NamedTuple):
    """One input of the balancer, and what it decided upon it."""

    offset: int
    kind: Kind
    now: float
    """NaN where the balancer was given no time."""
    body: Any
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class Difference:
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
    first_difference: Difference | None = None
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
    log = _Log([recording] if isinstance(recording, bytes) else recording)
    twin = _Twin(log.header(), algorithm, random)
    for event in log.events():
        twin.play(event)
    twin.result.complete = log.complete
    twin.result.end = log.end
    return twin.result


# --- the file


class _CutShortError(Exception):
    """An event goes on beyond the end of what there is."""


class _Log:
    """Reads a recording piece by piece."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._buffer = bytearray()
        self._at = 0  # offset of the buffer in the recording
        self.end = 0  # of the last whole event
        self.complete = False

    def header(self) -> Header:
        head = self._take(HEAD.size)
        if head[: len(MAGIC)] != MAGIC[: len(head)] or not head:
            raise BadRecording(0, "this is not a recording of lb")
        if len(head) < HEAD.size:
            raise BadRecording(len(head), "the recording ends within its header")
        _, version, length, checksum = HEAD.unpack(head)
        if version != VERSION:
            raise BadRecording(len(MAGIC), f"format {version}; this lb reads format {VERSION}")
        text = self._take(length)
        if len(text) < length:
            raise BadRecording(self._at, "the recording ends within its header")
        if crc32(text) != checksum:
            raise BadRecording(HEAD.size, "the header does not match its checksum")
        self.end = self._at
        row: dict[str, Any] = {}
        try:
            row = json.loads(text)
            return Header(
                lb=row["lb"],
                seed=row["seed"],
                now=row["now"],
                algorithm=row["algorithm"],
                settings=row["settings"],
                backends=[Settings(**backend) for backend in row["backends"]],
                health=HealthPolicy(**row["health"]),
                retries=RetryPolicy(**row["retries"]),
                queue=QueuePolicy(**row["queue"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            made_by = row.get("lb", "an unknown version")
            why = f"the header, made by lb {made_by}, does not fit this version: {error}"
            raise BadRecording(HEAD.size, why) from None

    def events(self) -> Iterator[Event]:
        """Every whole event. Raises BadRecording where one makes no sense."""
        while True:
            start = self._at
            head = self._take(BLOCK.size)
            if len(head) < BLOCK.size:
                return
            length, complement, checksum = BLOCK.unpack(head)
            if length ^ complement != 0xFFFFFFFF:
                raise BadRecording(start, "a block whose length is damaged")
            start = self._at
            block = self._take(length)
            whole = len(block) == length
            if whole and crc32(block) != checksum:
                raise BadRecording(start, "a block that does not match its checksum")
            at = 0
            while at < len(block):
                try:
                    event, at = _event(block, at, start)
                except _CutShortError:
                    if whole:
                        raise BadRecording(
                            start + at, "an event that its block cuts short"
                        ) from None
                    return
                self.end = start + at
                if event.kind is Kind.END:
                    self.complete = True
                    if at < len(block) or self._take(1):
                        raise BadRecording(self.end, "the recording goes on after its end")
                    return
                yield event

    def _take(self, count: int) -> bytes:
        """The next `count` bytes; fewer at the end."""
        buffer = self._buffer
        while len(buffer) < count:
            piece = next(self._pieces, None)
            if piece is None:
                break
            buffer += piece
        taken = bytes(buffer[:count])
        del buffer[:count]
        self._at += len(taken)
        return taken


def _event(block: bytes, at: int, start: int) -> tuple[Event, int]:
    """The event at `at`, and where the next one begins. `start` is the block's offset."""
    offset = start + at
    code = block[at]
    try:
        kind = Kind(code & ~DECIDED)
    except ValueError:
        raise BadRecording(offset, f"an event of unknown kind {code & ~DECIDED}") from None
    try:
        now, body, at = _BODIES.get(kind, _json)(block, at)
        decisions: tuple[Decision, ...] = ()
        if code & DECIDED:
            decisions, at = _decisions(block, at)
    except struct.error:
        raise _CutShortError from None
    except (ValueError, TypeError, IndexError) as error:
        raise BadRecording(offset, f"{kind.name.lower()}: {error}") from None
    return Event(offset, kind, now, body, decisions), at


_NAN = float("nan")
Body = tuple[float, Any, int]
"""Time, fields, and where the next event begins."""


def _end(block: bytes, at: int) -> Body:  # noqa: ARG001 - the signature of all of these
    return _NAN, None, at + 1


def _admit(block: bytes, at: int) -> Body:
    _, now, flags, order, length = ADMIT.unpack_from(block, at)
    key, at = _text(block, at + ADMIT.size, length)
    deadline = float("inf")
    if flags & DEADLINE:
        (deadline,) = TIME.unpack_from(block, at)
        at += TIME.size
    return now, (key, bool(flags & IDEMPOTENT), deadline, _known(order)), at


def _done(block: bytes, at: int) -> Body:
    _, now, call, _, outcome, first_byte = DONE.unpack_from(block, at)
    began = None if isnan(first_byte) else first_byte
    return now, (call, OUTCOMES[outcome], began), at + DONE.size


def _failed(block: bytes, at: int) -> Body:
    _, now, call, _, outcome, sent = FAILED.unpack_from(block, at)
    return now, (call, OUTCOMES[outcome], bool(sent)), at + FAILED.size


def _abandoned(block: bytes, at: int) -> Body:
    _, call = ABANDONED.unpack_from(block, at)
    return _NAN, call, at + ABANDONED.size


def _wake(block: bytes, at: int) -> Body:
    _, now = WAKE.unpack_from(block, at)
    return now, None, at + WAKE.size


def _json(block: bytes, at: int) -> Body:
    _, now, length = JSON.unpack_from(block, at)
    text, at = _text(block, at + JSON.size, length)
    body = json.loads(text)
    if not isinstance(body, dict):
        raise TypeError("the fields are not a JSON object")
    return now, body, at


_BODIES: dict[Kind, Callable[[bytes, int], Body]] = {
    Kind.END: _end,
    Kind.ADMIT: _admit,
    Kind.DONE: _done,
    Kind.FAILED: _failed,
    Kind.ABANDONED: _abandoned,
    Kind.WAKE: _wake,
}
"""All others are JSON."""


def _text(block: bytes, at: int, length: int) -> tuple[bytes, int]:
    end = at + length
    if end > len(block):
        raise _CutShortError
    return block[at:end], end


def _decisions(block: bytes, at: int) -> tuple[tuple[Decision, ...], int]:
    (count,) = COUNT.unpack_from(block, at)
    at += COUNT.size
    rows, end = _text(block, at, count * DECISION.size)
    return (
        tuple(
            Decision(call, attempt, _known(order))
            for call, attempt, order in DECISION.iter_unpack(rows)
        ),
        end,
    )


def _known(order: int) -> int:
    return NONE if order == NOBODY else order


# --- the replay


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
        self._faithful = algorithm is None or algorithm == header.algorithm
        if self._faithful:
            self._known(HEAD.size, header.algorithm, header.settings)
        self._balancer = header.balancer(random(header.seed), algorithm)
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
            self._balancer.algorithm if algorithm is None else algorithm,
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
            Kind.ADD: self._add,
            Kind.REMOVE: self._remove,
            Kind.SET_STATE: self._set_state,
            Kind.SET_WEIGHT: self._set_weight,
            Kind.SWAP: self._swap,
        }

    def play(self, event: Event) -> None:
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

    def _add(self, body: dict[str, Any]) -> None:
        backend = self._balancer.add(self._read(Settings, body), self._now)
        self._backends.append(backend)
        self.result.names.append(backend.name)

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
            self._known(self._offset, name, settings)
            self._balancer.swap(name, settings, self._now)

    @staticmethod
    def _known(offset: int, name: str, settings: Mapping[str, object]) -> None:
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
            result.first_difference = Difference(self._count, self._offset, self._now, was, is_now)
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
