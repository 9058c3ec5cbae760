"""What was seen of traffic, read from recordings of lb and access logs; the form shows itself."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from lb.errors import ConfigError, nearest
from lb.recording.format import MAGIC
from lb.recording.parts import of_workers
from lb.system import reason
from lb.traces.gathering import Form, gathered
from lb.traces.haproxy_log import CLF_LINE, LINE, HaproxyLog, not_http
from lb.traces.json_log import TOLD, JsonLog, has, understood
from lb.traces.nginx_log import ADVICE, NginxLog, compiled, usual, variables
from lb.traces.observed import Observed
from lb.traces.recorded import observed
from lb.traces.rows import wrong
from lb.traces.sighting import NAMES

GZIP = b"\x1f\x8b"
LONGEST = 1 << 16
"""Bytes of a line; what is longer is broken off there."""
LOOKED_AT = 20
"""Lines at the beginning by which the form is found."""
FORMAT = "log_format"
"""Of the fields: a format of nginx's, in its own words."""
KNOWN = "HAProxy's httplog, nginx's log with timings, JSON lines, a recording of lb"
Line = tuple[int, str, bool]


def observe(path: str, key: str = "client_ip", fields: Mapping[str, str] | None = None) -> Observed:
    """All that `path` tells of requests and tries. Raises ConfigError: `access.log:7: why`.

    `key` is what hash strategies see of a request. `fields` says what fields of JSON lines mean
    (`{"ended": "ts", "total": "took:ms"}`, see `sighting.NAMES`), or how nginx writes its lines
    (`{"log_format": '$remote_addr ...'}`). Compressed files (gzip) are unpacked.
    """
    if of_workers(Path(path)):
        return observed(path)
    try:
        with Path(path).open("rb") as file:
            head = file.read(len(MAGIC))
            if head == MAGIC:
                return observed(path)
            if head.startswith(GZIP) and _unpacked(file).startswith(MAGIC):
                why = f"a recording that is compressed; unpack it: gunzip {path}"
                raise ConfigError([f"{path}: {why}"])
            lines = _lines(path, file, compressed=head.startswith(GZIP))
            first = list(islice(lines, LOOKED_AT))
            form = _form(path, [it for it in first if it[1].strip()], key, fields or {})
            return gathered(path, _not_blank(chain(first, lines)), form, _known)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {reason(error)}"]) from None


def _unpacked(file: BinaryIO) -> bytes:
    """What a compressed file begins with."""
    file.seek(0)
    with suppress(EOFError, OSError, zlib.error):
        return gzip.GzipFile(fileobj=file).read(len(MAGIC))
    return b""


def _lines(path: str, file: BinaryIO, *, compressed: bool) -> Iterator[Line]:
    """Number, text, and whether it has an end; of a broken archive all that is before the break."""
    file.seek(0)
    source = gzip.GzipFile(fileobj=file) if compressed else file
    number = 0
    try:
        while raw := source.readline(LONGEST):
            number += 1
            whole = raw.endswith(b"\n")
            while len(raw) == LONGEST and not whole:
                more = source.readline(LONGEST)
                whole = more.endswith(b"\n")
                if whole or not more:
                    break
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace")
            yield number, text.rstrip("\r\n"), whole
    except (EOFError, zlib.error, gzip.BadGzipFile):
        if not number:
            raise ConfigError([f"{path}: is no archive that gzip could unpack"]) from None
        yield number + 1, "", False


def _not_blank(lines: Iterator[Line]) -> Iterator[Line]:
    return (it for it in lines if it[1].strip() or not it[2])


def _form(path: str, first: list[Line], key: str, fields: Mapping[str, str]) -> Form:
    """By the first lines, of which some may be notices. Raises ConfigError."""
    if not first:
        raise ConfigError([f"{path}: holds no request"])
    if FORMAT in fields:
        return _told(path, first, key, fields[FORMAT])
    for number, text, _ in first:
        if text.lstrip().startswith(("[{", "{")) or text.strip() == "[":
            return _json(path, first, number, key, fields)
        for pattern, clf in ((LINE, False), (CLF_LINE, True)):
            if pattern.search(text):
                return _haproxy(path, number, text, key, clf=clf)
        for form in usual(key, text):
            return _complete(path, number, form, key)
    number, text, _ = first[0]
    why = not_http(text)
    if "option" in why:
        raise wrong(path, number, why)
    raise wrong(path, number, f"what this is does not show; known: {KNOWN}")


def _haproxy(path: str, number: int, text: str, key: str, *, clf: bool) -> HaproxyLog:
    form = HaproxyLog(key, clf=clf)
    kind, _, name = key.partition(":")
    match = (CLF_LINE if clf else LINE).search(text)
    if kind == "header" and (match is None or clf or match["first"] is None):
        why = f"no header is captured; log it: capture request header {name} len 64"
        raise wrong(path, number, f"key {key}: {why}")
    return form


def _told(path: str, first: list[Line], key: str, text: str) -> Form:
    try:
        pattern = compiled(text)
    except ValueError as error:
        raise ConfigError([f"{path}: {FORMAT}: {error}"]) from None
    for number, line, _ in first:
        found = variables(line, pattern)
        if found is not None:
            return _complete(path, number, NginxLog("that log_format", key, found, pattern), key)
    raise wrong(path, first[0][0], "not a line of that log_format")


def _json(path: str, lines: list[Line], number: int, key: str, fields: Mapping[str, str]) -> Form:
    """As the line of that number is."""
    text = next(text for at, text, _ in lines if at == number)
    first = _object(text)
    if not first and text.lstrip().startswith("["):
        raise wrong(path, number, "a JSON array; give an object a line: jq -c '.[]' makes them")
    if first is None:
        raise wrong(path, number, "not a JSON object")
    absent = {word: column for word, column in fields.items() if word in NAMES}
    for found in _objects(path):
        absent = {word: column for word, column in absent.items() if not has(found, column)}
        if not absent:
            break
    for word, column in absent.items():
        name = column.partition(":")[0]
        raise wrong(path, number, f"{word}: there is no field {name!r}; {nearest(name, first)}")
    try:
        form = understood(key, first, fields)
    except ValueError as error:
        raise wrong(path, number, str(error)) from None
    return _complete(path, number, form, key)


def _objects(path: str) -> Iterator[dict[str, Any]]:
    """Those of the whole file, from its beginning."""
    with Path(path).open("rb") as file:
        compressed = file.read(len(GZIP)) == GZIP
        for _, text, _ in _lines(path, file, compressed=compressed):
            if (found := _object(text)) is not None:
                yield found


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _complete(path: str, number: int, form: NginxLog | JsonLog, key: str) -> Form:
    """`form`, if it tells enough. Raises ConfigError that names what is missing."""
    missing = form.missing()
    if missing and isinstance(form, NginxLog):
        what = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        still = 'arrivals alone can be read: arrivals = { process = "trace", file = ... }'
        raise wrong(path, number, f"{form.name}: {what}; log them: {ADVICE}; {still}")
    if missing == ["backend"] and form.name in TOLD:
        why = f"{form.name} does not say who answered; {TOLD[form.name]}"
        raise wrong(path, number, why)
    if missing:
        named = " ".join(f"--field {word}=NAME" for word in missing)
        raise wrong(path, number, f"{', '.join(missing)}: in no field; say in which: {named}")
    kind, _, name = key.partition(":")
    if kind in ("header", "cookie") and f"{kind}:{name.lower().replace('_', '-')}" not in form.told:
        variable = f"${'http' if kind == 'header' else 'cookie'}_{name.lower().replace('-', '_')}"
        raise wrong(path, number, f"key {key}: not in the log; log {variable}")
    return form


def _known(text: str) -> str:
    """The name of the form that a line is of, or nothing."""
    if text.lstrip().startswith("{"):
        return "JSON lines"
    if LINE.search(text):
        return HaproxyLog("").name
    return next((form.name for form in usual("client_ip", text)), "")
