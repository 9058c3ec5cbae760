"""What was seen by a balancer that was recorded: requests and attempts out of its inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import inf, isnan
from pathlib import Path
from typing import Any

from lb.errors import BadRecording, ConfigError
from lb.recording.format import ENDS, OUTCOMES, Kind
from lb.recording.header import Header
from lb.recording.parts import of_workers, parts, pieces
from lb.recording.reader import NONE, Entry, Log
from lb.strategies import Outcome
from lb.system import reason
from lb.traces.observed import CLIENT_GONE, OK, REFUSED, SERVER_ERROR, UNKNOWN, Observed, Observing
from lb.traces.under_way import Call, Into, Try

TELLS = 3
"""The first format that says what became of requests."""
NOT_TOLD = frozenset({"status", "bytes_in", "bytes_out", "attempts.connected"})
"""Columns that older ones lack."""
CODES = {outcome: number for number, outcome in enumerate(OUTCOMES)}
BACK = 1.0
"""Seconds that a clock goes back which are worth a word."""
CHANGES = (Kind.ADD, Kind.REMOVE, Kind.SET_STATE, Kind.SET_WEIGHT, Kind.SWAP, Kind.APPLY)


def observed(source: str) -> Observed:
    """Of the recording that this file is a part of, as far as its parts are there; or, where there
    are only those of workers, `run.worker1.rec` for `run.rec`, of all of them.

    Raises ConfigError: `run.rec: byte 1207: why`.
    """
    observing = Observing(source)
    try:
        files = of_workers(Path(source))
        readings = [
            _read(file, observing, number) for number, file in enumerate(files or [Path(source)])
        ]
    except OSError as error:
        raise ConfigError([f"{source}: cannot be read: {reason(error)}"]) from None
    return _together(readings, observing)


def _read(file: Path, observing: Observing, number: int) -> Reading:
    """One recording. Raises ConfigError and OSError."""
    reading = Reading(observing, number)
    for path in parts(file):
        try:
            reading.read(pieces([path]), str(path))
        except BadRecording as error:
            raise ConfigError([f"{path}: {error}{_way_out(path, error)}"]) from None
    return reading


def _way_out(path: Path, error: BadRecording) -> str:
    """What can be done about it: a recording that breaks off is read to its last whole event."""
    if not error.offset or "header" in error.why or "format" in error.why:
        return ""
    return f"; what is before can be used: head -c {error.offset} {path} > before.rec"


def _together(readings: Sequence[Reading], observing: Observing) -> Observed:
    first = readings[0].header
    for reading in readings:
        reading.finish()
    remarks = [remark for reading in readings for remark in reading.remarks]
    if len(readings) > 1:
        remarks.insert(0, f"{len(readings)} workers, each of which balanced by itself")
    return observing.done(
        setup=first.setup,
        lacking=frozenset() if first.version >= TELLS else NOT_TOLD,
        share=first.share,
        remarks=tuple(remarks),
    )


class Reading:
    """Takes down what a recording says, part by part; `balancer` is whose it is."""

    def __init__(self, into: Into, balancer: int = 0) -> None:
        self._into, self._balancer = into, balancer
        self.remarks: list[str] = []
        self._header: Header | None = None
        self._first: Header | None = None
        self._names: list[str] = []  # by order, those that have left too
        self._present: set[tuple[str, str]] = set()  # by name and address
        self._calls: dict[int, Call] = {}
        self._next = 0
        self._in_flight = UNKNOWN  # at the backend of the next call, in a sample
        self._now = -inf
        self._back = 0.0  # what the clock has gone back
        self._lost = False  # calls may be spoken of that are not here
        self._changes: Counter[str] = Counter()
        self._changed = ""
        self._takes: dict[Kind, Callable[[Entry], None]] = {
            Kind.SAMPLED: self._sampled,
            Kind.ADMIT: self._admit,
            Kind.DONE: self._done,
            Kind.FAILED: self._failed,
            Kind.DECLINED: self._declined,
            Kind.ABANDONED: self._abandoned,
            Kind.CONNECTED: self._connected,
            Kind.SERVED: self._served,
            Kind.ENDED: self._ended,
        }

    def read(self, recording: Iterable[bytes], place: str) -> None:
        """One part. Raises BadRecording."""
        log = Log(recording)
        header = log.header()
        self.begin(header, place)
        for entry in log.events():
            self.take(entry, place)
        if not log.complete and not log.continued:
            self.remarks.append(
                f"{place}: not closed (a crash, or it is still being written): read up to its "
                f"last whole event, byte {log.end}"
            )
            self._lost = True  # should there be another part

    @property
    def header(self) -> Header:
        """Of the first part."""
        assert self._first is not None
        return self._first

    def finish(self) -> None:
        """Take down what has not ended."""
        for number in list(self._calls):
            self._keep(number, self._calls[number])
        if self._changes:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self._changes.items())
            self.remarks.append(f"{self._changed}: changed while it ran ({kinds})")

    def begin(self, header: Header, place: str) -> None:
        before, self._header = self._header, header
        if before is None:
            self._first = header
            if header.part > 1:
                self.remarks.append(
                    f"{place}: begins with part {header.part} of the recording; of those before "
                    f"it {header.under_way} attempts were under way, which are not here"
                )
            if header.share < 1.0:
                self.remarks.append(f"{place}: a sample of {header.share:.3g} of the requests")
        elif not before.precedes(header):
            gone = f"part {before.part + 1}"
            if header.part - before.part > 2:
                gone = f"parts {before.part + 1} to {header.part - 1}"
            self.remarks.append(f"{place}: {gone} before it missing, and what came then")
        if before is None or not before.precedes(header):
            self._lost = self._lost or header.part > 1
            self._names = list(header.names)
            self._present = {(row.label, row.address) for row in header.setup.backends}
            self._next = header.calls

    def take(self, entry: Entry, place: str) -> None:
        now = entry.now
        if now < self._now:
            if self._now - now >= BACK:
                self.remarks.append(
                    f"{place}: byte {entry.offset}: the clock goes back by "
                    f"{self._now - now:.3g} s; what follows is taken to come right behind"
                )
                self._back += self._now - now
            self._now = now
        elif not isnan(now):
            self._now = now
        took = self._takes.get(entry.kind)
        if took is not None:
            took(entry)
        elif entry.kind in CHANGES:
            self._change(entry, place)
        for number, attempt, order in entry.decisions:
            call = self._call(entry, number)
            if call is None:
                continue
            if order == NONE:
                if not call.tries:
                    call.outcome = REFUSED
                self._over(number, call, self._time(self._now))
            else:
                self._begun(entry, call, attempt, order)

    def _time(self, time: float) -> float:
        return time + self._back

    def _call(self, entry: Entry, number: int) -> Call | None:
        call = self._calls.get(number)
        if call is None and not self._lost:
            raise BadRecording(entry.offset, f"call {number} is not under way")
        return call

    def _begun(self, entry: Entry, call: Call, attempt: int, order: int) -> None:
        if order >= len(self._names):
            raise BadRecording(entry.offset, f"there is no backend {order}")
        in_flight, self._in_flight = self._in_flight, UNKNOWN
        started = self._time(self._now)
        call.tries[attempt] = Try(order, started, in_flight)
        call.under_way.add(attempt)

    def _over(self, number: int, call: Call, ended: float) -> None:
        """The balancer has no more to do with it; how it ended may be told yet."""
        if isnan(call.ended):
            call.ended = ended
        assert self._header is not None
        if call.told is not None or self._header.version < TELLS:
            self._keep(number, call)

    def _keep(self, number: int, call: Call) -> None:
        del self._calls[number]
        status, taken, passed = call.told or (UNKNOWN, UNKNOWN, UNKNOWN)
        row = self._into.request(
            call.arrived,
            call.ended,
            call.outcome,
            status,
            call.key,
            taken,
            passed,
            self._balancer,
        )
        for one in call.tries.values():
            self._into.attempt(
                row,
                self._names[one.order],
                one.started,
                one.connected,
                one.first_byte,
                one.ended,
                one.outcome,
                one.in_flight,
            )

    # --- events

    def _sampled(self, entry: Entry) -> None:
        self._next, self._in_flight = entry.body

    def _admit(self, entry: Entry) -> None:
        key, *_, order = entry.body
        call = Call(self._time(entry.now), key.decode("utf-8", "backslashreplace"))
        self._calls[self._next] = call
        self._next += 1
        if order != NONE:
            self._begun(entry, call, 0, order)
        self._in_flight = UNKNOWN

    def _end(self, entry: Entry, outcome: int, sent: bool | None, first: float | None) -> None:
        """An attempt has ended; `sent`, as far as is known, after it had a connection."""
        number, attempt = entry.body[:2]
        call = self._call(entry, number)
        one = None if call is None else call.tries.get(attempt)
        if call is None or one is None:
            if self._lost:
                return
            raise BadRecording(entry.offset, f"attempt {attempt} of call {number} is not under way")
        call.under_way.discard(attempt)
        assert self._header is not None
        now = self._time(entry.now)
        one.ended, one.outcome = now, outcome
        if call.told is None:
            call.outcome = outcome
        if first is not None:
            one.first_byte = self._time(first)
        if sent is None:
            sent = first is not None or outcome in (OK, SERVER_ERROR)
        if sent and isnan(one.connected) and self._header.version >= TELLS:
            one.connected = one.started  # a connection was kept for it
        if entry.kind is Kind.DONE and not call.under_way:
            self._over(number, call, now)

    def _done(self, entry: Entry) -> None:
        _, _, outcome, first = entry.body
        self._end(entry, CODES[outcome], None, first)

    def _failed(self, entry: Entry) -> None:
        _, _, outcome, sent = entry.body
        self._end(entry, CODES[outcome], sent, None)

    def _declined(self, entry: Entry) -> None:
        """Asked whether it is to be tried elsewhere; what came of that, the other attempts say."""
        number, _, status = entry.body
        call = self._call(entry, number)
        if call is not None and (
            len(call.under_way) > 1 or any(it.call == number for it in entry.decisions)
        ):
            code = Outcome.OK if status < 500 else Outcome.SERVER_ERROR
            self._end(entry, CODES[code], True, entry.now)

    def _abandoned(self, entry: Entry) -> None:
        call = self._call(entry, entry.body)
        if call is not None:
            call.outcome = CLIENT_GONE
            self._over(entry.body, call, self._time(self._now))

    def _connected(self, entry: Entry) -> None:
        number, attempt = entry.body
        call = self._call(entry, number)
        if call is not None and attempt in call.tries:
            call.tries[attempt].connected = self._time(entry.now)

    def _served(self, entry: Entry) -> None:
        number, status, passed = entry.body
        call = self._call(entry, number)
        if call is not None:
            call.told = status, 0, passed
            self._keep(number, call)

    def _ended(self, entry: Entry) -> None:
        number, arrived, outcome, status, taken, passed = entry.body
        call = self._call(entry, number)
        if call is not None:
            call.arrived, call.ended = self._time(arrived), self._time(entry.now)
            call.outcome, call.told = ENDS.index(outcome), (status or UNKNOWN, taken, passed)
            if not call.under_way:
                self._keep(number, call)

    def _change(self, entry: Entry, place: str) -> None:
        body: dict[str, Any] = entry.body
        kind = entry.kind
        if not self._changes:
            self._changed = (
                f"{place}: byte {entry.offset}, after {entry.now - self.header.now:.3g} s"
            )
        self._changes[kind.name.lower()] += 1
        if kind is Kind.REMOVE:
            left = self._names[body["backend"]]
            self._present = {it for it in self._present if it[0] != left}
            return
        rows = {Kind.ADD: [body], Kind.APPLY: body.get("backends", [])}.get(kind, [])
        named = [(row["name"] or row["address"], row["address"]) for row in rows]
        self._names += [label for label, address in named if (label, address) not in self._present]
        self._present = set(named) if kind is Kind.APPLY else self._present | set(named)
