"""When a second attempt is started beside one that takes long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HedgePolicy:
    """Hedging. Times in seconds."""

    after: float | str | None = None
    """How long the first attempt is given, or a quantile of the latencies, such as "p95"; None is
    off."""
