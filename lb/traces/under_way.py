"""Requests of a recording that are under way, and who takes them down when they are over."""

from __future__ import annotations

from math import nan
from typing import Protocol

from lb.traces.observed import OK, REFUSED, UNKNOWN


class Into(Protocol):
    """Takes down requests when they are over, each with its attempts right behind it."""

    def request(
        self,
        arrived: float,
        ended: float,
        outcome: int,
        status: int,
        key: str | None,
        bytes_in: int,
        bytes_out: int,
        balancer: int,
    ) -> int:
        """Its number. Times are those of the recording."""

    def attempt(
        self,
        request: int,
        backend: str,
        started: float,
        connected: float,
        first_byte: float,
        ended: float,
        outcome: int,
        in_flight: int,
    ) -> None: ...


class Try:
    """An attempt."""

    __slots__ = ("connected", "ended", "first_byte", "in_flight", "order", "outcome", "started")

    def __init__(self, order: int, started: float, in_flight: int = UNKNOWN) -> None:
        self.order = order
        self.started = started
        self.connected = self.first_byte = self.ended = nan
        self.outcome = OK
        self.in_flight = in_flight


class Call:
    """A request."""

    __slots__ = ("arrived", "ended", "key", "outcome", "told", "tries", "under_way")

    def __init__(self, arrived: float, key: str) -> None:
        self.arrived = arrived
        self.key = key
        self.ended = nan
        self.outcome = REFUSED
        self.tries: dict[int, Try] = {}
        """By number of the attempt."""
        self.under_way: set[int] = set()
        self.told: tuple[int, int, int] | None = None
        """Its status, and bytes of its body and of the answer's, once it is told how it ended."""
