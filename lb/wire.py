"""The fields X-LB-*: what lb's own parts tell each other over HTTP, written and read in one place.

A backend says in `X-LB-Load` how busy it is. A request that was drawn beforehand carries its work
in `X-LB-Size` and its key in `X-LB-Key`, so that a live run and its simulation see the same work.
"""

from __future__ import annotations

import re

LOAD, SIZE, KEY = "X-LB-Load", "X-LB-Size", "X-LB-Key"

_LOAD = re.compile(
    r"[ \t]*in_flight=([0-9]{1,9}),[ \t]*latency_ms=([0-9]{1,9}(?:\.[0-9]{1,9})?)[ \t]*"
)


def write_load(in_flight: int, latency: float) -> str:
    """`in_flight=3, latency_ms=12.500`; `latency` in seconds, of one request at that number."""
    return f"in_flight={in_flight}, latency_ms={latency * 1e3:.3f}"


def read_load(text: str) -> tuple[int, float] | None:
    """Requests in flight and the latency in seconds; None for anything that is no load report."""
    match = _LOAD.fullmatch(text)
    return match and (int(match[1]), float(match[2]) / 1e3)


def write_size(size: float) -> str:
    """Work relative to the mean of the backend's law, exactly."""
    return repr(float(size))


def read_size(text: str) -> float:
    """A finite number from zero up. Raises ValueError."""
    size = float(text)
    if not 0 <= size < float("inf"):
        raise ValueError(text)
    return size
