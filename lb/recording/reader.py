"""Reading a recording: its header, and every whole event.

What is there is checked as far as it can be: whole blocks by their checksum, before an event of
theirs is read. The last block may be cut short by a crash, or still be on its way to the file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from math import isnan
from typing import Any, NamedTuple
from zlib import crc32

from lb.errors import BadRecording
from lb.recording.format import (
    ABANDONED,
    ADMIT,
    ANSWERED,
    BLOCK,
    CONNECTED,
    COUNT,
    DEADLINE,
    DECIDED,
    DECISION,
    DECLINED,
    DONE,
    ENDED,
    ENDS,
    FAILED,
    FIGURES,
    GOOD,
    HEAD,
    IDEMPOTENT,
    JSON,
    LOADED,
    MAGIC,
    NOBODY,
    OUTCOMES,
    SAFE,
    SAMPLED,
    SERVED,
    TIME,
    VERSION,
    WAKE,
    Kind,
)
from lb.recording.header import READ, Header, header_of
from lb.strategies import Outcome

NONE = -1
"""In the place of a backend's order."""


class Decision(NamedTuple):
    """A call's attempt was started, or the call refused."""

    call: int
    attempt: int
    order: int
    """Of the backend; NONE for a refusal."""


class Entry(NamedTuple):
    """One input of the balancer, and what it decided upon it."""

    offset: int
    kind: Kind
    now: float
    """NaN where the balancer was given no time."""
    body: Any
    decisions: tuple[Decision, ...]


class _CutShortError(Exception):
    """An event goes on beyond the end of what there is."""


class Log:
    """Reads a recording piece by piece, one part or several in a row."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._buffer = bytearray()
        self._at = 0  # offset of the buffer in the recording
        self._part: Header | None = None
        self.end = 0  # of the last whole event
        self.complete = False
        self.continued = False
        """It ends with the end of a part that is not the last."""

    def header(self) -> Header:
        """Of the first part there is. Raises BadRecording."""
        header = self._header()
        if header is None:
            raise BadRecording(0, "this is not a recording of lb")
        return header

    def _header(self) -> Header | None:
        """Of the part that begins here; None at the end of what there is."""
        start = self._at
        head = self._take(HEAD.size)
        if not head:
            return None
        if head[: len(MAGIC)] != MAGIC[: len(head)]:
            raise BadRecording(start, "this is not a recording of lb")
        if len(head) < HEAD.size:
            raise BadRecording(self._at, "the recording ends within its header")
        _, version, length, checksum = HEAD.unpack(head)
        if version not in READ:
            why = f"format {version}; this lb reads up to {VERSION}"
            raise BadRecording(start + len(MAGIC), why)
        text = self._take(length)
        if len(text) < length:
            raise BadRecording(self._at, "the recording ends within its header")
        if crc32(text) != checksum:
            raise BadRecording(start + HEAD.size, "the header does not match its checksum")
        row: dict[str, Any] = {}
        try:
            row = json.loads(text)
            header = header_of(row, version)
        except (KeyError, TypeError, ValueError) as error:
            made_by = row.get("lb", "an unknown version")
            told = f"{error} is missing" if isinstance(error, KeyError) else error
            why = f"the header, made by lb {made_by}, does not fit this version: {told}"
            raise BadRecording(start + HEAD.size, why) from None
        before, self._part = self._part, header
        if before is not None and not before.precedes(header):
            raise BadRecording(start, f"part {before.part + 1} of the recording is missing")
        self.end = self._at
        return header

    def events(self) -> Iterator[Entry]:
        """Every whole event. Raises BadRecording where one makes no sense."""
        while True:
            start = self._at
            head = self._take(BLOCK.size)
            if len(head) < BLOCK.size:
                return
            length, complement, checksum = BLOCK.unpack(head)
            if length ^ complement != 0xFFFFFFFF:
                raise BadRecording(start, "a block whose length is damaged")
            block = self._take(length)
            whole = len(block) == length
            if whole and crc32(block) != checksum:
                raise BadRecording(start, "a block that does not match its checksum")
            start += BLOCK.size
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
                if event.kind is Kind.CONTINUED:
                    if at < len(block):
                        raise BadRecording(self.end, "the part goes on after its end")
                    if self._header() is None:
                        self.continued = True
                        return
                    break
                if event.kind is Kind.END:
                    self.complete = True
                    if at < len(block) or self._take(1):
                        raise BadRecording(self.end, "the recording goes on after its end")
                    return
                if event.kind is Kind.GOOD:
                    call, status, passed = event.body
                    body = call, 0, Outcome.OK, event.now
                    yield event._replace(kind=Kind.DONE, body=body)
                    event = event._replace(kind=Kind.SERVED, now=_NAN, body=(call, status, passed))
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


def _event(block: bytes, at: int, start: int) -> tuple[Entry, int]:
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
    if kind is Kind.LOADED:
        kind = Kind.REPORTED
    return Entry(offset, kind, now, body, decisions), at


_NAN = float("nan")
Body = tuple[float, Any, int]
"""Time, fields, and where the next event begins."""


def _end(block: bytes, at: int) -> Body:
    return _NAN, None, at + 1


def _admit(block: bytes, at: int) -> Body:
    _, now, flags, order, length = ADMIT.unpack_from(block, at)
    key, at = _text(block, at + ADMIT.size, length)
    deadline = float("inf")
    if flags & DEADLINE:
        (deadline,) = TIME.unpack_from(block, at)
        at += TIME.size
    return now, (key, bool(flags & IDEMPOTENT), bool(flags & SAFE), deadline, _known(order)), at


def _done(block: bytes, at: int) -> Body:
    _, now, call, attempt, outcome, first_byte = DONE.unpack_from(block, at)
    began = None if isnan(first_byte) else first_byte
    return now, (call, attempt, OUTCOMES[outcome], began), at + DONE.size


def _failed(block: bytes, at: int) -> Body:
    _, now, call, attempt, outcome, sent = FAILED.unpack_from(block, at)
    return now, (call, attempt, OUTCOMES[outcome], bool(sent)), at + FAILED.size


def _answered(block: bytes, at: int) -> Body:
    _, now, call, attempt = ANSWERED.unpack_from(block, at)
    return now, (call, attempt), at + ANSWERED.size


def _declined(block: bytes, at: int) -> Body:
    _, now, call, attempt, status = DECLINED.unpack_from(block, at)
    return now, (call, attempt, status), at + DECLINED.size


def _abandoned(block: bytes, at: int) -> Body:
    _, call = ABANDONED.unpack_from(block, at)
    return _NAN, call, at + ABANDONED.size


def _connected(block: bytes, at: int) -> Body:
    _, now, call, attempt = CONNECTED.unpack_from(block, at)
    return now, (call, attempt), at + CONNECTED.size


def _served(block: bytes, at: int) -> Body:
    _, call, status, passed = SERVED.unpack_from(block, at)
    return _NAN, (call, status, passed), at + SERVED.size


def _ended(block: bytes, at: int) -> Body:
    _, now, arrived, call, end, status, taken, passed = ENDED.unpack_from(block, at)
    return now, (call, arrived, ENDS[end], status, taken, passed), at + ENDED.size


def _good(block: bytes, at: int) -> Body:
    _, now, call, status, passed = GOOD.unpack_from(block, at)
    return now, (call, status, passed), at + GOOD.size


def _loaded(block: bytes, at: int) -> Body:
    _, now, order, *figures = LOADED.unpack_from(block, at)
    said = {n: None if isnan(it) else it for n, it in zip(FIGURES, figures, strict=True)}
    if said["in_flight"] is not None:
        said["in_flight"] = int(said["in_flight"])
    return now, {"backend": order, **said}, at + LOADED.size


def _sampled(block: bytes, at: int) -> Body:
    _, call, in_flight = SAMPLED.unpack_from(block, at)
    return _NAN, (call, _known(in_flight)), at + SAMPLED.size


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
    Kind.CONTINUED: _end,
    Kind.CONNECTED: _connected,
    Kind.SERVED: _served,
    Kind.ENDED: _ended,
    Kind.SAMPLED: _sampled,
    Kind.LOADED: _loaded,
    Kind.GOOD: _good,
    Kind.ADMIT: _admit,
    Kind.DONE: _done,
    Kind.FAILED: _failed,
    Kind.ANSWERED: _answered,
    Kind.DECLINED: _declined,
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
