"""Lines of the access log: what is known of a request, as JSON or by a template.

What clients say is hostile: it never breaks a line, and what is JSON stays JSON.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from string import Formatter
from typing import Any

from lb.config.access_log import FIELDS, JSON, TEMPLATES

_BY = {"nobody": "-", "client": "C", "backend": "S", "proxy": "P"}
_IN = {
    "": "-",
    "waiting": "Q",
    "connecting": "C",
    "request": "R",
    "headers": "H",
    "body": "D",
    "tunnel": "T",
}
LETTERS = {(by, phase): _BY[by] + _IN[phase] for by in _BY for phase in _IN}
"""HAProxy's, where it has the same state: who ended it, and in which phase."""
TIMED = frozenset({"timeout", "queue_timeout", "too_late"})
"""Codes of those whose time was up."""
TIMED_OUT = 408
FIRST_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]+(.*?)(?:[ \t]+(HTTP/\d\.\d))?[ \t]*", re.DOTALL
)
"""Of a request that is refused, perhaps for this line: what looks like its parts."""
BAD = "bad_request"
WAITING = "waiting"
PROTOCOLS = ("HTTP/1.0", "HTTP/1.1")
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
NUMBERS = frozenset(
    {
        *("status", "tries", "hedged", "bytes_in", "bytes_out"),
        *("wait_ms", "connect_ms", "first_byte_ms", "total_ms"),
    }
)
TEXTS = frozenset(FIELDS) - NUMBERS
LONGEST = 4096
"""Bytes of a head that is remembered."""
KEPT = 512
"""Heads whose fields are remembered: clients say much the same all the time."""


Facts = tuple[str, ...]
"""Of one request, in the order of `FIELDS`; "" where there is none."""
Line = Callable[[Facts], str]


@lru_cache(maxsize=16)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def stamp(at: float) -> str:
    """In UTC, to the millisecond."""
    second = int(at)
    return f"{_second(second)}.{int((at - second) * 1e3):03d}Z"


class Heads:
    """Fields of requests that are written down, found once for all requests that say the same."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, str]] = {}

    def of(self, lines: bytes) -> tuple[str, str]:
        """User-Agent and Referer."""
        found = self._known.get(lines)
        if found is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            low = lines.lower()
            found = _field(b"user-agent", lines, low), _field(b"referer", lines, low)
            if len(lines) <= LONGEST:
                self._known[lines] = found
        return found


def _field(name: bytes, lines: bytes, low: bytes) -> str:
    """Its first value, or nothing. `low` is `lines` in lower case."""
    at = low.find(b"\r\n" + name + b":")
    if at < 0:
        return ""
    begin = at + len(name) + 3
    end = lines.find(b"\r\n", begin)
    return text(lines[begin : end if end >= 0 else len(lines)].strip(b" \t"))


def text(said: bytes) -> str:
    """What somebody said, bytes that are no UTF-8 as their numbers."""
    return said.decode("utf-8", "backslashreplace")


def letters(code: str, who: str, phase: str, status: int) -> str:
    """Who ended it, and where: as HAProxy says it."""
    found = LETTERS[who, phase]
    return found[0].lower() + found[1] if code in TIMED or status == TIMED_OUT else found


def milliseconds(seconds: float) -> str:
    """To the microsecond."""
    return f"{seconds * 1e3:.3f}"


def facts(
    heads: Heads,
    exchange: Any,
    attempt: Any,
    now: float,
    code: str,
    who: str,
    phase: str,
    at: float,
) -> Facts:
    """What is known of a request that has ended, which is `at` seconds since 1970.

    See `lb.proxy.exchange.account` for the rest.
    """
    request, trace, arrived = exchange.request, exchange.trace, exchange.arrived_at
    status, tries, total = exchange.status, exchange.tries, now - arrived
    agent, referer = heads.of(request.lines)
    backend = connect = first = ""
    if attempt is not None:
        lease, sent, begun = attempt.lease, attempt.sent_at, attempt.first_byte_at
        backend = lease.backend.name
        if sent:
            connect = milliseconds(sent - lease.started_at)
        if begun is not None and status:
            first = milliseconds(begun - arrived)
    return (
        stamp(at - total),
        text(exchange.client.peer),
        text(request.target),
        text(request.method),
        PROTOCOLS[request.minor],
        str(status) if status else "",
        backend,
        str(tries),
        "true" if exchange.hedged else "false",
        code,
        letters(code, who, phase, status),
        who,
        phase,
        milliseconds(total if phase == WAITING and not tries else exchange.waited),
        connect,
        first,
        milliseconds(total),
        str(exchange.taken),
        str(exchange.passed),
        text(request.host),
        agent,
        referer,
        "" if trace is None else trace.request_id,
        "" if trace is None else trace.trace_id,
    )


def facts_of_none(peer: bytes, status: int, line: bytes, seconds: float, at: float) -> Facts:
    """What is known of that which a client sent, and which is refused; see `Teller.rejected`."""
    found = FIRST_LINE.fullmatch(line)
    method, target, protocol = (b"", b"", b"") if found is None else found.groups(b"")
    who = "client" if status == TIMED_OUT else "proxy"
    known = {
        "time": stamp(at - seconds),
        "client": text(peer),
        "target": text(target),
        "method": text(method),
        "protocol": text(protocol),
        "status": str(status),
        "wait_ms": "0.000",
        "total_ms": milliseconds(seconds),
        **dict.fromkeys(("tries", "bytes_in", "bytes_out"), "0"),
        "hedged": "false",
        "outcome": BAD,
        "termination": letters(BAD, who, "request", status),
        "ended_by": who,
        "phase": "request",
    }
    return tuple(known.get(name, "") for name in FIELDS)


def line_of(form: str) -> Line:
    """How lines of a format are made, of `AccessLog.format`."""
    return as_json if form == JSON else by_template(TEMPLATES.get(form, form))


def as_json(known: Facts) -> str:
    """One object. `Objects` is the same, and faster."""
    pairs = [
        f'"{name}":{quoted(value) if name in TEXTS else value}' if value else f'"{name}":null'
        for name, value in zip(FIELDS, known, strict=True)
    ]
    return "{" + ",".join(pairs) + "}\n"


def by_template(template: str) -> Line:
    """What `template` says, with fields in their places."""
    order = list(FIELDS)
    pieces: list[str] = []
    places: list[int] = []
    for literal, name, _, _ in Formatter().parse(template):
        pieces.append(literal.replace("%", "%%") + ("" if name is None else "%s"))
        if name is not None:
            places.append(len(order) if name == "clf_time" else order.index(name))
    pattern = "".join(pieces) + "\n"

    def line(known: Facts) -> str:
        at = (*known, clf_time(known[0]))
        return pattern % tuple([plain(at[place]) for place in places])

    return line


def clf_time(time: str) -> str:
    """The time of a line as the common log format has it."""
    return f"{time[8:10]}/{MONTHS[int(time[5:7]) - 1]}/{time[:4]}:{time[11:19]} +0000"


def plain(value: str) -> str:
    """Letters that neither end a line nor a quotation; a dash for nothing."""
    if not value:
        return "-"
    if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return value
    return "".join(
        chr(byte) if 31 < byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}"
        for byte in value.encode("utf-8", "backslashreplace")
    )
