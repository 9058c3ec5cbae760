"""When attempts take a backend out of rotation for a while: passive ejection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OutlierPolicy:
    """Passive ejection. Times in seconds."""

    enabled: bool = True
    consecutive_failures: int | None = 5
    """Failures in a row that eject; None switches this reason off."""
    failure_rate: float | None = 0.2
    """Ejected when the share of failures exceeds that of all others by this; None is off."""
    window: float = 10.0
    """What the share of failures is taken over."""
    min_requests: int = 20
    """Ended attempts in the window without which a share says nothing."""
    latency_factor: float | None = None
    """Ejected when the response time exceeds the others' median by this factor; None is off."""
    counts: tuple[str, ...] = ("connect", "reset", "timeout", "server_error")
    """Outcomes that count as failures."""
    eject: float = 10.0
    """The first ejection; each that follows soon lasts twice as long as the one before."""
    max_eject: float = 300.0
    max_share: float = 0.5
    """Of the backends that may be ejected at once; one in any case, where there are two."""
