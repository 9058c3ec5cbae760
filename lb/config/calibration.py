"""What `lb calibrate` says of the model that it made: from what, how well it fits, what it cannot
know. Proxy and simulator pass over it; predictions carry its ranges on.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lb.config.values import Mistakes, Table

Value = int | float | str
"""As the key has it: a number, or a text such as "20ms" or "ps"."""


class Ends(Table):
    """A key of this file, and what it is at either end of something unknown."""

    key: str
    """A dotted path."""
    low: Value
    """Where that is low."""
    high: Value
    """Where it is high."""


class Ranged(Ends):
    """A key of this file, and between what its value lies."""

    key: str
    """A dotted path, rows counted from 0: `backend.0.model.workers`."""
    low: Value
    """The least that the recording allows, with 95 % certainty."""
    high: Value
    """The most; of what has an order in words only (fifo, ps), the other one."""

    @model_validator(mode="after")
    def _ordered(self) -> Ranged:
        low, high = self.low, self.high
        if isinstance(low, str) or isinstance(high, str):
            return self
        if low > high:
            raise Mistakes((("high",), f"{high:g} is below low, {low:g}"))
        return self


class Unknown(Ranged):
    """What the recording cannot tell: predictions are made at both ends."""

    why: str = ""
    """A sentence for people."""
    also: Annotated[tuple[Ends, ...], Field(strict=False)] = ()
    """What else is different at each end: fewer workers, say, leave less of each stay for the
    service."""

    def settings(self, end: Literal["low", "high"]) -> dict[str, Value]:
        """All that an end says, as `changed` takes it."""
        return {row.key: getattr(row, end) for row in (self, *self.also)}


class Given(Table):
    """An interval that holds on a condition."""

    low: Value
    """Its lower end."""
    high: Value
    """Its upper end."""


class Fitted(Ranged):
    """What was estimated, with its 95 % interval."""

    value: Value
    """What the file says."""
    given: Given | None = None
    """The interval if all that is unknown is as this file has it, where that is a narrower one."""


class ReplayError(Table):
    """How far the model is from its own recording when it is given the same arrivals; 0.02 is 2 %
    above what was recorded, -0.02 below.
    """

    mean: float | None = None
    """Of the latency of successful requests."""
    p50: float | None = None
    """Of what half of them keep."""
    p95: float | None = None
    """Of what 95 % of them keep."""
    p99: float | None = None
    """Of what 99 % of them keep."""


class Calibration(Table):
    """Where the model of this file comes from."""

    source: Annotated[str, Field(alias="from")]
    """The recording or log, as it was named."""
    requests: Annotated[int, Field(ge=1)]
    """How many were in it."""
    seconds: Annotated[float, Field(gt=0)]
    """From the first arrival to the last."""
    error: ReplayError | None = None
    unknown: Annotated[tuple[Unknown, ...], Field(strict=False)] = ()
    """What could not be identified."""
    estimate: Annotated[tuple[Fitted, ...], Field(strict=False)] = ()
    """What could."""
