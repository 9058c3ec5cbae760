"""Whether a failed attempt may be tried again.

Allowed when nothing was sent or the call is idempotent, attempts remain, and the budget holds:
extra attempts stay within a share of the requests of the last window, so retries cannot multiply an
overload. The share is what Finagle and Envoy use (0.2), with a floor for quiet services.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """Retries. Times in seconds."""

    max: int = 1
    """Extra attempts per call."""
    budget: float = 0.2
    """Extra attempts as a share of the requests in the window."""
    min_per_second: float = 10.0
    """Extra attempts always allowed."""
    window: float = 10.0


class RetryBudget:
    """Counts retries against requests over a sliding window.

    Requests are not counted here: each question brings the balancer's running total, so the common
    path pays nothing. Between two samples the request rate is taken as constant.
    """

    def __init__(self, policy: RetryPolicy, now: float) -> None:
        self.policy = policy
        self._samples = deque([(now, 0)])  # time, requests so far
        self._spent: deque[float] = deque()  # times of the retries in the window

    def spend(self, now: float, requests: int) -> bool:
        """Take one retry out of the budget, if it is there."""
        since = now - self.policy.window
        while self._spent and self._spent[0] <= since:
            self._spent.popleft()
        allowed = (
            self.policy.min_per_second * self.policy.window
            + self.policy.budget * self._requests_in_window(now, requests)
        )
        if len(self._spent) + 1 > allowed:
            return False
        self._spent.append(now)
        return True

    def _requests_in_window(self, now: float, requests: int) -> float:
        samples, window = self._samples, self.policy.window
        if now - samples[-1][0] >= window / 10:
            samples.append((now, requests))
        while len(samples) > 1 and samples[1][0] <= now - window:
            samples.popleft()
        at, count = samples[0]
        age = now - at
        return (requests - count) * min(1.0, window / age) if age > 0 else 0.0
