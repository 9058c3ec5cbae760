"""One backend: what it is doing now, what is known about it.

Whatever must outlive a strategy stands here, so algorithms can be exchanged while requests run.
"""

from __future__ import annotations

from typing import Any

from lb.balancing.health import Health, HealthMachine, HealthPolicy
from lb.balancing.settings import Settings, State
from lb.strategies.candidate import Candidate

LATENCY_GAIN = 1 / 8
"""Weight of a new sample in the smoothed response time, as for TCP's round trips (RFC 6298)."""


UNLIMITED = 1 << 60
"""Of what may be in flight; the largest that an integer takes no room of its own for, compiled."""


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
        self.configured_weight = float(settings.weight)
        self.weight = self.configured_weight  # effective: what strategies see
        self.limit = UNLIMITED  # of what may be in flight
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
