"""The fields X-LB-*: what lb's own parts tell each other over HTTP, written and read in one place.

A backend says in `X-LB-Load` how busy it is; `endpoint-load-metrics`, the field of ORCA that gRPC
and Envoy know, is read as well. One that wants no new requests says `X-LB-State: drain` when it is
asked for its health. A request that was drawn beforehand carries its work in `X-LB-Size`, for each
law that backends may have, and its key in `X-LB-Key`: a live run and its simulation see the same.
A modelled backend says in `X-LB-Served` how long it had a request, which any proxy passes on: what
its client waited beyond that, the way there and back and the proxy took.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

LOAD, SIZE, KEY, STATE = "X-LB-Load", "X-LB-Size", "X-LB-Key", "X-LB-State"
SERVED = "X-LB-Served"
ORCA = "endpoint-load-metrics"
DRAIN, UP = "drain", "up"
"""What a backend may say of itself in the `X-LB-State` of a health answer."""

_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_LARGEST = 1e9


class Load(NamedTuple):
    """What a load report says; None where it says nothing."""

    in_flight: int | None
    latency: float | None
    """Seconds, of one request at that number in flight."""
    utilisation: float | None
    rate: float | None
    """Answers per second, errors among them."""
    errors: float | None
    """Answers per second that are errors."""


def write_load(
    in_flight: int,
    latency: float,
    utilisation: float | None = None,
    rate: float | None = None,
    errors: float | None = None,
) -> str:
    """`in_flight=3, latency_ms=12.500, utilisation=0.61, rate=120, errors=0`.

    The last three to nine places: what they decide live is what they decide on paper.
    """
    said = [f"in_flight={in_flight}, latency_ms={latency * 1e3:.3f}"]
    figures = {"utilisation": utilisation, "rate": rate, "errors": errors}
    for key, value in figures.items():
        if value is not None:
            said.append(f"{key}={f'{value:.9f}'.rstrip('0').rstrip('.')}")
    return ", ".join(said)


def read_load(text: str) -> Load | None:
    """A field's value, ours or ORCA's; None for anything that is no load report."""
    text = text.strip(" \t")
    if text.startswith("TEXT "):
        return _orca(dict(_pairs(text[5:].replace(":", "="))))
    if text.startswith("JSON "):
        try:
            said = json.loads(text[5:])
        except (ValueError, RecursionError):
            return None
        return _orca(said) if isinstance(said, dict) else None
    said = {}
    for key, value in _pairs(text):
        if key in said or key not in _OURS or not _NUMBER.fullmatch(value):
            return None
        said[key] = float(value)
    in_flight, latency = said.get("in_flight"), said.get("latency_ms")
    if not said or (in_flight or 0) % 1:
        return None
    return Load(
        None if in_flight is None else int(in_flight),
        None if latency is None else latency / 1e3,
        said.get("utilisation"),
        said.get("rate"),
        said.get("errors"),
    )


_OURS = frozenset({"in_flight", "latency_ms", "utilisation", "rate", "errors"})


def _pairs(text: str) -> list[tuple[str, str]]:
    """`a=1, b=2` -> its keys and values; what has no value has an empty one."""
    parts = (part.partition("=") for part in text.split(","))
    return [(key.strip(" \t"), value.strip(" \t")) for key, _, value in parts]


def _orca(said: dict[str, object]) -> Load | None:
    """An application's own word on its utilisation counts before that on its processor.

    Names are those of the protocol buffer or of its JSON; others are for somebody else.
    """

    def figure(*names: str) -> float | None:
        for name in names:
            try:
                value = float(str(said.get(name)))
            except ValueError:
                continue
            if 0 <= value <= _LARGEST:
                return value
        return None

    used = figure("application_utilization", "applicationUtilization")
    used = used or figure("cpu_utilization", "cpuUtilization")
    rate = figure("rps_fractional", "rpsFractional")
    errors = figure("eps")
    if used is None and rate is None:
        return None
    return Load(None, None, used, rate, errors)


class Served(NamedTuple):
    """What a backend did for one request, seconds; None where it does not say."""

    backend: str | None
    """Its address."""
    service: float | None
    """How long it worked at it."""
    sojourn: float | None
    """How long it was there, its wait in the backend's line included."""
    late: float | None
    """By how much later than due it answered: its process had to wait for its turn."""


def write_served(backend: str, service: float, sojourn: float, late: float) -> str:
    """`backend=127.0.0.1:3001, service_ms=12.500, sojourn_ms=13.000, late_ms=0.210`.

    A backend that did not work at a request says its address only.
    """
    return (
        f"backend={backend}, service_ms={service * 1e3:.3f}, sojourn_ms={sojourn * 1e3:.3f}, "
        f"late_ms={max(late, 0.0) * 1e3:.3f}"
    )


def read_served(text: str) -> Served:
    """What a field's value says; nothing where it says something else."""
    said = dict(_pairs(text))

    def seconds(name: str) -> float | None:
        value = said.get(name, "")
        return float(value) / 1e3 if _NUMBER.fullmatch(value) else None

    return Served(
        said.get("backend") or None,
        seconds("service_ms"),
        seconds("sojourn_ms"),
        seconds("late_ms"),
    )


def write_size(sizes: Mapping[str, float]) -> str:
    """A request's work under each law that backends may have, by the law's name without its mean.

    Work is relative to the mean, exact, and a bare number where all backends have one law:
    `0.25`, or `exponential=0.25; lognormal(cv=2)=1.75`.
    """
    if len(sizes) == 1:
        (size,) = sizes.values()
        return repr(float(size))
    return "; ".join(f"{_named(law)}={float(size)!r}" for law, size in sizes.items())


def read_size(text: str, law: str) -> float | None:
    """The work for a backend of that law, from zero up; None where its law is not among them.

    Raises ValueError for anything that is no size.
    """
    if "=" not in text:
        return _size(text)
    sizes = {}
    for part in text.split(";"):
        name, _, size = part.rpartition("=")
        sizes[name.strip(" \t")] = _size(size)
    return sizes.get(_named(law))


def _size(text: str) -> float:
    size = float(text)
    if not 0 <= size < float("inf"):
        raise ValueError(text)
    return size


def _named(law: str) -> str:
    return quote(law, safe="(),=")
