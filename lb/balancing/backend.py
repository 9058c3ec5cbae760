"""One backend: what is configured, what it is doing now, what is known about it.

Whatever must outlive a strategy stands here, so algorithms can be exchanged while requests run.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lb.balancing.health import Health, HealthMachine, HealthPolicy
from lb.strategies import Candidate

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
    max_in_flight: int | str | None = None
    """A number, "adaptive", or None for no limit."""
    priority: int = 0
    """Backends of the lowest number come first."""
    zone: str = ""
    health: HealthPolicy | None = None
    """Its own policy of checks, where it has one."""

    @property
    def label(self) -> str:
        """The name by which it is known."""
        return self.name or self.address

    @classmethod
    def from_dict(cls, **values: Any) -> Settings:
        """What `asdict` gave, JSON in between. Raises TypeError otherwise."""
        own = values.pop("health", None)
        return cls(**values, health=None if own is None else HealthPolicy(**own))


class Backend(Candidate):
    """Mutable state of one backend. Only the balancer and its parts write to it.

    `picked` is `succeeded` + `failed` + `gone` + `cancelled` + `active` at every moment.
    """

    __slots__ = (
        "cancelled",
        "checked_at",
        "configured_weight",
        "desperate",
        "draining",
        "ejected",
        "ejected_until",
        "ejections",
        "failed",
        "gone",
        "health",
        "limit",
        "name",
        "picked",
        "priority",
        "refusing",
        "site",
        "state",
        "succeeded",
        "usable",
        "why",
        "zone",
    )

    def __init__(self, settings: Settings, order: int, policy: HealthPolicy) -> None:
        self.address = settings.address
        self.name = settings.label
        self.configured_weight = settings.weight
        self.weight = settings.weight  # effective: what strategies see
        self.limit = sys.maxsize  # of what may be in flight
        self.order = order
        self.priority = settings.priority
        self.zone = settings.zone
        self.state = State.UP
        self.health = HealthMachine(policy)
        self.draining = False  # by its own wish
        self.ejected = False  # for what became of attempts there
        self.ejected_until = 0.0
        self.ejections = 0
        self.refusing = False  # nobody listened when it was last heard of
        self.usable = False  # whether it may be picked now, limits aside
        self.desperate = False  # usable for want of others only: panic
        self.active = 0
        self.picked = 0
        self.succeeded = 0
        self.failed = 0
        self.gone = 0  # attempts whose client did not wait for the end
        self.cancelled = 0  # attempts that were ended from here, or could not be made
        self.response_time: float | None = None  # smoothed seconds to the first byte
        self.checked_at: float | None = None
        self.why = ""  # what the last check, or the attempt that stood for one, said
        self.site: Any = None  # what the driver keeps per backend: connections, or a station

    def __repr__(self) -> str:
        return f"<Backend {self.name} {self.standing} {self.active} in flight>"

    @property
    def standing(self) -> str:
        """In one word: an operator's wish first, then its own, then what is known of it."""
        if self.state is not State.UP:
            return str(self.state.value)
        if self.draining:
            return "drain"
        return "ejected" if self.ejected else str(self.health.state.value)

    @property
    def drains(self) -> bool:
        """It is wanted by those only whom it has: an operator, or itself, says so."""
        return self.state is State.DRAIN or (self.draining and self.state is State.UP)

    @property
    def healthy(self) -> bool:
        """Its checks say it is up, and the operator wants it up."""
        return self.health.state is Health.UP and self.state is State.UP

    def measured(self, seconds: float) -> None:
        """Take one response time."""
        old = self.response_time
        self.response_time = seconds if old is None else old + LATENCY_GAIN * (seconds - old)
