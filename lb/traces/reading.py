"""Reading a trace: the form shows in the file itself."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from lb.errors import ConfigError
from lb.recording.format import MAGIC
from lb.system import reason
from lb.traces.access_log import LINE, OURS, access_log, json_access_log
from lb.traces.calls import calls
from lb.traces.haproxy_log import LINE as TIMED
from lb.traces.observing import observe
from lb.traces.rows import Row, Rows, collected
from lb.traces.tables import COLUMNS, comma_separated, json_lines

FORMS = "a header such as time,size,key, JSON lines, an access log, a recording of lb"
FINE = re.compile(r" msec=\d+\.\d+ .*\b(ua|upstream_addr)=")
"""nginx's lines that say when they ended to the millisecond, and all else."""
GZIP = b"\x1f\x8b"


def read(path: str, key: str = "client_ip") -> Rows:
    """All requests of a file. Raises ConfigError: `trace.csv:7: why`.

    `key` is what hash strategies see of a request, where the file says more than one thing of it.
    """
    try:
        status = Path(path).stat()
        return _read(path, key, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {reason(error)}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: cannot be read: not UTF-8 text"]) from None


def _observed(path: str, key: str) -> Rows:
    """The arrivals of a log that tells more of its requests, to the millisecond."""
    seen = observe(path, key)
    rows = (
        Row(number + 1, at, None, seen.texts[text] if text >= 0 else "")
        for number, (at, text) in enumerate(zip(seen.arrived, seen.key, strict=True))
    )
    return collected(path, rows)


@lru_cache(maxsize=4)
def _read(path: str, key: str, _changed: int, _size: int) -> Rows:
    """Every replication asks for it, and it may be long."""
    with Path(path).open("rb") as file:
        head = file.read(len(MAGIC))
        file.seek(0)
        if head == MAGIC:
            return collected(path, calls(path))
        if head.startswith(GZIP):
            raise ConfigError([f"{path}: is compressed; unpack it first"])
    # Whoever writes to a log may send any bytes; what is not text there is no matter of ours.
    with Path(path).open(encoding="utf-8-sig", errors="replace") as lines:
        first = next(filter(str.strip, lines), "")
        if TIMED.search(first):
            return _observed(path, key)
        if LINE.match(first):
            if FINE.search(first):
                return _observed(path, key)
            lines.seek(0)
            return collected(path, access_log(path, lines, key), ordered=False, whole_seconds=True)
    with Path(path).open(encoding="utf-8-sig", newline="") as lines:
        if not first:
            raise ConfigError([f"{path}: holds no request"])
        if first.lstrip().startswith("{"):
            if OURS in first:
                return collected(path, json_access_log(path, lines, key), ordered=False)
            return collected(path, json_lines(path, lines))
        if {name.strip(' "\r\n') for name in first.split(",")} & set(COLUMNS):
            return collected(path, comma_separated(path, lines))
    raise ConfigError([f"{path}:1: what this is does not show: begin with {FORMS}"])
