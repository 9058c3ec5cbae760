"""JSON, an object a line: fields by their usual names, or by those that somebody gives."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lb.errors import nearest
from lb.traces.dates import moment
from lb.traces.sighting import DURATIONS, NAMES, Sighting, Told, key_of, sighting
from lb.units import UNITS

NANO = {**UNITS, "ns": 1e-9}
SUFFIX = re.compile(
    r"(?:_|(?<=[a-z]))(ns|us|ms|s|nanos|micros|millis|secs?|seconds|milliseconds|microseconds|Ms|Us)$"
)
LONG = {
    "nanos": 1e-9,
    "micros": 1e-6,
    "microseconds": 1e-6,
    "Us": 1e-6,
    "millis": 1e-3,
    "milliseconds": 1e-3,
    "Ms": 1e-3,
    "sec": 1.0,
    "secs": 1.0,
    "seconds": 1.0,
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h)")
FORMS: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "lb's access log": (
        ("total_ms", "ended_by"),
        {
            "arrived": "time",
            "total": "total_ms",
            "wait": "wait_ms",
            "connect": "connect_ms",
            "first_byte": "first_byte_ms",
            "backend": "backend",
            "status": "status",
            "outcome": "outcome",
            "tries": "tries",
            "client": "client",
            "uri": "target",
            "bytes_in": "bytes_in",
            "bytes_out": "bytes_out",
        },
    ),
    "Traefik's access log": (
        ("OriginDuration", "StartUTC"),
        {
            "arrived": "StartUTC",
            "total": "Duration:ns",
            "response": "OriginDuration:ns",
            "backend": "ServiceAddr",
            "status": "DownstreamStatus",
            "answer": "OriginStatus",
            "client": "ClientHost",
            "uri": "RequestPath",
            "tries": "RetryAttempts",
            "bytes_in": "RequestContentSize",
            "bytes_out": "DownstreamContentSize",
        },
    ),
    "Envoy's access log": (
        ("start_time", "upstream_host"),
        {
            "arrived": "start_time",
            "total": "duration:ms",
            "backend": "upstream_host",
            "status": "response_code",
            "uri": "path",
            "client": "downstream_remote_address",
            "first_byte": "response_duration:ms",
            "tries": "upstream_request_attempt_count",
            "bytes_in": "bytes_received",
            "bytes_out": "bytes_sent",
        },
    ),
    "Caddy's access log": (
        ("duration", "request.remote_ip"),
        {
            "ended": "ts",
            "total": "duration:s",
            "status": "status",
            "client": "request.client_ip",
            "uri": "request.uri",
            "bytes_out": "size",
            "bytes_in": "bytes_read",
            "backend": "upstream",
        },
    ),
}
"""Programs whose fields are known, by two that nobody else has together."""
TOLD: Mapping[str, str] = {
    "Caddy's access log": "in reverse_proxy write header_down X-Upstream "
    "{http.reverse_proxy.upstream.hostport}, and give --field backend=resp_headers.X-Upstream"
}
"""How programs come to name the backend that do not by themselves."""
GUESSES: Mapping[str, tuple[str, ...]] = {
    "arrived": (
        "arrived",
        "start",
        "start_time",
        "started",
        "started_at",
        "request_start",
        "begin",
    ),
    "ended": (
        *("ended", "end", "end_time", "msec", "ts", "time", "timestamp", "@timestamp"),
        *("time_iso8601", "time_local", "date", "datetime"),
    ),
    "total": (
        *("total", "duration", "latency", "elapsed", "request_time", "response_time", "took"),
        *("time_taken", "total_time"),
    ),
    "wait": ("wait", "queue", "queued", "queue_time", "wait_time"),
    "connect": ("connect", "connect_time", "upstream_connect_time"),
    "header": ("header", "upstream_header_time", "header_time"),
    "first_byte": ("first_byte", "ttfb", "time_to_first_byte"),
    "response": ("response", "upstream_response_time", "upstream_time", "backend_time"),
    "backend": (
        *("backend", "upstream_addr", "upstream", "upstream_host", "server", "server_addr"),
        *("target_addr", "backend_server", "endpoint"),
    ),
    "answer": ("upstream_status",),
    "status": ("status", "status_code", "response_code", "code", "http_status"),
    "client": ("client", "client_ip", "remote_addr", "remote_ip", "ip", "remote_host"),
    "uri": ("uri", "request_uri", "target", "path", "url"),
    "request": ("request",),
    "bytes_in": ("bytes_in", "request_length", "request_size", "bytes_received"),
    "bytes_out": ("bytes_out", "body_bytes_sent", "bytes_sent", "bytes", "size", "response_size"),
    "outcome": ("outcome",),
    "tries": ("tries", "attempts"),
}
"""Names that people give, the likeliest first; durations may have a unit behind: `latency_ms`."""
SECONDS_ANYWAY = frozenset(
    {
        *("request_time", "upstream_connect_time", "upstream_header_time"),
        "upstream_response_time",
    }
)
"""nginx's names, which need no unit."""
FIELD = "give --field total=NAME:ms (s, us, ns)"


class JsonLog:
    """Lines whose fields are named by `fields`: what is told -> path and unit."""

    lacking: frozenset[str]

    def __init__(self, name: str, key: str, fields: Mapping[str, str], first: Mapping[str, Any]):
        self.name = name
        self._key = key
        self._paths: dict[str, tuple[str, ...]] = {}
        self._units: dict[str, float] = {}
        for word, text in fields.items():
            path, unit = _unit(text)
            self._paths[word] = tuple(path.split("."))
            if word in DURATIONS:
                known = unit or _unit_of_name(path)
                if not known and not isinstance(_inside(first, self._paths[word]), str):
                    raise ValueError(f"field {path!r} has no unit; give --field {word}={path}:ms")
                self._units[word] = known or 1.0
        self.resolution = self._resolution(first)
        self.told = set(self._paths)
        lacking = {
            "attempts.connected": {"connect"},
            "attempts.first_byte": {"header", "first_byte"},
            "bytes_in": {"bytes_in"},
            "bytes_out": {"bytes_out"},
            "status": {"status"},
        }
        self.lacking = frozenset(it for it, any_of in lacking.items() if not any_of & self.told)

    def missing(self) -> list[str]:
        """What is lacking for anything to be calibrated."""
        absent = []
        when = {"arrived", "ended"} & self.told
        if not when:
            absent.append("ended")
        if len(when) < 2 and not {"total", "response"} & self.told:
            absent.append("total")
        return absent + ["backend"] * ("backend" not in self.told)

    def read(self, text: str) -> Sighting | str:
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise ValueError("not a JSON object")  # noqa: TRY004 - as any line that is broken
        times: dict[str, float] = {}
        texts: dict[str, str] = {}
        for word, path in self._paths.items():
            value = _inside(given, path)
            if value is None:
                continue
            if word in ("arrived", "ended"):
                times[word] = moment(value)[0]
            else:
                texts[word] = self._text(word, value)
        if not times:
            raise ValueError(f"{'.'.join(next(iter(self._paths.values())))} is missing")
        return sighting(Told(times, texts, self._units), key_of(self._key, texts))

    def _text(self, word: str, value: object) -> str:
        if isinstance(value, list) and len(value) == 1:  # Caddy's header fields
            value = value[0]
        text = value if isinstance(value, str) else json.dumps(value)
        match = _DURATION.fullmatch(text.strip()) if word in DURATIONS else None
        if match is not None:
            seconds = float(match[1]) * NANO[match[2].replace("µ", "u")]
            return repr(seconds / self._units[word])
        return text

    def _resolution(self, first: Mapping[str, Any]) -> float:
        exact = [
            moment(value)[1]
            for word in ("arrived", "ended")
            if (value := _inside(first, self._paths.get(word, ()))) is not None
        ]
        return min(exact, default=1.0)


def _unit(text: str) -> tuple[str, float]:
    """`duration:ms` -> its path, and its unit in seconds; 0 where none is given."""
    path, colon, unit = text.rpartition(":")
    if not colon:
        return text, 0.0
    if unit not in NANO:
        raise ValueError(f"{text!r}: unknown unit {unit!r}; {nearest(unit, NANO)}")
    return path, NANO[unit]


def _unit_of_name(path: str) -> float:
    if path in SECONDS_ANYWAY:
        return 1.0
    match = SUFFIX.search(path)
    return 0.0 if match is None else LONG.get(match[1], 0.0) or NANO.get(match[1], 0.0)


def _inside(given: Mapping[str, Any], path: tuple[str, ...]) -> object:
    value: Any = given
    whole = ".".join(path)
    if whole in given:  # some write dots in names
        return given[whole]
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value if path else None


def has(given: Mapping[str, Any], text: str) -> bool:
    """Whether the field is there, be it null."""
    *tables, name = text.partition(":")[0].split(".")
    table: Any = given
    for part in tables:
        table = table.get(part) if isinstance(table, dict) else None
    return isinstance(table, dict) and name in table


def understood(key: str, first: Mapping[str, Any], fields: Mapping[str, str] | None) -> JsonLog:
    """How lines like `first` are read: by `fields`, else as a known program's, else by guessing.

    Raises ValueError.
    """
    for word in fields or ():
        kind = word.partition(":")[0]
        if word not in NAMES and kind not in ("header", "cookie"):
            raise ValueError(f"unknown field {word!r}; {nearest(word, NAMES)}")
    for name, (telltale, known) in FORMS.items():
        if all(_inside(first, tuple(it.split("."))) is not None for it in telltale) or (
            all(it in first for it in telltale)
        ):
            there = {word: text for word, text in known.items() if has(first, text)}
            return JsonLog(name, key, {**there, **(fields or {})}, first)
    found = dict(_guessed(first))
    if fields and ("arrived" in fields) != ("ended" in fields):
        found = {it: at for it, at in found.items() if it not in ("arrived", "ended")}
    for kind in ("header", "cookie"):
        for name in first:
            prefix = {"header": "http_", "cookie": "cookie_"}[kind]
            if name.startswith(prefix):
                found[f"{kind}:{name.removeprefix(prefix).replace('_', '-')}"] = name
    return JsonLog("JSON lines", key, {**found, **(fields or {})}, first)


def _guessed(first: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for word, names in GUESSES.items():
        for name in names:
            if name in first:
                found.append((word, name))
                break
            if word not in DURATIONS:
                continue
            spelt = [it for it in first if SUFFIX.sub("", it) == name and it != name]
            if spelt:
                found.append((word, spelt[0]))
                break
    return found
