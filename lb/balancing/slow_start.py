"""How a backend that comes back is given its share by and by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SlowStartPolicy:
    """A ramp of the effective weight. Times in seconds."""

    duration: float = 0.0
    """From a twentieth, or what follows, to the whole weight; zero is off."""
    aggression: float = 1.0
    """After a part p of the time the weight is p ** (1 / aggression) of the whole."""
