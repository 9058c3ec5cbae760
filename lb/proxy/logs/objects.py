"""Lines of the access log in JSON, made fast: what many requests have in common is kept.

The same as `as_json` of their `facts`, in lines.py, letter by letter.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from lb.proxy.logs.lines import (
    KEPT,
    LONGEST,
    PROTOCOLS,
    WAITING,
    Heads,
    letters,
    milliseconds,
    stamp,
    text,
)

NOTHING = "0.000"
End = tuple[bytes, int, int, str, int, bool, str, str, str]


class Objects:
    """Makes lines."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._said: dict[tuple[bytes, bytes], str] = {}
        self._ends: dict[End, str] = {}
        self._at = 0  # milliseconds since 1970
        self._stamp = ""

    def line(
        self,
        exchange: Any,
        attempt: Any,
        now: float,
        code: str,
        who: str,
        phase: str,
        at: float,
    ) -> str:
        """See `facts`."""
        request, trace = exchange.request, exchange.trace
        arrived: float = exchange.arrived_at
        status: int = exchange.status
        tries: int = exchange.tries
        seconds = now - arrived
        total = milliseconds(seconds)
        waited: float = exchange.waited
        wait, connect, first, backend = total, "null", "null", ""
        if tries or phase != WAITING:
            wait = NOTHING if waited == 0.0 else milliseconds(waited)
        if attempt is not None:
            lease = attempt.lease
            sent: float = attempt.sent_at
            backend = lease.backend.name
            if sent:
                began: float = lease.started_at
                connect = NOTHING if sent == began else milliseconds(sent - began)
            begun: float | None = attempt.first_byte_at
            if begun is not None and status:
                first = total if begun == now else milliseconds(begun - arrived)
        since = at - seconds
        if int(since * 1e3) != self._at:
            self._at, self._stamp = int(since * 1e3), stamp(since)
        end: End = (
            *(request.method, request.minor, status, backend, tries, exchange.hedged),
            *(code, who, phase),
        )
        how = self._ends.get(end)
        if how is None:
            how = self._end(end)
        head = request.lines, request.host
        said = self._said.get(head)
        if said is None:
            said = self._head(*head)
        if trace is None:
            ids = '"request_id":null,"trace_id":null}\n'
        else:
            request_id, trace_id = _or_null(trace.request_id), _or_null(trace.trace_id)
            ids = f'"request_id":{request_id},"trace_id":{trace_id}}}\n'
        return (
            f'{{"time":"{self._stamp}","client":{quoted(text(exchange.client.peer))},'
            f'"target":{quoted(text(request.target))},{how}"wait_ms":{wait},'
            f'"connect_ms":{connect},"first_byte_ms":{first},"total_ms":{total},'
            f'"bytes_in":{exchange.taken},"bytes_out":{exchange.passed},{said}{ids}'
        )

    def _end(self, end: End) -> str:
        method, minor, status, backend, tries, hedged, code, who, phase = end
        if len(self._ends) >= KEPT:
            self._ends.clear()
        found = self._ends[end] = (
            f'"method":{_or_null(text(method))},"protocol":"{PROTOCOLS[minor]}",'
            f'"status":{status or "null"},"backend":{_or_null(backend)},"tries":{tries},'
            f'"hedged":{"true" if hedged else "false"},"outcome":"{code}",'
            f'"termination":"{letters(code, who, phase, status)}","ended_by":"{who}",'
            f'"phase":{_or_null(phase)},'
        )
        return found

    def _head(self, lines: bytes, host: bytes) -> str:
        if len(self._said) >= KEPT:
            self._said.clear()
        agent, referer = self._heads.of(lines)
        found = (
            f'"host":{_or_null(text(host))},"user_agent":{_or_null(agent)},'
            f'"referer":{_or_null(referer)},'
        )
        if len(lines) <= LONGEST:
            self._said[lines, host] = found
        return found


def _or_null(value: str) -> str:
    return quoted(value) if value else "null"
