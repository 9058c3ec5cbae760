"""HAProxy's log with timings (`option httplog`), whatever stands before it.

`[date]` is the first byte of the request; then follow TR/Tw/Tc/Tr/Ta in milliseconds, -1 for what
did not come to pass: the request itself, the line, the connection, the answer's head, all of it.

Source: HAProxy, Configuration Manual, 8.2.3 and 8.5.
"""

from __future__ import annotations

import re
from math import nan

from lb.traces.dates import clf
from lb.traces.observed import CLIENT_GONE, CONNECT, OK, REFUSED, RESET, SERVER_ERROR, TIMEOUT
from lb.traces.sighting import Sighting, Visit

LINE = re.compile(
    r"(?<!\S)(?P<client>\S+):\d+ \[(?P<at>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d+)\] "
    r"(?P<frontend>\S+) (?P<backend>\S+?)/(?P<server>\S+) "
    r"(?P<TR>-?\d+)/(?P<Tw>-?\d+)/(?P<Tc>-?\d+)/(?P<Tr>-?\d+)/\+?(?P<Ta>-?\d+) "
    r"(?P<status>-1|\d{3}) \+?(?P<bytes>\d+) (?P<asked>\S+) (?P<set>\S+) (?P<state>\S{4}) "
    r"\d+/\d+/\d+/\d+/(?P<retries>\+?\d+) \d+/\d+"
    r"(?: \{(?P<first>[^}]*)\})?(?: \{(?P<second>[^}]*)\})? \"(?P<request>[^\"]*)"
)
CLF_LINE = re.compile(
    r"(?<!\S)(?P<client>\S+) - - "
    r"\[(?P<at>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d)(?: [+-]\d{4})?\] "
    r"\"(?P<request>[^\"]*)\" (?P<status>-1|\d{3}) \+?(?P<bytes>\d+) \"\" \"\" \d+ (?P<ms>\d{1,3}) "
    r"\"(?P<frontend>[^\"]*)\" \"(?P<backend>[^\"]*)\" \"(?P<server>[^\"]*)\" "
    r"(?P<TR>-?\d+) (?P<Tw>-?\d+) (?P<Tc>-?\d+) (?P<Tr>-?\d+) \+?(?P<Ta>-?\d+) "
    r"\"(?P<state>\S{4})\" \d+ \d+ \d+ \d+ (?P<retries>\+?\d+) \d+ \d+"
    r"(?: \"(?P<asked>[^\"]*)\" \"(?P<set>[^\"]*)\")?"
)
"""`option httplog clf`; its first captured fields are not read."""
TCP = re.compile(
    r"(?<!\S)\S+:\d+ \[\d\d/[A-Z][a-z]{2}/\d{4}:[\d:.]+\] \S+ \S+?/\S+ "
    r"-?\d+/-?\d+/\+?-?\d+ \+?\d+ \S\S "
)
CONNECTED = re.compile(r"Connect from \S+:\d+ to ")
NOTICE = re.compile(
    r"(Server|Backup Server|Proxy|Backend|backend|Health check|Stopping|Starting|Pausing|Enabling"
    r"|Previously|Reload|New worker|New program|Loading) |: SSL handshake failure"
    r"|: Connection closed|\[(NOTICE|WARNING|ALERT)\]"
)
WANTED = "its own `option httplog` tells all that is needed"
NOBODY = "<NOSRV>"
STATES = {
    "C": CLIENT_GONE,
    "c": CLIENT_GONE,
    "SC": CONNECT,
    "sC": CONNECT,
    "SH": RESET,
    "SD": RESET,
    "SL": RESET,
    "sH": TIMEOUT,
    "sD": TIMEOUT,
    "sL": TIMEOUT,
    "PH": SERVER_ERROR,
    "sQ": REFUSED,
    "SQ": REFUSED,
    "P": REFUSED,
    "R": REFUSED,
    "I": REFUSED,
    "D": RESET,
    "U": RESET,
    "K": CLIENT_GONE,
}
"""What became of a request, by the two letters of its termination state, or the first alone."""
MILLI = 1e-3


class HaproxyLog:
    """Lines of it. The key header:NAME is the first captured field of the request."""

    resolution = 1e-3
    lacking = frozenset({"bytes_in"})

    def __init__(self, key: str, *, clf: bool = False) -> None:
        self.name = "HAProxy's httplog" + " clf" * clf
        self._pattern = CLF_LINE if clf else LINE
        self._kind, _, self._named = key.partition(":")

    def read(self, text: str) -> Sighting | str:
        match = self._pattern.search(text)
        if match is None:
            if NOTICE.search(text):
                return "notices"
            raise ValueError(not_http(text))
        state = match["state"]
        if state[0] == "L":
            return "requests that HAProxy answered itself"
        at = clf(match["at"]) + (int(match["ms"]) * MILLI if "ms" in match.re.groupindex else 0.0)
        head, waited, connect, answer, total = (
            int(match[name]) for name in ("TR", "Tw", "Tc", "Tr", "Ta")
        )
        arrived = at + max(head, 0) * MILLI
        ended = max(at + max(total, 0) * MILLI, arrived)
        status = int(match["status"])
        outcome = STATES.get(state[:2], STATES.get(state[0], OK))
        if outcome == OK and status >= 500:
            outcome = SERVER_ERROR
        visits: tuple[Visit, ...] = ()
        if match["server"] != NOBODY and waited >= 0:
            visits = (
                self._visit(match["server"], arrived, ended, waited, connect, answer, outcome),
            )
        elif outcome not in (CLIENT_GONE, OK):
            outcome = REFUSED
        elif outcome == OK:
            return "requests that HAProxy answered itself"
        return Sighting(
            arrived,
            ended,
            outcome,
            status,
            self._key(match),
            -1,
            int(match["bytes"]),
            visits,
            int(match["retries"].lstrip("+")) if visits else 0,
        )

    @staticmethod
    def _visit(
        server: str,
        arrived: float,
        ended: float,
        waited: int,
        connect: int,
        answer: int,
        outcome: int,
    ) -> Visit:
        started = arrived + waited * MILLI
        connected = started + connect * MILLI if connect >= 0 else nan
        first = connected + answer * MILLI if answer >= 0 else nan
        return Visit(server, started, connected, first, ended, outcome)

    def _key(self, match: re.Match[str]) -> str | None:
        if self._kind == "client_ip":
            return match["client"]
        if self._kind in ("path", "uri"):
            words = match["request"].split(" ")
            uri = words[1] if len(words) > 1 else ""
            return uri if self._kind == "uri" else uri.partition("?")[0]
        if self._kind == "cookie":
            name, _, value = (match["asked"] or "-").partition("=")
            return value if name == self._named else ""
        captured = match["first"] if "first" in match.re.groupindex else None
        return None if captured is None else captured.split("|")[0]


def not_http(text: str) -> str:
    """Why a line is none of HAProxy's httplog."""
    if TCP.search(text):
        return f"a line of `option tcplog`: TR, Tr and Ta are missing; {WANTED}"
    if CONNECTED.search(text):
        return f"HAProxy's shortest line, without any timing; {WANTED}"
    return "not a line of HAProxy's httplog"
