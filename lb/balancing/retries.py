"""Whether a failed attempt may be tried again.

Allowed when the policy names its outcome, nothing was sent or the call is idempotent, attempts and
time remain, and the budget holds: extra attempts stay within a share of the requests of the last
window, so retries cannot multiply an overload. The share is what Finagle and Envoy use (0.2), with
a floor for quiet services. Hedges draw from the same budget.

A retry never stands in the line. Whoever waits takes the place that the failed attempt leaves; the
retry takes what is left then, or is refused: with a line before them all backends are full, and
work that comes twice is the first to go.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from enum import Enum

from lb.balancing.call import Call
from lb.strategies import Outcome

SHARE = 0.2
SLICES = 10
"""Parts of a window that its requests are counted by."""
OUTCOMES = ("connect", "reset", "timeout", "server_error")
"""What `RetryPolicy.on` may name beside statuses."""


class Refusal(Enum):
    """Why a failed attempt is not tried again, in the order that is asked."""

    OUTCOME = "outcome"
    NOT_IDEMPOTENT = "not_idempotent"
    MAX = "max"
    DEADLINE = "deadline"
    BUDGET = "budget"
    NO_BACKEND = "no_backend"


@dataclass(frozen=True)
class RetryPolicy:
    """Retries. Times in seconds."""

    max: int = 1
    """Extra attempts per call, one that was a hedge and failed included."""
    on: tuple[str | int, ...] = ("connect", "reset", "timeout")
    """What is tried again: outcomes ("connect", "reset", "timeout"), and answers by status (503) or
    all from 500 on ("server_error"). An answer that is not HTTP is a reset or a server error; our
    own trouble, which says nothing about a backend, is always tried again."""
    backoff: float = 0.025
    """Pause before a call goes where it has failed already, because nobody else is there; twice as
    long before each further try, less up to half of it at random. The base is Envoy's."""
    budget: float | None = None
    """Extra attempts as a share of the requests in the window. None: what one lost backend of n
    asks for, 1/n, and at least 0.2."""
    min_per_second: float = 10.0
    """Extra attempts always allowed."""
    window: float = 10.0

    def share(self, backends: int) -> float:
        """The budget for so many backends."""
        return max(SHARE, 1 / max(backends, 1)) if self.budget is None else self.budget

    @property
    def statuses(self) -> frozenset[int]:
        """Of answers that are tried elsewhere."""
        named = frozenset(it for it in self.on if isinstance(it, int))
        return named | frozenset(range(500, 600)) if "server_error" in self.on else named

    def repeats(self, outcome: Outcome) -> bool:
        """Whether an attempt that ended so, without an answer, may be tried again."""
        if outcome is Outcome.SERVER_ERROR:
            return "server_error" in self.on or "reset" in self.on
        return outcome is Outcome.CANCELLED or outcome.value in self.on


class RetryBudget:
    """Counts retries against requests over a sliding window.

    Requests are counted by slices of the window: `sample` is told the balancer's running total when
    the first request of a slice comes, which is not before `sample_at`. The slice that the window
    cuts through does not count, so the budget is never larger than the policy says.
    """

    def __init__(self, policy: RetryPolicy, now: float) -> None:
        self.policy = policy
        self._starts = deque([(now, 0)])  # of slices: when, and how many requests came before
        self._spent: deque[float] = deque()  # times of the retries in the window
        self.sample_at = now + policy.window / SLICES

    def sample(self, now: float, requests: int) -> None:
        """The first request of a slice is here; `requests` came before it."""
        self._slide(now)
        self._starts.append((now, requests))
        self.sample_at = now + self.policy.window / SLICES

    def allows(self, now: float, requests: int, backends: int) -> bool:
        """Whether there is a retry left, after `requests` in all, of a pool of `backends`."""
        allowed = self._allowed(now, requests, backends)
        return len(self._spent) + 1 <= allowed

    def left(self, now: float, requests: int, backends: int) -> float:
        """How many there are."""
        allowed = self._allowed(now, requests, backends)
        return max(allowed - len(self._spent), 0.0)

    def _allowed(self, now: float, requests: int, backends: int) -> float:
        """In one window, spent ones included."""
        self._slide(now)
        recent = requests - self._starts[0][1] if self._starts else 0
        policy = self.policy
        return policy.min_per_second * policy.window + policy.share(backends) * recent

    def spend(self, now: float) -> None:
        """A retry starts."""
        self._spent.append(now)

    def _slide(self, now: float) -> None:
        """Forget what is a window ago."""
        since = now - self.policy.window
        while self._spent and self._spent[0] <= since:
            self._spent.popleft()
        while self._starts and self._starts[0][0] <= since:
            self._starts.popleft()


class Retries:
    """What may be tried again, and why the rest was not."""

    def __init__(self, policy: RetryPolicy, now: float) -> None:
        self.budget = RetryBudget(policy, now)
        self.refused: Counter[str] = Counter({why.value: 0 for why in Refusal})
        self.adopt(policy)

    def adopt(self, policy: RetryPolicy) -> None:
        """Another policy; what is spent stays spent."""
        self.policy = self.budget.policy = policy
        self.statuses = policy.statuses

    def objection(
        self, call: Call, now: float, *, sent: bool, requests: int, backends: int
    ) -> Refusal | None:
        """What speaks against another attempt, whoever would make it. See `RetryBudget.allows`."""
        if sent and not call.idempotent:
            return Refusal.NOT_IDEMPOTENT
        if len(call.tried) > self.policy.max:
            return Refusal.MAX
        if now >= call.deadline:
            return Refusal.DEADLINE
        return None if self.budget.allows(now, requests, backends) else Refusal.BUDGET

    def pause(self, tries: int, draw: float) -> float:
        """Seconds to wait after so many tries; `draw` is a random number in [0, 1)."""
        return float(self.policy.backoff * 2 ** (tries - 1) * (1 - draw / 2))
