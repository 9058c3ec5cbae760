"""Stand-ins for what strategies and balancers are given: servers, random numbers, calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lb.strategies import Outcome, Strategy


class Server:
    """The part of a backend that strategies read; unlike a Backend it can be weakly referenced."""

    def __init__(
        self, order: int, weight: float = 1, active: int = 0, address: str | None = None
    ) -> None:
        self.order = order
        self.address = address or f"10.0.{order >> 8}.{order & 255}:80"
        self.weight = weight
        self.active = active
        self.response_time: float | None = None

    def __repr__(self) -> str:
        return "abcdefghijklmnopqrstuvwxyz"[self.order]


class Draws:
    """Random numbers from a script. Asking for one more than it holds is a failure."""

    def __init__(self, *script: float) -> None:
        self.left = list(script)

    def random(self) -> float:
        assert self.left, "a random number was drawn that the script does not hold"
        return self.left.pop(0)


def servers(*weights: float) -> list[Server]:
    return [Server(order, weight) for order, weight in enumerate(weights)]


def joined(strategy: Strategy[Any], members: Iterable[Server]) -> Strategy[Any]:
    for server in members:
        strategy.join(server, 0.0)
    return strategy


def send(
    strategy: Strategy[Any], avoid: tuple[Server, ...] = (), now: float = 0.0, key: bytes = b""
) -> Any:
    """One call, as the balancer starts it: pick, count, tell."""
    server = strategy.pick(now, key, avoid)
    if server is not None:
        server.active += 1
        strategy.started(server, now)
    return server


def end(strategy: Strategy[Any], server: Server, now: float = 0.0) -> None:
    server.active -= 1
    strategy.finished(server, now, Outcome.OK, 0.0)


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
