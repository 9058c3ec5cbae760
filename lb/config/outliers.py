"""What takes backends out for what became of attempts, and brings them back, as the file has it."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field

from lb.balancing import OutlierPolicy, SlowStartPolicy
from lb.config.values import Duration, Positive, PositiveDuration, Share, Table


def _some(counts: tuple[str, ...]) -> tuple[str, ...]:
    if not counts:
        raise ValueError("names no outcome; give some, or enabled = false")
    return counts


Failure = Literal["connect", "reset", "timeout", "server_error"]


class Outliers(Table):
    """When attempts take a backend out of rotation for a while; see OutlierPolicy."""

    enabled: bool = OutlierPolicy.enabled
    """Whether anybody is taken out for what became of attempts."""
    consecutive_failures: Annotated[int, Field(ge=0)] | None = OutlierPolicy.consecutive_failures
    """0 switches this reason off."""
    failure_rate: Share | None = OutlierPolicy.failure_rate
    """0 switches this reason off."""
    window: PositiveDuration = OutlierPolicy.window
    min_requests: Annotated[int, Field(ge=1)] = OutlierPolicy.min_requests
    latency_factor: Annotated[float, Field(gt=1)] | None = OutlierPolicy.latency_factor
    """Off unless given."""
    counts: Annotated[tuple[Failure, ...], AfterValidator(_some), Field(strict=False)] = cast(
        "tuple[Failure, ...]", OutlierPolicy.counts
    )
    eject: PositiveDuration = OutlierPolicy.eject
    max_eject: PositiveDuration = OutlierPolicy.max_eject
    """The longest ejection: each one after the first is longer than the one before."""
    max_share: Share = OutlierPolicy.max_share


class SlowStart(Table):
    """How a backend that comes back is given its share by and by; see SlowStartPolicy."""

    duration: Duration = SlowStartPolicy.duration
    """Off unless given."""
    aggression: Positive = SlowStartPolicy.aggression
