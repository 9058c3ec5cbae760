"""Values as the file writes them: addresses, durations, sizes, keys, weights."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializationInfo,
    ValidationInfo,
    WithJsonSchema,
)

from lb.balancing.limits import ADAPTIVE
from lb.config.shapes import (
    ADDRESS,
    DURATION,
    IN_FLIGHT,
    KEY,
    NAME,
    PATH,
    PATH_OR_NONE,
    SIZE,
    WEIGHT,
    WORKERS,
)
from lb.errors import written
from lb.units import duration as duration_text
from lb.units import seconds, size

V = TypeVar("V")
AUTO = "auto"
"""In the place of a number of processes."""
MOST_WORKERS = 256
"""A process each."""


class Mistakes(ValueError):
    """Several mistakes of one value, each with its path inside it."""

    def __init__(self, *found: tuple[tuple[str | int, ...], str]) -> None:
        self.found = found
        super().__init__("; ".join(why for _, why in found))


def each(values: tuple[V, ...], check: Callable[[V], object]) -> tuple[V, ...]:
    """`values`, all of them checked. Raises Mistakes with what `check` raised, by number."""
    found: list[tuple[tuple[int], str]] = []
    for number, value in enumerate(values):
        try:
            check(value)
        except ValueError as error:
            found.append(((number,), str(error)))
    if found:
        raise Mistakes(*found)
    return values


_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+(%\w+)?\]|[^\s:/*\[\]]+):(?P<port>\d+)")
UNIX = "unix:"
"""What a Unix socket's address begins with; its path follows."""
LONGEST_PATH = 107
"""Bytes of a Unix socket's path, as Linux has it (sockaddr_un); others allow a little less."""
_PATH = re.compile(r"/[!-)+-~]*")
LONGEST_NAME = 300
"""Letters of a backend's name; that of a target and its port has up to 259."""


def address(text: str) -> str:
    """Check `host:port` or `unix:/path`; IPv6 hosts stand in brackets. Raises ValueError."""
    if text.startswith(UNIX):
        return _unix(text)
    match = _ADDRESS.fullmatch(text)
    if match is None or not text.isprintable():
        bare = re.fullmatch(r"([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*):(\d+)", text)
        hint = f'; write "[{bare[1]}]:{bare[2]}"' if bare else ', such as "127.0.0.1:3001"'
        raise ValueError(f"{text!r} is not host:port{hint}")
    if not 0 <= int(match["port"]) <= 65535:
        raise ValueError(f"port {match['port']} is not between 0 and 65535")
    if not text.isascii():
        _encoded(match["host"])
    return text


def _encoded(host: str) -> None:
    """Check that name servers can be asked for a name that is not of ASCII (IDNA).

    Raises ValueError.
    """
    try:
        host.encode("idna")
    except UnicodeError:
        why = "a part between its dots is empty, too long, or has letters that no name has"
        raise ValueError(f"{host!r} is no name of a host: {why}") from None


def _unix(text: str) -> str:
    path = text.removeprefix(UNIX)
    if not path.startswith("/"):
        raise ValueError(f'{text!r} names no file from the root on, such as "unix:/run/lb.sock"')
    if not _PATH.fullmatch(path) or path.endswith("/"):
        raise ValueError(f"{text!r} is no path of a socket: letters of ASCII, without space or *")
    if len(path) > LONGEST_PATH:
        raise ValueError(f"{text!r} is too long for a socket: {len(path)} of {LONGEST_PATH} bytes")
    return text


def reachable(checked: str) -> str:
    """Check that an address is none at port 0, which stands for any. Raises ValueError."""
    if not checked.startswith(UNIX) and not host_and_port(checked)[1]:
        raise ValueError("nobody can be reached at port 0")
    return checked


def printable(text: str) -> str:
    """Check what people and programs read in lines. Raises ValueError."""
    if not text.isprintable():
        raise ValueError(f"{text[:LONGEST_NAME]!r} has letters that cannot be printed")
    return text


def backend_name(text: str) -> str:
    """Check what a backend is called, in logs, metrics and paths; "" is none. Raises ValueError."""
    if text and not text.strip():
        raise ValueError(f"{text!r} is blank; leave it out, or give a name")
    if text in (".", ".."):
        raise ValueError(f"{text!r} means something else in a path; give another name")
    if len(text) > LONGEST_NAME:
        raise ValueError(f"{len(text)} letters are too many for a name; at most {LONGEST_NAME}")
    return printable(text)


def addresses(value: object) -> str | tuple[str, ...]:
    """One address, or a list of them. Raises ValueError."""
    if isinstance(value, str):
        return address(value)
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"should be an address in quotes or a list of them, not {written(value)}")
    if not value:
        raise ValueError('names no address; give one, such as "127.0.0.1:8080"')
    return each(tuple(value), address)


def backend_row(text: str) -> dict[str, object]:
    """`host:port` or `host:port*weight` as a table. Raises ValueError."""
    spec, star, given = text.strip().partition("*")
    row: dict[str, object] = {"address": reachable(address(spec))}
    if star:
        if not re.fullmatch(r"\d+(\.\d+)?", given) or float(given) == 0:
            raise ValueError(f"weight {given!r} is not a number above zero")
        row["weight"] = float(given) if "." in given else int(given)
    return row


def host_and_port(checked: str) -> tuple[str, int]:
    """Split a checked address; brackets of an IPv6 host are dropped.

    A Unix socket is its own host, whose port is 0.
    """
    if checked.startswith(UNIX):
        return checked, 0
    host, _, port = checked.rpartition(":")
    return host.strip("[]"), int(port)


_KEY = re.compile(r"client_ip|path|uri|(header|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]+")
KEYS = "client_ip, header:NAME, cookie:NAME, path, uri"


def request_key(text: str) -> str:
    """What hash strategies see of a request. Raises ValueError."""
    if _KEY.fullmatch(text):
        return text
    kind, colon, name = text.partition(":")
    if kind in ("header", "cookie"):
        wrong = f"{name!r} is no name" if name else "its name is missing"
        raise ValueError(f'{text!r}: {wrong}; write "{kind}:NAME"')
    if colon and kind in ("client_ip", "path", "uri"):
        raise ValueError(f"{text!r}: {kind} takes no name")
    near = difflib.get_close_matches(kind, ("client_ip", "header", "cookie", "path", "uri"), 1)
    hint = f"did you mean {near[0] + colon + name!r}? " if near else ""
    raise ValueError(f"{text!r} is unknown; {hint}known: {KEYS}")


def weight(value: object) -> float:
    """A number above zero, whole ones kept whole."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError(f"a weight is a number above zero, not {written(value)}")
    return value


def url_path(text: str) -> str:
    """What a request names. Raises ValueError."""
    if not re.fullmatch(r"/[!-~]*", text):
        raise ValueError(f'{text!r} is no path, such as "/health"')
    return text


def url_path_or_none(text: str) -> str:
    """The same, or nothing."""
    return text and url_path(text)


def duration(value: object, info: ValidationInfo) -> float:
    """Seconds: in a file a number and a unit, in code (which has no origin) any number too."""
    if isinstance(value, int | float) and not isinstance(value, bool) and info.context is None:
        return float(value)
    return seconds(value)


WRITTEN = "written"
"""The context of a dump that is to be read again as a file."""


def in_the_file(value: Any, info: SerializationInfo) -> Any:
    """A number of seconds as a file has it, in a dump whose context is WRITTEN."""
    return duration_text(value) if info.context == WRITTEN and isinstance(value, float) else value


def max_in_flight(value: object) -> int | str | None:
    """A whole number from 1 up, "adaptive", or nothing. Raises ValueError."""
    if value is None or value == ADAPTIVE:
        return value if value is None else ADAPTIVE
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        near = isinstance(value, str) and difflib.get_close_matches(value, [ADAPTIVE], 1)
        hint = f'; did you mean "{ADAPTIVE}"?' if near else ""
        why = f'is neither a whole number from 1 up nor "{ADAPTIVE}"'
        raise ValueError(f"{written(value)} {why}{hint}")
    return value


def workers(value: object) -> int | str:
    """A whole number from 1 up, or "auto". Raises ValueError."""
    if value == AUTO:
        return AUTO
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_WORKERS:
        near = isinstance(value, str) and difflib.get_close_matches(value, [AUTO], 1)
        hint = f'; did you mean "{AUTO}"?' if near else ""
        why = f'is neither a number from 1 to {MOST_WORKERS} nor "{AUTO}"'
        raise ValueError(f"{written(value)} {why}{hint}")
    return value


Duration = Annotated[
    float, BeforeValidator(duration), PlainSerializer(in_the_file), WithJsonSchema(DURATION)
]
Size = Annotated[int, BeforeValidator(size), WithJsonSchema(SIZE)]
PositiveDuration = Annotated[Duration, Field(gt=0)]
Address = Annotated[str, AfterValidator(address), WithJsonSchema(ADDRESS)]
Printable = Annotated[str, AfterValidator(printable)]
BackendName = Annotated[str, AfterValidator(backend_name), WithJsonSchema(NAME)]
Addresses = Annotated[
    str | tuple[str, ...],
    PlainValidator(addresses),
    WithJsonSchema({"anyOf": [ADDRESS, {"type": "array", "minItems": 1, "items": ADDRESS}]}),
]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, PlainValidator(weight), WithJsonSchema(WEIGHT)]
UrlPath = Annotated[str, AfterValidator(url_path), WithJsonSchema(PATH)]
UrlPathOrNone = Annotated[str, AfterValidator(url_path_or_none), WithJsonSchema(PATH_OR_NONE)]
RequestKey = Annotated[str, AfterValidator(request_key), WithJsonSchema(KEY)]
MaxInFlight = Annotated[int | str | None, PlainValidator(max_in_flight), WithJsonSchema(IN_FLIGHT)]
Workers = Annotated[int | str, PlainValidator(workers), WithJsonSchema(WORKERS)]
Share = Annotated[float, Field(ge=0, le=1)]


class Table(BaseModel):
    """A table of the file. Unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        strict=True,
        allow_inf_nan=False,
        defer_build=True,  # most are read as parts of others alone: a twentieth of the start
    )
