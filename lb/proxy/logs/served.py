"""Requests as collectors are told of them, and what tells them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Tried(NamedTuple):
    """One attempt; times in seconds since 1970."""

    span: str
    address: str
    secure: bool
    """By TLS."""
    began: float
    ended: float
    outcome: str
    status: int


class Served(NamedTuple):
    """One request; the same."""

    trace_id: str
    span: str
    parent: str
    began: float
    ended: float
    method: str
    target: str
    minor: int
    host: str
    client: str
    secure: bool
    """The client has come by TLS."""
    status: int
    outcome: str
    tried: tuple[Tried, ...]


Export = Callable[[list[Served]], bool]
"""Tells a collector; False where it did not take them. May take its time."""
