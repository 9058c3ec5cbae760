"""What tells a request apart on its way: its id, and W3C's Trace Context (traceparent).

What a client gives is passed on if it is well-formed; else another one is made. The head that goes
to the backend is changed where it has to be.
"""

from __future__ import annotations

import re
from random import Random, SystemRandom
from typing import Any

from lb.config import Tracing
from lb.proxy.http.request import Request

ID = re.compile(rb"[0-9A-Za-z\-._~+/=:@]{1,128}")
"""Ids that are taken from clients: they go into logs and on to others."""
PARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
"""Trace Context, 3.2.2; only versions to come may say more than this one, which is 00."""
TRACE, SPAN = 128, 64
"""Bits of their ids."""
SAMPLED = 1
LONGEST = 4096
"""Bytes of a head that is remembered."""
KEPT = 512
"""Heads without such fields that are remembered."""


class Trace:
    """Of one request."""

    __slots__ = ("parent", "recorded", "request_id", "sampled", "span", "trace_id", "tried")

    def __init__(self) -> None:
        self.request_id = ""
        self.trace_id = ""
        self.parent = ""
        """The span of whoever sent us the request, if there is one."""
        self.span = ""
        """Ours, where there are spans."""
        self.sampled = False
        """Somebody wants to know of it."""
        self.recorded = False
        """And we tell them."""
        self.tried: list[tuple[Any, ...]] = []
        """Attempts that have ended, if that is so: see logs/spans.py."""


class Marks:
    """Marks requests before they are sent on."""

    def __init__(self, table: Tracing, rng: Random | None = None) -> None:
        self.table = table
        rng = rng or Random(SystemRandom().getrandbits(128))
        self._bits = rng.getrandbits
        self._draw = rng.random
        self._name = table.request_id.encode()
        self._low_name = self._name.lower()
        self._traces = table.traces
        self._spans = bool(table.otlp)  # each attempt says its own span, see `mark_of`
        self._sample = table.sample
        self._bare: set[bytes] = set()

    def mark(self, request: Request) -> Trace:
        """See to it that `request` has what it is to have."""
        trace, lines = Trace(), request.lines
        if lines in self._bare:
            if self._name:
                trace.request_id = self._new_id(request)
            if self._traces:
                self._begin(trace, request)
        else:
            low = lines.lower()
            name = b"\r\n" + self._low_name + b":"
            given = self._name and name in low
            if not given and not (self._traces and b"\r\ntrace" in low):
                self._remember(lines)
            if self._name:
                trace.request_id = self._identify(request, lines, low)
            if self._traces:
                self._place(trace, request, lines, low)
        if self._spans:
            trace.span = self.new_span()
            trace.recorded = trace.sampled
        return trace

    def mark_of(self, trace: Trace, span: str) -> bytes:
        """What an attempt says, whose span is that."""
        flags = "01" if trace.sampled else "00"
        return f"traceparent: 00-{trace.trace_id}-{span}-{flags}\r\n".encode()

    def new_span(self) -> str:
        """An id; never all zeros, which is none."""
        return f"{self._bits(SPAN) or 1:016x}"

    def _remember(self, lines: bytes) -> None:
        """There is nothing in them: many requests say the same."""
        if len(self._bare) >= KEPT:
            self._bare.clear()
        if len(lines) <= LONGEST:
            self._bare.add(lines)

    def _identify(self, request: Request, lines: bytes, low: bytes) -> str:
        given, count = _field(self._low_name, lines, low)
        if count == 1 and ID.fullmatch(given):
            return given.decode()
        if count:
            request.head = _without(self._name, request.head)
        return self._new_id(request)

    def _new_id(self, request: Request) -> str:
        made = f"{self._bits(TRACE):032x}"
        request.head += self._name + b": " + made.encode() + b"\r\n"
        return made

    def _place(self, trace: Trace, request: Request, lines: bytes, low: bytes) -> None:
        given, count = _field(b"traceparent", lines, low)
        match = PARENT.fullmatch(given) if count == 1 else None
        if match is not None and _means_something(match):
            trace.trace_id, trace.parent = match[2].decode(), match[3].decode()
            trace.sampled = bool(int(match[4], 16) & SAMPLED)
            if self._spans:
                request.head = _without(b"traceparent", request.head)
            return
        if count:
            request.head = _without(b"traceparent", request.head)
        if b"\r\ntracestate:" in low:  # of a trace that is not known
            request.head = _without(b"tracestate", request.head)
        self._begin(trace, request)

    def _begin(self, trace: Trace, request: Request) -> None:
        """A trace that begins here."""
        trace.trace_id = f"{self._bits(TRACE) or 1:032x}"
        trace.sampled = self._draw() < self._sample
        if not self._spans:
            request.head += self.mark_of(trace, self.new_span())


def _means_something(match: re.Match[bytes]) -> bool:
    version, trace, span, _, more = match.groups()
    return bool(int(trace, 16) and int(span, 16) and (more is None or version != b"00"))


def _field(name: bytes, lines: bytes, low: bytes) -> tuple[bytes, int]:
    """The first value of a field, and how often it is there. `low` is `lines` in lower case."""
    mark = b"\r\n" + name + b":"
    at = low.find(mark)
    if at < 0:
        return b"", 0
    begin = at + len(mark)
    end = lines.find(b"\r\n", begin)
    value = lines[begin:] if end < 0 else lines[begin:end]
    return value.strip(b" \t"), low.count(mark)


def _without(name: bytes, head: bytes) -> bytes:
    """A head less all fields of that name."""
    return re.sub(rb"\r\n" + re.escape(name) + rb":[^\r]*", b"", head, flags=re.IGNORECASE)
