"""What is configured of one backend, and what an operator wants of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from lb.balancing.health import HealthPolicy


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
