"""Stand-ins for what strategies and balancers are given: servers, random numbers, calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lb.laws.kit import Server, end, send, servers
from lb.strategies import Strategy

__all__ = ["Draws", "Request", "Server", "end", "joined", "send", "sequence", "servers"]


class Draws:
    """Random numbers from a script. Asking for one more than it holds is a failure."""

    def __init__(self, *script: float) -> None:
        self.left = list(script)

    def random(self) -> float:
        assert self.left, "a random number was drawn that the script does not hold"
        return self.left.pop(0)


def joined(strategy: Strategy[Any], members: Iterable[Server]) -> Strategy[Any]:
    for server in members:
        strategy.join(server, 0.0)
    return strategy


def sequence(strategy: Strategy[Any], n: int) -> str:
    """Letters of `n` picks."""
    return "".join(repr(strategy.pick(0.0)) for _ in range(n))


@dataclass(eq=False)
class Request:
    """A call as a driver hands it in."""

    key: bytes = b""
    tried: tuple[Any, ...] = ()
    idempotent: bool = True
    deadline: float = float("inf")

    @property
    def safe(self) -> bool:
        return self.idempotent
