"""When a backend is up: consecutive answers of active probes, as a table.

The first answer about an unknown backend decides at once, and so does the first good one about a
backend that has not been up yet. After that a change of state takes `fall` failures or `rise`
successes in a row, and while one is being decided probes come faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

ELSEWHERE = 1e9
"""Seconds between the checks of a balancer that carries out none: it hears what is found out for
all. Between those it only asks for one, where an attempt has failed."""


class Health(Enum):
    """What is known of a backend."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True)
class HealthPolicy:
    """Active health checks. Times in seconds."""

    enabled: bool = True
    interval: float = 30.0
    fast_interval: float = 1.0
    """Between probes while a change of state is being decided."""
    timeout: float = 2.0
    rise: int = 2
    """Successes in a row that bring a backend back."""
    fall: int = 3
    """Failures in a row that take a backend out."""
    jitter: float = 0.1
    """Each interval is drawn from [1 - jitter, 1 + jitter] times its length."""
    first_rise: int = 1
    """Successes in a row that bring up a backend that was never up."""
    attempts: bool = True
    """A failed attempt makes the next check due at once, and a refused connection counts as a
    failed one."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The answer of one probe."""

    ok: bool
    why: str = ""
    """For people: what went wrong."""
    latency: float | None = None
    """Seconds; None when nothing was measured."""
    ours: bool = False
    """It could not be asked for trouble of the balancer's own: nothing was learned of it."""
    refused: bool = False
    """Nobody listens there, or there is no such name."""
    drain: bool = False
    """It wishes to be given no new calls."""


class HealthMachine:
    """One backend's health. `observe` is the only way in."""

    __slots__ = (
        "_agreeing",
        "_been_up",
        "_opposing",
        "change",
        "changed_at",
        "checks",
        "failed",
        "lost",
        "policy",
        "state",
        "went_down",
    )

    def __init__(self, policy: HealthPolicy) -> None:
        self.policy = policy
        self.state = Health.UNKNOWN
        self._opposing = 0  # answers in a row that speak against the state
        self._agreeing = 0  # answers in a row that speak for it
        self._been_up = False
        self.checks = 0  # answered
        self.failed = 0  # of those
        self.lost = 0  # could not be asked, for trouble of our own
        self.went_down = 0
        self.changed_at: float | None = None
        self.change = ""  # what was said then

    def observe(self, ok: bool, now: float, why: str = "", *, checked: bool = True) -> bool:
        """Take one answer; True when the state changed.

        What no check has said, but an attempt, counts the same and is left for checks to confirm.
        """
        if checked:
            self.checks += 1
            self.failed += not ok
        if not self._decided(ok, checked):
            return False
        self.changed_at, self.change = now, why
        self.went_down += not ok
        return True

    def _decided(self, ok: bool, checked: bool) -> bool:
        said = Health.UP if ok else Health.DOWN
        if said is self.state:
            self._opposing = 0
            self._agreeing += 1
            return False
        self._opposing += 1
        self._agreeing = 0
        if self._opposing < self._needed():
            return False
        # A first answer stands alone: it still lacks the confirmations that later changes have.
        first = self.state is Health.UNKNOWN
        self._agreeing = (1 if first else self.policy.fall) if checked else 0
        self._opposing = 0
        self.state = said
        self._been_up = self._been_up or ok
        return True

    def _needed(self) -> int:
        """Answers in a row that change the state."""
        policy = self.policy
        if self.state is Health.UNKNOWN:
            return 1
        if self.state is Health.UP:
            return policy.fall
        return policy.rise if self._been_up else policy.first_rise

    @property
    def deciding(self) -> bool:
        """A change is under way, or a backend found down at first may just be starting."""
        return self._opposing > 0 or (
            self.state is Health.DOWN and self._agreeing < self.policy.fall
        )

    @property
    def pause(self) -> float:
        """Seconds to the next probe, before jitter."""
        return self.policy.fast_interval if self.deciding else self.policy.interval
