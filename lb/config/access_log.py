"""The access log: what is written of every request, and where."""

from __future__ import annotations

import re
from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer, SerializationInfo, ValidationInfo

from lb.config.files import anywhere, named
from lb.config.values import Share, Table, host_and_port
from lb.config.values import address as host_port
from lb.errors import nearest

FIELDS = {
    "time": "when the request came, in UTC, to the millisecond",
    "client": "address",
    "target": "path and query, as the client wrote them",
    "method": "of the request",
    "protocol": "of the client, HTTP/1.1 or HTTP/1.0",
    "status": "of the answer; none when the client left before there was one",
    "backend": "of the last attempt, whoever answered: see ended_by; none where there was none",
    "tries": "attempts, hedges included",
    "hedged": "whether there was an attempt beside another",
    "outcome": "ok, or the code of what went wrong, as errors and metrics have it",
    "termination": "who ended it and in which phase, a letter each; a small one if time was up",
    "ended_by": "nobody (it went well), client, backend, proxy",
    "phase": "waiting, connecting, request, headers, body, tunnel; none when it went well",
    "wait_ms": "until a backend was picked for the first time",
    "connect_ms": "for the connection of the last attempt, from its pick on; 0 if there was one",
    "first_byte_ms": "until the backend's answer began, from the time the request came",
    "total_ms": "until the last byte, from the same time; a tunnel's whole life",
    "bytes_in": "of the request's body",
    "bytes_out": "of the answer's body, or through a tunnel",
    "host": "whom the client asked for",
    "user_agent": "as the client says",
    "referer": "the same",
    "request_id": "see [tracing]",
    "trace_id": "see [tracing]",
}
"""What is known of a request: the keys of a line in JSON, and what templates may name."""
COMMON = '{client} - - [{clf_time}] "{method} {target} {protocol}" {status} {bytes_out}'
TEMPLATES = {"common": COMMON, "combined": COMMON + ' "{referer}" "{user_agent}"'}
"""Formats that have a name; the first two are Apache's."""
JSON = "json"
NAMES = (*FIELDS, "clf_time")
"""`clf_time` is the time as the common log format has it, to the second."""
STREAMS = ("stderr", "stdout")
SYSLOG = "syslog"
LOCAL = "/dev/log"


def log_format(text: str) -> str:
    """A name, or a template. Raises ValueError."""
    if text == JSON or text in TEMPLATES:
        return text
    if "{" not in text:
        raise ValueError(
            f"{text!r} is neither a format nor a template, such as "
            f'"{{client}} {{target}} {{status}}"; {nearest(text, (JSON, *TEMPLATES))}'
        )
    if not text.replace("\t", " ").isprintable():
        raise ValueError("a template is one line of characters that can be printed")
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; a brace itself is written twice") from None
    for _, name, spec, conversion in parts:
        if name is not None and name not in NAMES:
            raise ValueError(f"unknown field {name!r}; {nearest(name, NAMES)}")
        if spec or conversion:
            raise ValueError(f"field {name!r}: write its name alone")
    return text


def has_no_path(file: str) -> bool:
    """Whether lines go somewhere else than to a file of their own."""
    return file in STREAMS or file.partition(":")[0] == SYSLOG


def log_file(text: str, info: ValidationInfo) -> str:
    """stderr, stdout, a path, or syslog and where it listens. Raises ValueError."""
    kind, colon, where = text.partition(":")
    if kind == SYSLOG:
        if colon and not where.startswith("/"):
            host_port(where)
        return text
    if not text or "\0" in text or re.match(r"[a-z]+://", text):
        raise ValueError(
            f'{text!r} is none of: stderr, stdout, a path, "syslog", "syslog:HOST:PORT"'
        )
    if text in STREAMS:
        return text
    path = named(text, info)
    return f"./{path}" if has_no_path(path) else path


def _written(file: str, info: SerializationInfo) -> str:
    return file if has_no_path(file) else anywhere(file, info)


class AccessLog(Table):
    """One line for every request that has ended, however it did."""

    format: Annotated[str, AfterValidator(log_format)] = JSON
    """json, common, combined, or a template: "{client} {method} {target} {status} {total_ms}". What
    is not known is written as null, in templates as a dash."""
    file: Annotated[str, AfterValidator(log_file), PlainSerializer(_written)] = "stderr"
    """stderr, stdout, a path (opened anew on SIGUSR1; a relative one counts from this file),
    "syslog" (the machine's own), "syslog:/path" or "syslog:host:port" (UDP, RFC 5424)."""
    sample: Share = 1.0
    """Of the requests that went well; each is drawn by itself."""
    errors: bool = True
    """Whether requests that went wrong are written even where they are not drawn."""

    @property
    def syslog(self) -> str | tuple[str, int] | None:
        """The path or the host and port of a syslog, if that is where it goes."""
        kind, _, where = self.file.partition(":")
        if kind != SYSLOG:
            return None
        return where or LOCAL if where.startswith("/") or not where else host_and_port(where)
