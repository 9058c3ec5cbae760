"""Failed attempts and what is tried again."""

from __future__ import annotations


def attempts(fails: float, retries: int) -> float:
    """Attempts per request when each fails with probability `fails`, independently.

    A geometric law cut off after `retries` more; as long as the budget lasts.
    """
    return sum(fails**k for k in range(retries + 1))


def failed(fails: float, retries: int) -> float:
    """The share of requests whose every attempt fails."""
    return fails ** (retries + 1)
