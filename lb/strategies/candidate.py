"""What strategies may read of a backend. It is read at every pick, and so a class for its speed."""

from __future__ import annotations

from typing import TypeVar

from lb.native.marks import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Candidate:
    """The part of a backend that strategies may read."""

    __slots__ = ("active", "address", "order", "response_time", "weight")

    order: int
    """Place in the configuration: unique, breaks every tie."""
    address: str
    """host:port, the same in every process that hashes it."""
    weight: float
    """Effective weight, above zero."""
    active: int
    """Requests in flight, connecting included."""
    response_time: float | None
    """Smoothed seconds to the first byte; None when nothing was measured."""


B = TypeVar("B", bound=Candidate)
