"""The recorded balancer: logs what it is told, and what it decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from lb.balancing import (
    Backend,
    Balancer,
    Lease,
    LoadReport,
    Outcome,
    ProbeResult,
    Settings,
    Setup,
    State,
)
from lb.balancing.call import C
from lb.balancing.lease import OK, rival_of
from lb.recording.format import (
    ABANDONED,
    ADMIT,
    ANSWERED,
    CONNECTED,
    DEADLINE,
    DECIDED,
    DECLINED,
    DONE,
    ENDED,
    ENDS,
    FAILED,
    GOOD,
    IDEMPOTENT,
    LOADED,
    NOBODY,
    OUTCOMES,
    SAFE,
    SAMPLED,
    SERVED,
    TIME,
    WAKE,
    Kind,
)
from lb.recording.logged import APART, Logged, RecordedLease

_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
_ENDS = {code: number for number, code in enumerate(ENDS)} | {"too_late": ENDS.index("timeout")}
_REFUSED, _GONE = ENDS.index("refused"), ENDS.index("client_gone")
_NAN: Final = float("nan")
# Final, and of this module: compiled, that saves looking them up.
_OK: Final = OK
_NEVER: Final = float("inf")
_BLOCK: Final = 2048  # pieces of events that are a large block
_MOST: Final = 0xFFFFFFFF
_NOBODY: Final = int(NOBODY)
_ADMIT: Final = int(Kind.ADMIT)
_DONE: Final = int(Kind.DONE)
_SERVED: Final = int(Kind.SERVED)
_GOOD: Final = int(Kind.GOOD)
_SAFE: Final = IDEMPOTENT | SAFE  # what is safe is idempotent (RFC 9110, 9.2.2)
_pack_admit: Final = ADMIT.pack
_pack_done: Final = DONE.pack
_pack_served: Final = SERVED.pack
_pack_good: Final = GOOD.pack


class RecordedBalancer(Logged[C]):
    """A balancer that logs what it is told, and what it decided; and what became of calls, if it is
    told that, by `connected` and either `served` or `ended`.
    """

    # --- the inputs

    def admit(self, call: C, now: float) -> Lease[C] | None:
        number, before = self.admitted, len(self.out)
        lease = Balancer.admit(self, call, now)  # costs less than `super()` does
        if not self.recording:
            return lease
        sampled = self._draws is not None
        if sampled:
            if self._gap:  # it is passed over
                self._gap -= 1
                number = APART
            else:
                self._gap = self._next_gap()
        kind, order = _ADMIT, _NOBODY
        decided = b""
        if lease is not None:
            assert isinstance(lease, RecordedLease)
            lease.number = number
            if number == APART:
                return lease
            lease.attempt = 0
            order = lease.backend.order
        else:
            self._homeless[call] = number
            if number == APART:
                self._note_decisions(now, before)
                return None
            decided = self._decisions(before)
            if decided:
                kind |= DECIDED
        log = self._log
        if sampled:
            in_flight = NOBODY if lease is None else lease.backend.active - 1
            log.append(SAMPLED.pack(Kind.SAMPLED, number, in_flight))
        key, deadline = call.key, call.deadline
        flags = _SAFE
        if not call.safe:
            flags = IDEMPOTENT if call.idempotent else 0
        if deadline == _NEVER:
            log.append(_pack_admit(kind, now, flags, order, len(key)))
            log.append(key)
        else:
            log.append(_pack_admit(kind, now, flags | DEADLINE, order, len(key)))
            log += (key, TIME.pack(deadline))
        if decided:
            log.append(decided)
        if len(log) >= _BLOCK:
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
        if lease is self._failing:
            return
        if lease.number == APART:
            self._note_decisions(now, before)
            return
        record = _pack_done(
            _DONE,
            now,
            lease.number,
            lease.attempt,
            0 if outcome is _OK else _CODES[outcome],
            _NAN if first_byte is None else first_byte,
        )
        if len(self.out) == before:
            self._log.append(record)
        else:
            self._note(record, before)

    def failed(self, lease: Lease[C], now: float, outcome: Outcome, sent: bool) -> None:
        if not self.recording:
            super().failed(lease, now, outcome, sent)
            return
        assert isinstance(lease, RecordedLease)
        before, number = len(self.out), lease.number
        self._failing = lease
        if rival_of(lease) is None:
            self._homeless[lease.call] = number
        super().failed(lease, now, outcome, sent)
        self._failing = None
        if number == APART:
            self._note_decisions(now, before)
        else:
            code = _CODES[outcome]
            self._note(FAILED.pack(Kind.FAILED, now, number, lease.attempt, code, sent), before)

    def declined(self, lease: Lease[C], now: float, status: int) -> bool:
        if not self.recording:
            return super().declined(lease, now, status)
        assert isinstance(lease, RecordedLease)
        before, number = len(self.out), lease.number
        self._failing = lease
        alone = rival_of(lease) is None
        if alone:
            self._homeless[lease.call] = number
        over = super().declined(lease, now, status)
        self._failing = None
        if alone and not over:
            del self._homeless[lease.call]
        if number == APART:
            self._note_decisions(now, before)
        else:
            record = DECLINED.pack(Kind.DECLINED, now, number, lease.attempt, status)
            self._note(record, before)
        return over

    def answered(self, lease: Lease[C], now: float) -> None:
        super().answered(lease, now)
        if self.recording:
            assert isinstance(lease, RecordedLease)
            if lease.number != APART:
                self._log.append(ANSWERED.pack(Kind.ANSWERED, now, lease.number, lease.attempt))

    def abandoned(self, call: C) -> bool:
        waited = super().abandoned(call)
        if waited and self.recording:
            number = self._left(call)
            if number != APART:
                self._log.append(ABANDONED.pack(Kind.ABANDONED, number))
        return waited

    def observed(self, backend: Backend, now: float, result: ProbeResult | LoadReport) -> None:
        before = len(self.out)
        super().observed(backend, now, result)
        if self._draws is not None:
            self._note_decisions(now, before)
            return
        if isinstance(result, ProbeResult):
            self._note_json(Kind.OBSERVED, now, before, backend=backend.order, **asdict(result))
        elif self.recording:
            said = (result.in_flight, result.latency, result.utilisation, result.rate)
            figures = [_NAN if one is None else one for one in (*said, result.errors)]
            self._note(LOADED.pack(Kind.LOADED, now, backend.order, *figures), before)

    def wake(self, now: float) -> None:
        before = len(self.out)
        super().wake(now)
        if not self.recording:
            return
        if self._draws is not None:
            self._note_decisions(now, before)
        else:
            self._note(WAKE.pack(Kind.WAKE, now), before)

    def lagged(self, seconds: float, now: float) -> None:
        if self._shedding.minds(seconds):
            self._note_json(Kind.LAGGED, now, len(self.out), seconds=seconds)
        super().lagged(seconds, now)

    def add(self, settings: Settings, now: float) -> Backend:
        before = len(self.out)
        backend = super().add(settings, now)
        self._meet()
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
        self._meet()
        self._note_json(Kind.APPLY, now, before, **setup.as_dict())

    def stepped(self, picks: int, now: float) -> None:
        """So many picks were made for nobody, as if it had taken turns before."""
        self._note_json(Kind.STEPPED, now, len(self.out), picks=picks)

    # --- what became of calls

    def connected(self, lease: Lease[C], now: float) -> None:
        """An attempt has a connection that was made for it."""
        if self.recording:
            assert isinstance(lease, RecordedLease)
            if lease.number != APART:
                self._log.append(CONNECTED.pack(Kind.CONNECTED, now, lease.number, lease.attempt))

    def served(
        self,
        lease: Lease[C],
        now: float,
        outcome: Outcome,
        first_byte: float | None,
        arrived: float,
        status: int,
        taken: int,
        passed: int,
    ) -> None:
        """`lease.done`, and with it ends the call, which came at `arrived`: with this status, after
        so many bytes of its body and of the answer's.
        """
        assert isinstance(lease, RecordedLease)
        before = len(self.out)
        Lease.done(lease, now, outcome, first_byte)
        if not self.recording:
            return
        number = lease.number
        if number == APART:
            self._note_decisions(now, before)
            return
        plain = lease.started_at == arrived and not taken and passed <= _MOST
        at_once = plain and first_byte is not None and first_byte == now
        if at_once and outcome is _OK and not lease.attempt and len(self.out) == before:
            self._log.append(_pack_good(_GOOD, now, number, status, passed))
            return
        self.lease_ended(lease, now, outcome, first_byte, before)
        if plain:
            self._log.append(_pack_served(_SERVED, number, status, passed))
        else:
            code = 0 if outcome is _OK else _CODES[outcome]
            record = ENDED.pack(Kind.ENDED, now, arrived, number, code, status, taken, passed)
            self._log.append(record)

    def ended(
        self,
        call: C,
        lease: Lease[C] | None,
        now: float,
        arrived: float,
        code: str,
        status: int,
        taken: int,
        passed: int,
    ) -> None:
        """The same of one that has ended otherwise; `lease` is its last one, if there was any."""
        if not self.recording:
            return
        number = self._parted.pop(call, None)
        if number is None:
            if lease is None:
                return  # it was never admitted, or is told when the lease that it is to have ends
            assert isinstance(lease, RecordedLease)
            number = lease.number
        if number != APART:
            end = _ENDS.get(code, _REFUSED if lease is None else _GONE)
            record = ENDED.pack(Kind.ENDED, now, arrived, number, end, status, taken, passed)
            self._log.append(record)
