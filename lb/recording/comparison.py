"""What a replay found: every start in either world, and where the two part."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from operator import eq

from lb.balancing import Backend, Balancer, Lease
from lb.recording.header import Header
from lb.recording.reader import NONE, Decision


class ReplayedCall:
    """The `Call` that stands for a recorded one."""

    __slots__ = ("deadline", "idempotent", "key", "leases", "number", "safe", "tried", "under_way")

    def __init__(
        self, number: int, key: bytes, idempotent: bool, safe: bool, deadline: float
    ) -> None:
        self.number = number
        self.key = key
        self.idempotent = idempotent
        self.safe = safe
        self.deadline = deadline
        self.tried: tuple[Backend, ...] = ()
        self.leases: dict[int, Lease[ReplayedCall]] = {}
        """Open here, by the number of the attempt."""
        self.under_way: set[int] = set()
        """Numbers of the attempts that are open in the recording."""


@dataclass(frozen=True)
class Mismatch:
    """The first decision that came out otherwise."""

    event: int
    """From 1."""
    offset: int
    now: float
    recorded: Decision | None
    replayed: Decision | None


@dataclass
class Replayed:
    """What was picked and what would have been, one entry for each start in either world."""

    header: Header
    algorithm: str
    faithful: bool
    """The recorded algorithm was replayed, exchanges of it included."""
    balancer: Balancer[ReplayedCall]
    """As the replay left it."""
    names: list[str] = field(default_factory=list)
    """Of all backends there ever were, by order."""
    calls: array[int] = field(default_factory=lambda: array("q"))
    attempts: array[int] = field(default_factory=lambda: array("q"))
    recorded: array[int] = field(default_factory=lambda: array("q"))
    """Orders of backends; NONE where only the other world had this start."""
    replayed: array[int] = field(default_factory=lambda: array("q"))
    events: Counter[str] = field(default_factory=Counter)
    """By kind."""
    first_difference: Mismatch | None = None
    complete: bool = False
    """The recording was closed; else it ends in a crash, or is still being written."""
    end: int = 0
    """Bytes that were replayed: up to the last whole event."""
    unmatched: dict[tuple[int, int], int] = field(default_factory=dict)
    """Rows that only one world has yet."""

    @property
    def identical(self) -> bool:
        return self.first_difference is None

    @property
    def agreeing(self) -> int:
        """Starts at the same backend in both worlds."""
        return sum(map(eq, self.recorded, self.replayed))

    def compare(
        self, recorded: Sequence[Decision], made: Sequence[Decision], offset: int, now: float
    ) -> None:
        """Take the decisions upon one event."""
        count = 1 + self.events.total()
        if self.first_difference is None and list(recorded) != list(made):
            was, is_now = next((a, b) for a, b in zip_longest(recorded, made) if a != b)
            self.first_difference = Mismatch(count, offset, now, was, is_now)
        for mine, other, decisions in (
            (self.recorded, self.replayed, recorded),
            (self.replayed, self.recorded, made),
        ):
            for call, attempt, order in decisions:
                if order == NONE:
                    continue
                row = self.unmatched.pop((call, attempt), None)
                if row is not None:
                    mine[row] = order
                    continue
                self.unmatched[call, attempt] = len(mine)
                self.calls.append(call)
                self.attempts.append(attempt)
                mine.append(order)
                other.append(NONE)
