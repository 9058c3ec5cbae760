"""Whether a failed attempt may be tried again.

Allowed when nothing was sent or the call is idempotent, attempts remain, and the budget holds:
extra attempts stay within a share of the requests of the last window, so retries cannot multiply an
overload. The share is what Finagle and Envoy use (0.2), with a floor for quiet services.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SHARE = 0.2
SLICES = 10
"""Parts of a window that its requests are counted by."""


@dataclass(frozen=True)
class RetryPolicy:
    """Retries. Times in seconds."""

    max: int = 1
    """Extra attempts per call."""
    budget: float | None = None
    """Extra attempts as a share of the requests in the window. None: what one lost backend of n
    asks for, 1/n, and at least 0.2."""
    min_per_second: float = 10.0
    """Extra attempts always allowed."""
    window: float = 10.0

    def share(self, backends: int) -> float:
        """The budget for so many backends."""
        return max(SHARE, 1 / max(backends, 1)) if self.budget is None else self.budget


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
        self._slide(now)
        recent = requests - self._starts[0][1] if self._starts else 0
        policy = self.policy
        allowed = policy.min_per_second * policy.window + policy.share(backends) * recent
        return len(self._spent) + 1 <= allowed

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
