"""One request as a line of a log tells it, and what is made of the words that logs use.

Sources name what they have by `NAMES`; a proxy that tried several backends gives a list for each of
them, as nginx does: "10.0.0.1:80, 10.0.0.2:80".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isnan, nan
from typing import NamedTuple

from lb.recording.format import ENDS
from lb.traces.observed import (
    CLIENT_GONE,
    CONNECT,
    OK,
    REFUSED,
    RESET,
    SERVER_ERROR,
    TIMEOUT,
    UNKNOWN,
)

NAMES = {
    "arrived": "when the request came",
    "ended": "when its last byte had gone, or when the line was written",
    "total": "from the one to the other",
    "wait": "until a backend was picked",
    "connect": "from that pick to a connection",
    "header": "from that pick to the first byte of the answer",
    "first_byte": "from the arrival to the first byte of the answer",
    "response": "from that pick to the last byte of the answer",
    "backend": "who answered",
    "answer": "the status that the backend gave",
    "status": "the status that the client got",
    "outcome": "ok, or what went wrong: connect, reset, timeout, server_error, client_gone",
    "tries": "how many backends were tried",
    "client": "who asked",
    "uri": "what for, path and query",
    "request": "method, uri and protocol",
    "bytes_in": "of the request",
    "bytes_out": "of the answer",
}
"""What a line may tell of a request, beside `header:NAME` and `cookie:NAME`."""
DURATIONS = ("total", "wait", "connect", "header", "first_byte", "response")
GONE = 499
"""nginx's status of clients that have left."""
FAILED = 500
"""From which status on a server has failed."""
BAD_GATEWAY, UNAVAILABLE, GATEWAY_TIMEOUT = 502, 503, 504
_LIST = re.compile(r", | : |,(?! )")
NOBODY = frozenset({"", "-", "null", "None"})


class Visit(NamedTuple):
    """One try at one backend; times on the log's clock, NaN where they are not told."""

    backend: str
    started: float
    connected: float
    first_byte: float
    ended: float
    outcome: int


LONGEST = 1e7
"""Seconds, four months: what took longer was never measured, and would move all other times."""
MOST = 2.0**63
"""A column holds less."""


class Sighting(NamedTuple):
    """One request; times on the log's clock."""

    arrived: float
    ended: float
    outcome: int
    status: int
    key: str | None
    bytes_in: int
    bytes_out: int
    visits: tuple[Visit, ...]
    hidden: int
    """Tries that the line counts and does not tell apart."""
    contradicts: bool = False
    """Whether the line calls an error of the server ok."""

    def later(self, seconds: float) -> Sighting:
        """The same, so much later."""
        if not seconds:
            return self
        visits = tuple(
            Visit(
                it.backend,
                it.started + seconds,
                it.connected + seconds,
                it.first_byte + seconds,
                it.ended + seconds,
                it.outcome,
            )
            for it in self.visits
        )
        return self._replace(
            arrived=self.arrived + seconds, ended=self.ended + seconds, visits=visits
        )


class Told(NamedTuple):
    """What a line says, in `NAMES`: numbers of seconds, and texts; lists are not taken apart."""

    times: Mapping[str, float]
    """arrived, ended: on the log's clock."""
    texts: Mapping[str, str]
    units: Mapping[str, float]
    """How many seconds the unit of each duration is."""


def sighting(told: Told, key: str | None) -> Sighting | str:
    """The request, or why the line is of none that came to a backend. Raises ValueError."""
    texts = told.texts
    total = _duration(told, "total")
    arrived, ended = told.times.get("arrived", nan), told.times.get("ended", nan)
    durations = {name: _durations(told, name) for name in ("connect", "header", "response")}
    if isnan(total):
        spent = [it for it in durations["response"] if not isnan(it)]
        total = ended - arrived if not isnan(ended - arrived) else sum(spent) if spent else nan
    arrived = ended - total if isnan(arrived) else arrived
    ended = arrived + total if isnan(ended) else ended
    status = number(texts.get("status"))
    backends = [it for it in parts(texts.get("backend")) if it not in NOBODY]
    if isnan(arrived):
        raise ValueError("no time that it took")
    outcome = outcome_of(texts.get("outcome"), status)
    visits = _visits(told, backends, arrived, ended, durations, status, outcome)
    if not visits:
        if outcome == OK:
            return "requests answered without a backend"
        outcome = outcome if outcome == CLIENT_GONE else REFUSED
    elif texts.get("outcome") is None and status != GONE:
        outcome = visits[-1].outcome
    tries = number(texts.get("tries"))
    return Sighting(
        arrived,
        ended,
        outcome,
        status,
        key,
        number(texts.get("bytes_in")),
        number(texts.get("bytes_out")),
        visits,
        max(0, tries - len(visits)) if visits else 0,
        texts.get("outcome") == ENDS[OK] and status >= FAILED,
    )


def _visits(
    told: Told,
    backends: list[str],
    arrived: float,
    ended: float,
    durations: Mapping[str, list[float]],
    status: int,
    outcome: int,
) -> tuple[Visit, ...]:
    """Each backend's; with nginx a name without a port is that of a pool where nobody was left."""
    wait, first = _duration(told, "wait"), _duration(told, "first_byte")
    answers = [number(it) for it in parts(told.texts.get("answer"))]
    started = arrived if isnan(wait) else arrived + wait
    found: list[Visit] = []
    for place, backend in enumerate(backends):
        connect, header, response = (_at(durations[it], place) for it in durations)
        last = place == len(backends) - 1
        first_byte = started + header
        if last and not isnan(first):
            first_byte = arrived + first
        done = ended if last and isnan(response) else min(started + response, ended)
        answer = answers[place] if place < len(answers) else UNKNOWN
        if ":" not in backend and answer == BAD_GATEWAY and isnan(connect) and isnan(header):
            continue
        if place < len(answers) or len(backends) > 1:
            became = judged(answer, connect, header, gone=last and status == GONE)
        else:
            became = outcome
        found.append(Visit(backend, started, started + connect, first_byte, done, became))
        started = done if not isnan(done) else started
    return tuple(found)


def judged(answer: int, connect: float, header: float, *, gone: bool = False) -> int:
    """What became of a try, by nginx's status of it and how far it came."""
    if gone:
        return CLIENT_GONE
    if answer in (BAD_GATEWAY, GATEWAY_TIMEOUT) and isnan(header):
        if isnan(connect):
            return CONNECT
        return RESET if answer == BAD_GATEWAY else TIMEOUT
    return SERVER_ERROR if answer >= 500 else OK


def outcome_of(word: str | None, status: int) -> int:
    """By its name, else by the status that the client got; that is believed where both differ.
    Raises ValueError.
    """
    if word is not None and not (word == ENDS[OK] and status >= FAILED):
        return ENDS.index(word) if word in ENDS else REFUSED
    if status == GONE:
        return CLIENT_GONE
    return SERVER_ERROR if status >= FAILED else OK


def key_of(wanted: str, texts: Mapping[str, str]) -> str | None:
    """What hash strategies see: client_ip, path, uri, header:NAME, cookie:NAME."""
    kind, _, name = wanted.partition(":")
    if kind == "client_ip":
        return texts.get("client")
    if kind in ("path", "uri"):
        uri = texts.get("uri")
        if uri is None and "request" in texts:
            words = texts["request"].split(" ")
            uri = words[1] if len(words) > 1 else ""
        return uri if uri is None or kind == "uri" else uri.partition("?")[0]
    return texts.get(f"{kind}:{name.lower().replace('_', '-')}")


def parts(text: str | None) -> list[str]:
    """A list as nginx writes it: commas between servers, colons between groups of them."""
    return [] if text is None or text in NOBODY else [it.strip() for it in _LIST.split(text)]


def number(text: str | None) -> int:
    """A whole number, or UNKNOWN. Raises ValueError."""
    if text is None or text in NOBODY:
        return UNKNOWN
    found = float(text)
    if not abs(found) < MOST:
        raise ValueError(f"{text} is no number that a log counts to")
    return int(found)


def _duration(told: Told, name: str) -> float:
    found = _durations(told, name)
    return found[0] if found else nan


def _durations(told: Told, name: str) -> list[float]:
    unit = told.units.get(name, 1.0)
    texts = parts(told.texts.get(name))
    found = [nan if text in NOBODY else float(text) * unit for text in texts]
    if any(it < 0 or it > LONGEST for it in found):
        raise ValueError(f"{name} {told.texts[name]} is no time that anything takes")
    return found


def _at(values: list[float], place: int) -> float:
    return values[place] if place < len(values) else nan
