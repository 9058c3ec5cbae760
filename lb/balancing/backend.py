"""One backend: what is configured, what it is doing now, what is known about it.

Whatever must outlive a strategy stands here, so algorithms can be exchanged while requests run.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lb.balancing.health import Health, HealthMachine, HealthPolicy

LATENCY_GAIN = 1 / 8
"""Weight of a new sample in the smoothed response time, as for TCP's round trips (RFC 6298)."""


class State(Enum):
    """What the operator wants."""

    UP = "up"
    DRAIN = "drain"
    MAINT = "maint"
    DOWN = "down"


@dataclass(frozen=True)
class Settings:
    """One backend as configured."""

    address: str
    """host:port; the port follows the last colon."""
    weight: float = 1
    name: str = ""
    """What people call it; its address unless given."""
    max_in_flight: int | None = None


class Backend:
    """Mutable state of one backend. Only the balancer writes to it."""

    __slots__ = (
        "active",
        "address",
        "checked_at",
        "driver",
        "failed",
        "health",
        "limit",
        "name",
        "order",
        "picked",
        "probe_due",
        "probing",
        "response_time",
        "state",
        "succeeded",
        "weight",
    )

    def __init__(self, settings: Settings, order: int, policy: HealthPolicy) -> None:
        self.address = settings.address
        self.name = settings.name or settings.address
        self.weight = settings.weight
        self.limit = settings.max_in_flight or sys.maxsize
        self.order = order
        self.state = State.UP
        self.health = HealthMachine(policy)
        self.active = 0
        self.picked = 0
        self.succeeded = 0
        self.failed = 0
        self.response_time: float | None = None  # smoothed seconds to the first byte
        self.checked_at: float | None = None
        self.probing = False
        self.probe_due = 0.0
        self.driver: Any = None  # what the driver keeps per backend: connections, or a station

    def __repr__(self) -> str:
        return f"<Backend {self.name} {self.standing} {self.active} in flight>"

    @property
    def standing(self) -> str:
        """In one word: an operator's wish first, then health."""
        return self.health.state.value if self.state is State.UP else self.state.value

    @property
    def healthy(self) -> bool:
        return self.health.state is Health.UP

    def measured(self, seconds: float) -> None:
        """Take one response time."""
        old = self.response_time
        self.response_time = seconds if old is None else old + LATENCY_GAIN * (seconds - old)
