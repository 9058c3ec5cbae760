"""The recorded balancer: logs what it is told, and what it decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import islice
from typing import cast
from zlib import crc32

from lb import __version__
from lb.balancing import (
    Backend,
    Balancer,
    Lease,
    LoadReport,
    Outcome,
    ProbeResult,
    Refuse,
    Settings,
    Setup,
    Start,
    State,
)
from lb.balancing.call import C
from lb.balancing.lease import OK, rival_of
from lb.recording.format import (
    ABANDONED,
    ADMIT,
    ANSWERED,
    BLOCK,
    COUNT,
    DEADLINE,
    DECIDED,
    DECISION,
    DECLINED,
    DONE,
    FAILED,
    HEAD,
    IDEMPOTENT,
    JSON,
    MAGIC,
    NOBODY,
    OUTCOMES,
    SAFE,
    TIME,
    VERSION,
    WAKE,
    Kind,
)
from lb.strategies import Random

_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
_NAN = float("nan")
_NEVER = float("inf")
FIGURES = ("in_flight", "latency", "utilisation", "rate", "errors")
"""Of a load report."""
_BLOCK_SIZE = 1 << 16
_pack_admit, _pack_done = ADMIT.pack, DONE.pack
_ADMIT, _DONE = int(Kind.ADMIT), int(Kind.DONE)


class RecordedLease(Lease[C]):
    """A lease whose end is logged."""

    __slots__ = ("attempt", "number")
    number: int
    attempt: int

    def done(self, now: float, outcome: Outcome = OK, first_byte: float | None = None) -> None:
        balancer = cast("RecordedBalancer[C]", self._balancer)
        before = len(balancer.out)
        super().done(now, outcome, first_byte)
        if balancer.recording:
            balancer.lease_ended(self, now, outcome, first_byte, before)


class RecordedBalancer(Balancer[C]):
    """A balancer that logs what it is told, and what it decided, in blocks to `sink`.

    A block goes out when it is large, on `flush` and on `close`; until then it is in memory.
    """

    def __init__(
        self,
        setup: Setup,
        rng: Random,
        now: float = 0.0,
        *,
        seed: int,
        sink: Callable[[bytes], None],
    ) -> None:
        """`rng` must be a fresh `random.Random(seed)`: that is what a replay will use."""
        self.recording = False
        self._sink = sink
        self._log = bytearray()
        self._failing: Lease[C] | None = None  # its end is part of an event of its own
        self._homeless: dict[C, int] = {}  # numbers of calls under way that hold no lease
        super().__init__(setup, rng, now)
        self.lease_type = RecordedLease
        header = json.dumps(
            {"lb": __version__, "seed": seed, "now": now, "setup": setup.as_dict()}
        ).encode()
        sink(HEAD.pack(MAGIC, VERSION, len(header), crc32(header)) + header)
        self.recording = True

    def flush(self) -> None:
        """Hand what has been logged since the last block to the sink."""
        if self._log:
            log, self._log = bytes(self._log), bytearray()
            self._sink(BLOCK.pack(len(log), len(log) ^ 0xFFFFFFFF, crc32(log)) + log)

    def close(self) -> None:
        """Say that the recording ends here, and log nothing more."""
        if self.recording:
            self.recording = False
            self._log.append(Kind.END)
            self.flush()
            self._homeless.clear()

    # --- the inputs

    def admit(self, call: C, now: float) -> Lease[C] | None:
        if not self.recording:
            return super().admit(call, now)
        number = self.admitted
        before = len(self.out)
        lease = super().admit(call, now)
        kind, order = _ADMIT, NOBODY
        decided = b""
        if lease is None:
            self._homeless[call] = number
            decided = self._decisions(before)
            if decided:
                kind |= DECIDED
        else:
            assert isinstance(lease, RecordedLease)
            lease.number = number
            lease.attempt = 0
            order = lease.backend.order
        key, deadline = call.key, call.deadline
        flags = (IDEMPOTENT if call.idempotent else 0) | (SAFE if call.safe else 0)
        if deadline == _NEVER:
            self._log += _pack_admit(kind, now, flags, order, len(key)) + key + decided
        else:
            head = _pack_admit(kind, now, flags | DEADLINE, order, len(key))
            self._log += head + key + TIME.pack(deadline) + decided
        if len(self._log) >= _BLOCK_SIZE:
            self.flush()
        return lease

    def lease_ended(
        self,
        lease: RecordedLease[C],
        now: float,
        outcome: Outcome,
        first_byte: float | None,
        before: int,
    ) -> None:
        """A lease has ended, while `before` actions stood in `out`."""
        if lease is self._failing:
            return
        record = _pack_done(
            _DONE,
            now,
            lease.number,
            lease.attempt,
            0 if outcome is OK else _CODES[outcome],
            _NAN if first_byte is None else first_byte,
        )
        if len(self.out) == before:
            self._log += record
        else:
            self._note(record, before)

    def failed(self, lease: Lease[C], now: float, outcome: Outcome, sent: bool) -> None:
        if not self.recording:
            super().failed(lease, now, outcome, sent)
            return
        assert isinstance(lease, RecordedLease)
        before = len(self.out)
        self._failing = lease
        if rival_of(lease) is None:
            self._homeless[lease.call] = lease.number
        super().failed(lease, now, outcome, sent)
        self._failing = None
        self._note(
            FAILED.pack(Kind.FAILED, now, lease.number, lease.attempt, _CODES[outcome], sent),
            before,
        )

    def declined(self, lease: Lease[C], now: float, status: int) -> bool:
        if not self.recording:
            return super().declined(lease, now, status)
        assert isinstance(lease, RecordedLease)
        before = len(self.out)
        self._failing = lease
        alone = rival_of(lease) is None
        if alone:
            self._homeless[lease.call] = lease.number
        over = super().declined(lease, now, status)
        self._failing = None
        if alone and not over:
            del self._homeless[lease.call]
        self._note(DECLINED.pack(Kind.DECLINED, now, lease.number, lease.attempt, status), before)
        return over

    def answered(self, lease: Lease[C], now: float) -> None:
        super().answered(lease, now)
        if self.recording:
            assert isinstance(lease, RecordedLease)
            self._log += ANSWERED.pack(Kind.ANSWERED, now, lease.number, lease.attempt)

    def abandoned(self, call: C) -> bool:
        waited = super().abandoned(call)
        if waited and self.recording:
            self._log += ABANDONED.pack(Kind.ABANDONED, self._homeless.pop(call))
        return waited

    def observed(self, backend: Backend, now: float, result: ProbeResult | LoadReport) -> None:
        before = len(self.out)
        super().observed(backend, now, result)
        if isinstance(result, ProbeResult):
            kind, body = Kind.OBSERVED, asdict(result)
        else:
            kind, body = Kind.REPORTED, {name: getattr(result, name) for name in FIGURES}
        self._note_json(kind, now, before, backend=backend.order, **body)

    def wake(self, now: float) -> None:
        before = len(self.out)
        super().wake(now)
        if self.recording:
            self._note(WAKE.pack(Kind.WAKE, now), before)

    def lagged(self, seconds: float, now: float) -> None:
        if self._shedding.minds(seconds):
            self._note_json(Kind.LAGGED, now, len(self.out), seconds=seconds)
        super().lagged(seconds, now)

    def add(self, settings: Settings, now: float) -> Backend:
        before = len(self.out)
        backend = super().add(settings, now)
        self._note_json(Kind.ADD, now, before, **asdict(settings))
        return backend

    def remove(self, backend: Backend, now: float) -> None:
        before = len(self.out)
        super().remove(backend, now)
        self._note_json(Kind.REMOVE, now, before, backend=backend.order)

    def set_state(self, backend: Backend, state: State, now: float) -> None:
        before = len(self.out)
        super().set_state(backend, state, now)
        self._note_json(Kind.SET_STATE, now, before, backend=backend.order, state=state.value)

    def set_weight(self, backend: Backend, weight: float, now: float) -> None:
        before = len(self.out)
        super().set_weight(backend, weight, now)
        self._note_json(Kind.SET_WEIGHT, now, before, backend=backend.order, weight=weight)

    def swap(
        self, algorithm: str, settings: Mapping[str, object] | None = None, now: float = 0.0
    ) -> None:
        before = len(self.out)
        super().swap(algorithm, settings, now)
        self._note_json(Kind.SWAP, now, before, algorithm=algorithm, settings=dict(settings or {}))

    def apply(self, setup: Setup, now: float) -> None:
        before, recording = len(self.out), self.recording
        self.recording = False  # what it does on the way is part of it
        try:
            super().apply(setup, now)
        finally:
            self.recording = recording
        self._note_json(Kind.APPLY, now, before, **setup.as_dict())

    # --- inside

    def _note_json(self, kind: Kind, now: float, before: int, **body: object) -> None:
        if self.recording:
            text = json.dumps(body).encode()
            self._note(JSON.pack(kind, now, len(text)) + text, before)

    def _note(self, record: bytes, before: int) -> None:
        """Log an event, and what it brought about: the actions in `out` beyond `before`."""
        decided = self._decisions(before) if len(self.out) > before else b""
        if decided:
            self._log.append(record[0] | DECIDED)
            self._log += record[1:]
            self._log += decided
        else:
            self._log += record

    def _decisions(self, before: int) -> bytes:
        """Starts and refusals in `out` beyond `before`, in their order."""
        rows = []
        for action in islice(self.out, before, None):
            match action:
                case Start(lease):
                    assert isinstance(lease, RecordedLease)
                    beside = rival_of(lease)
                    if beside is None:
                        lease.number = self._homeless.pop(lease.call)
                        lease.attempt = len(lease.call.tried)
                    else:
                        assert isinstance(beside, RecordedLease)
                        lease.number = beside.number
                        lease.attempt = len(lease.call.tried) + 1
                    rows.append(DECISION.pack(lease.number, lease.attempt, lease.backend.order))
                case Refuse(call, _):
                    rows.append(DECISION.pack(self._homeless.pop(call), len(call.tried), NOBODY))
        return COUNT.pack(len(rows)) + b"".join(rows) if rows else b""
