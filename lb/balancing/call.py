"""What a driver hands in: a call."""

from __future__ import annotations

from typing import Protocol, TypeVar

from lb.balancing.backend import Backend


class Call(Protocol):
    """What a driver hands in: the proxy's exchange, or the simulator's request."""

    key: bytes
    """What hash strategies see."""
    tried: tuple[Backend, ...]
    """Backends that failed this call; the balancer extends it."""
    deadline: float
    """No retry starts at or after this time."""

    @property
    def safe(self) -> bool:
        """Whether it asks for nothing but an answer, so that two may be asked at once."""

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent twice."""


C = TypeVar("C", bound=Call)
