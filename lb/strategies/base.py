"""What a strategy sees, hears and answers.

A strategy is an index over the backends that may be used now. It is told about every change and
answers `pick` from what it keeps; it never scans, never waits, never looks at a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, TypeVar, runtime_checkable

from lb.strategies.candidate import B, Candidate
from lb.strategies.reasons import Reasons
from lb.strategies.report import LoadReport as LoadReport


class Outcome(Enum):
    """How one attempt at one backend ended."""

    OK = "ok"
    CONNECT = "connect"
    RESET = "reset"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    CLIENT_GONE = "client_gone"
    CANCELLED = "cancelled"

    @property
    def teaches(self) -> bool:
        """Whether the outcome says anything about the backend."""
        return self not in (Outcome.CLIENT_GONE, Outcome.CANCELLED)


class Random(Protocol):
    """The one thing asked of a source of randomness."""

    def random(self) -> float:
        """A float in [0, 1)."""


B_contra = TypeVar("B_contra", bound=Candidate, contravariant=True)


class Strategy(Protocol[B]):
    """An index over the backends that may be used now.

    `join` and `leave` are rare; `block` and `unblock` (a backend at its in-flight limit, and back)
    are frequent and keep what the strategy knows of the backend. Times are seconds.
    """

    def join(self, backend: B, now: float) -> None:
        """`backend` may be picked from now on; a stranger, or one that had left."""

    def leave(self, backend: B, now: float) -> None:
        """`backend` may not be picked any more, and is not kept alive."""

    def block(self, backend: B, now: float) -> None:
        """`backend` is at its limit: not picked, not forgotten."""

    def unblock(self, backend: B, now: float) -> None:
        """`backend`, blocked until now, has room again."""

    def reweigh(self, backend: B, now: float) -> None:
        """`backend.weight` has changed."""

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        """The backend for one call, or None exactly when there is none.

        `avoid` is soft: a backend named there is picked only when no other is left.
        """

    def started(self, backend: B, now: float) -> None:
        """A call went to `backend`; `backend.active` counts it already."""

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None:
        """A call ended; `backend.active` no longer counts it.

        `latency` is seconds to the first byte. May come after the backend has left.
        """


@runtime_checkable
class Probing(Protocol[B]):
    """What a strategy also is that asks backends for their load."""

    def probes(self, now: float) -> Sequence[B]:
        """Whom the driver should ask now; asked after every pick."""

    def probed(self, backend: B, now: float, in_flight: int, latency: float) -> None:
        """An answer: requests at the backend, and the seconds it takes for one."""


@runtime_checkable
class Fed(Protocol[B_contra]):
    """What a strategy also is that goes by the load reports of the backends."""

    def fed(self, backend: B_contra, now: float, report: LoadReport) -> None:
        """`backend` has reported, with an answer or to a probe; it need not be a member."""


@runtime_checkable
class Explaining(Protocol[B_contra]):
    """What a strategy also is that can say why."""

    def explain(
        self, now: float, key: bytes = b"", avoid: Sequence[B_contra] = ()
    ) -> Reasons | None:
        """Why `pick`, asked the same at this moment, would answer as it does.

        Changes nothing. Where chance decides it may draw, just as `pick` does: whoever asks gives
        both the same numbers. See `lb.balancing.picks`.
        """


@runtime_checkable
class Sticking(Protocol[B_contra]):
    """What a strategy also is whose clients come back to their backends."""

    def knows(self, key: bytes) -> bool:
        """Whether `key` has a home here; room or not."""

    def drain(self, backend: B_contra, now: float) -> None:
        """In place of `join`: `backend` may be picked for those at home there, and nobody else."""
