"""What laws are stated with: servers that are nobody's, and calls as a balancer makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

from lb.strategies.base import Fed, LoadReport, Outcome, Probing, Random, Strategy
from lb.strategies.candidate import Candidate
from lb.strategies.registry import build
from lb.strategies.spec import Spec

SIZE = 5
Seeded = Callable[[int], Random]
"""A generator for a seed, such as `random.Random`."""
Event = tuple[Any, ...]
"""The name of a method of Fleet, and its arguments."""


class Broken(Exception):
    """A law that was not kept; says how."""


def require(kept: object, why: str) -> None:
    """Raise Broken, which says `why`, unless the law was kept."""
    if not kept:
        raise Broken(why)


class Server(Candidate):
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
        return chr(ord("a") + self.order) if self.order < 26 else f"#{self.order}"


class Silent:
    """A source of randomness that must not be asked."""

    def random(self) -> float:
        raise Broken("a random number was drawn")


def servers(*weights: float) -> list[Server]:
    """One server for each weight, in order."""
    return [Server(order, weight) for order, weight in enumerate(weights)]


def make(row: Spec, rng: Random, members: Iterable[Server] = ()) -> Strategy[Any]:
    """The algorithm at the row's settings, over `members`."""
    strategy = build(row, rng)
    for server in members:
        strategy.join(server, 0.0)
    return strategy


def send(
    strategy: Strategy[Any], avoid: Sequence[Server] = (), now: float = 0.0, key: bytes = b""
) -> Any:
    """One call, as the balancer starts it: pick, count, tell."""
    server = strategy.pick(now, key, avoid)
    if server is not None:
        server.active += 1
        strategy.started(server, now)
    return server


def end(
    strategy: Strategy[Any],
    server: Server,
    now: float = 0.0,
    outcome: Outcome = Outcome.OK,
    latency: float = 0.0,
) -> None:
    """The end of one call, as the balancer tells it."""
    server.active -= 1
    strategy.finished(server, now, outcome, latency)


class Fleet:
    """A strategy, the servers it may hear of, and what it has been told about them.

    Events that make no sense in the present state are passed over, as the balancer would.
    """

    def __init__(self, strategy: Strategy[Any], joining: Iterable[int] = range(SIZE)) -> None:
        self.strategy = strategy
        self.servers = servers(*range(1, SIZE + 1))
        self.members: set[int] = set()
        self.blocked: set[int] = set()
        self.picks: list[int | None] = []
        for order in joining:
            self.join(order)

    @property
    def usable(self) -> set[int]:
        """Orders of those that may be picked."""
        return self.members - self.blocked

    def apply(self, event: Event) -> None:
        """Call the method that an event names."""
        kind, *arguments = event
        getattr(self, kind)(*arguments)

    def join(self, order: int) -> None:
        if order not in self.members:
            self.members.add(order)
            self.strategy.join(self.servers[order], 0.0)

    def leave(self, order: int) -> None:
        if order in self.members:
            self.members.discard(order)
            self.blocked.discard(order)
            self.strategy.leave(self.servers[order], 0.0)

    def block(self, order: int) -> None:
        if order in self.usable:
            self.blocked.add(order)
            self.strategy.block(self.servers[order], 0.0)

    def unblock(self, order: int) -> None:
        if order in self.blocked:
            self.blocked.discard(order)
            self.strategy.unblock(self.servers[order], 0.0)

    def reweigh(self, order: int, weight: float) -> None:
        self.servers[order].weight = weight
        if order in self.members:
            self.strategy.reweigh(self.servers[order], 0.0)

    def send(self, avoid: frozenset[int] = frozenset()) -> None:
        """One call with a key of its own; whoever wants to know the load is told."""
        avoided = tuple(self.servers[order] for order in sorted(avoid))
        picked = send(self.strategy, avoided, key=b"%d" % len(self.picks))
        self.picks.append(None if picked is None else picked.order)
        if isinstance(self.strategy, Probing):
            for asked in self.strategy.probes(0.0):
                self.strategy.probed(asked, 0.0, asked.active, 0.001 * (asked.order + 1))
        if picked is not None and isinstance(self.strategy, Fed):
            busy = 0.1 * (picked.order + 1)
            self.strategy.fed(picked, 0.0, LoadReport(picked.active, 0.01, busy, 10.0, 0.0))

    def end(self, order: int) -> None:
        """One of a server's calls ends well."""
        if self.servers[order].active:
            end(self.strategy, self.servers[order])


Service = Callable[[Server, float], tuple[Outcome, float]]
"""What becomes of a call to a server at a time: how it ends, and after how many seconds."""


def drive(
    strategy: Strategy[Any], serve: Service, gap: float, until: float
) -> Iterable[tuple[float, Server]]:
    """A call every `gap` seconds, each ended in its time, probes answered at once: the picks."""
    ends: list[tuple[float, int, Server, Outcome, float]] = []
    answering = strategy if isinstance(strategy, Probing) else None
    for number in range(int(until / gap)):
        now = number * gap
        while ends and ends[0][0] <= now:
            at, _, server, outcome, latency = heappop(ends)
            end(strategy, server, at, outcome, latency)
        server = send(strategy, now=now, key=b"%d" % number)
        outcome, latency = serve(server, now)
        heappush(ends, (now + latency, number, server, outcome, latency))
        if answering is not None:
            for asked in answering.probes(now):
                answering.probed(asked, now, asked.active, serve(asked, now)[1])
        yield now, server
