"""What every algorithm is held to, as plain functions: the tests and `lb verify` call the same.

A law takes a registry row and a source of seeded random generators, and raises Broken when the row
does not keep it. Some laws bind everybody; others bind whoever says in its row that they do: its
`needs`, its `cost`, and what it `claims`.
"""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import combinations
from typing import Any

from lb.laws.counting import operations
from lb.strategies.base import Outcome, Probing, Random, Strategy
from lb.strategies.spec import Spec

SIZE = 5
Seeded = Callable[[int], Random]
"""A generator for a seed, such as `random.Random`."""
Event = tuple[Any, ...]
"""The name of a method of Fleet, and its arguments."""


class Broken(Exception):
    """A law that was not kept; says how."""


def require(kept: object, why: str) -> None:
    if not kept:
        raise Broken(why)


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
        return chr(ord("a") + self.order) if self.order < 26 else f"#{self.order}"


class Silent:
    """A source of randomness that must not be asked."""

    def random(self) -> float:
        raise Broken("a random number was drawn")


def servers(*weights: float) -> list[Server]:
    return [Server(order, weight) for order, weight in enumerate(weights)]


def make(row: Spec, rng: Random, members: Iterable[Server] = ()) -> Strategy[Any]:
    """The algorithm with default settings, over `members`."""
    strategy = row.factory(row.configure({}), rng)
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
        return self.members - self.blocked

    def apply(self, event: Event) -> None:
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
        avoided = tuple(self.servers[order] for order in sorted(avoid))
        picked = send(self.strategy, avoided, key=b"%d" % len(self.picks))
        self.picks.append(None if picked is None else picked.order)

    def end(self, order: int) -> None:
        if self.servers[order].active:
            end(self.strategy, self.servers[order])


# --- for any course of events: hypothesis invents them in the tests, chance for `lb verify`


def picks_are_usable(row: Spec, seeded: Seeded, events: Iterable[Event]) -> None:
    fleet = Fleet(make(row, seeded(1)), joining=())
    for event in events:
        fleet.apply(event)
        fleet.send()
        picked, usable = fleet.picks[-1], fleet.usable
        kept = picked in usable if usable else picked is None
        require(kept, f"{picked} of {usable} after {event}")


def avoided_come_last(
    row: Spec, seeded: Seeded, events: Iterable[Event], avoid: frozenset[int]
) -> None:
    fleet = Fleet(make(row, seeded(2)))
    for event in events:
        fleet.apply(event)
        fleet.send(avoid)
        picked, allowed = fleet.picks[-1], fleet.usable - avoid or fleet.usable
        kept = picked in allowed if allowed else picked is None
        require(kept, f"{picked} is not of {allowed}")


def replay(
    row: Spec, seeded: Seeded, events: Iterable[Event], joining: Iterable[int] = range(SIZE)
) -> list[int | None]:
    """The picks of a course of events, and some more."""
    fleet = Fleet(make(row, seeded(7)), joining)
    for event in events:
        fleet.apply(event)
    for _ in range(2 * SIZE):
        fleet.send()
    return fleet.picks


def chance_events(rng: Random, count: int) -> list[Event]:
    def one_of(choices: Sequence[Any]) -> Any:
        return choices[int(rng.random() * len(choices))]

    events: list[Event] = []
    for _ in range(count):
        kind = one_of(("join", "leave", "block", "unblock", "send", "send", "end", "reweigh"))
        order = one_of(range(SIZE))
        if kind == "send":
            events.append((kind, frozenset({order}) if rng.random() < 0.3 else frozenset()))
        else:
            weight = (one_of(range(1, 7)),) if kind == "reweigh" else ()
            events.append((kind, order, *weight))
    return events


def _courses(seeded: Seeded, count: int = 3) -> Iterable[list[Event]]:
    for seed in range(count):
        yield chance_events(seeded(seed), 40)


def never_a_stranger(row: Spec, seeded: Seeded) -> None:
    for events in _courses(seeded):
        picks_are_usable(row, seeded, events)


def avoid_is_honoured(row: Spec, seeded: Seeded) -> None:
    for events in _courses(seeded):
        avoided_come_last(row, seeded, events, frozenset({1, 3}))


def a_seed_settles_everything(row: Spec, seeded: Seeded) -> None:
    for events in _courses(seeded):
        require(
            replay(row, seeded, events) == replay(row, seeded, events),
            "the same seed and events gave other picks",
        )


def joining_order_is_nothing(row: Spec, seeded: Seeded) -> None:
    for events in _courses(seeded):
        require(
            replay(row, seeded, events) == replay(row, seeded, events, (3, 0, 4, 2, 1)),
            "another order of joining gave other picks",
        )


# --- what it draws, and what it keeps


def one_usable_needs_no_draw(row: Spec, seeded: Seeded) -> None:
    members = servers(1, 2, 3)
    strategy = make(row, Silent(), members)
    strategy.block(members[0], 0.0)
    strategy.leave(members[1], 0.0)
    for avoid in ((), (), (members[2],), ()):
        require(send(strategy, avoid) is members[2], "the only usable backend was not picked")
    end(strategy, members[2])
    require(send(strategy) is members[2], "the only usable backend was not picked")


def the_departed_are_forgotten(row: Spec, seeded: Seeded) -> None:
    """A call may end after its backend has left, and nothing holds on to that backend."""
    members = servers(1, 2, 3)
    strategy = make(row, seeded(9), members)
    leaving = members.pop(1)
    for number in range(3):
        require(
            send(strategy, members, key=b"%d" % number) is leaving, "avoided backends were picked"
        )
    strategy.leave(leaving, 0.0)
    while leaving.active:
        end(strategy, leaving, 1.0, latency=0.5)
    gone = weakref.ref(leaving)
    del leaving
    gc.collect()
    require(gone() is None, "a backend that left is kept alive")
    require(strategy.pick(2.0) in members, "nobody is picked after a late end")


# --- shares


def fits(counts: Sequence[int], expected: Sequence[float]) -> bool:
    """Pearson's chi-square at one in a thousand; quantile after Wilson and Hilferty, 1931."""
    statistic = sum((o - e) ** 2 / e for o, e in zip(counts, expected, strict=True))
    spread = 2 / (9 * (len(counts) - 1))
    limit: float = (len(counts) - 1) * (1 - spread + 3.0902 * spread**0.5) ** 3
    return statistic <= limit


def shares_follow_weights(row: Spec, seeded: Seeded) -> None:
    """Of an idle service, in the long run."""
    draws = 20_000
    for weights in ((1, 1), (3, 1), (1, 2, 5), (0.5, 1.5, 4, 4)):
        strategy = make(row, seeded(11), servers(*weights))
        counts: Counter[int] = Counter()
        for number in range(draws):
            picked = send(strategy, key=b"%d" % number)
            counts[picked.order] += 1
            end(strategy, picked)
        expected = [draws * weight / sum(weights) for weight in weights]
        seen = [counts[order] for order in range(len(weights))]
        require(fits(seen, expected), f"weights {weights} gave picks {seen}")


def every_window_is_exact(row: Spec, seeded: Seeded) -> None:
    for weights in ((1, 1, 1), (5, 1, 1), (1, 2, 3), (7, 3, 2, 2), (1, 9)):
        strategy = make(row, seeded(12), servers(*weights))
        period = sum(weights)
        picks = [send(strategy).order for _ in range(4 * period)]
        for start in range(3 * period):
            window = Counter(picks[start : start + period])
            require(
                window == dict(enumerate(weights)),
                f"weights {weights}: the window from {start} has {dict(window)}",
            )


class Watched(Server):
    """Notes who was asked how busy it is."""

    asked: set[int]

    def __getattribute__(self, name: str) -> Any:
        if name == "active":
            self.asked.add(self.order)
        return super().__getattribute__(name)


def pairs_are_equally_likely(row: Spec, seeded: Seeded) -> None:
    """Of backends that differ in load: the busiest is never picked, nor any pair preferred."""
    draws, n = 20_000, 5
    asked: set[int] = set()
    members = [Watched(order) for order in range(n)]
    for member, active in zip(members, (3, 1, 4, 0, 2), strict=True):
        member.asked, member.active = asked, active
    strategy = make(row, seeded(13), members)
    pairs: Counter[tuple[int, ...]] = Counter()
    for _ in range(draws):
        asked.clear()
        picked = strategy.pick(0.0)
        pair = tuple(sorted(asked))
        require(len(pair) == 2, f"{len(pair)} backends were compared, not two")
        least = min((members[order] for order in pair), key=lambda member: member.active)
        require(picked is least, f"of {pair} the busier was picked")
        pairs[pair] += 1
    seen = [pairs[pair] for pair in combinations(range(n), 2)]
    require(fits(seen, [draws / len(seen)] * len(seen)), f"pairs were drawn {seen} times")


# --- latency

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


def nobody_starves(row: Spec, seeded: Seeded) -> None:
    """Slow once, five seconds where others take ten milliseconds: picked again in two minutes.

    An estimate that fades by 1/e in ten seconds is down to theirs in 10 ln(500) = 62 seconds.
    """
    recovered, within = 10.0, 120.0
    for bad in (Outcome.OK, Outcome.TIMEOUT):
        members = servers(1, 1, 1)
        ill = members[1]

        def serve(
            server: Server, now: float, bad: Outcome = bad, ill: Server = ill
        ) -> tuple[Outcome, float]:
            return (bad, 5.0) if server is ill and now < recovered else (Outcome.OK, 0.010)

        strategy = make(row, seeded(14), members)
        picks = drive(strategy, serve, 0.020, recovered + within)
        require(
            any(server is ill and now >= recovered for now, server in picks),
            f"not picked again within {within:g} s of its recovery ({bad.value})",
        )


def failing_fast_attracts_nobody(row: Spec, seeded: Seeded) -> None:
    """One of four fails in 1 ms, the others answer in 20: at most a quarter of the calls."""
    members = servers(1, 1, 1, 1)
    broken = members[2]

    def serve(server: Server, _: float) -> tuple[Outcome, float]:
        return (Outcome.RESET, 0.001) if server is broken else (Outcome.OK, 0.020)

    for gap in (0.050, 0.010, 0.0075):
        for server in members:
            server.active = 0
        strategy = make(row, seeded(15), members)
        picks = Counter(server.order for _, server in drive(strategy, serve, gap, 40.0))
        share = picks[broken.order] / picks.total()
        require(share <= 1 / len(members), f"{share:.0%} of calls, one every {gap:g} s")


# --- cost


def cost_grows_with_the_logarithm_at_most(row: Spec, seeded: Seeded) -> None:
    """Pick, start and end among 8192 are at most 13/3 of the work among 8, as log n is."""
    small, large = 8, 8192

    def work(n: int) -> float:
        strategy = make(row, seeded(16), [Server(order, 1 + order % 3) for order in range(n)])
        busy = [send(strategy, key=b"%d" % number) for number in range(20)]
        strategy.pick(0.0, b"", busy[:1])  # what is made when first needed has been made now
        calls = 40

        def run() -> None:
            for number in range(calls):
                end(strategy, busy[number % 20], 1.0, latency=0.01)
                avoid = busy[:1] if number % 4 == 0 else ()  # every fourth is a retry
                busy[number % 20] = send(strategy, avoid, 1.0, b"k%d" % number)

        return operations(run) / calls

    few, many = work(small), work(large)
    bound = few * large.bit_length() / small.bit_length()
    require(many <= bound, f"{few:.0f} operations among {small}, {many:.0f} among {large}")


# --- which there are


@dataclass(frozen=True)
class Law:
    says: str
    check: Callable[[Spec, Seeded], None]
    binds: Callable[[Spec], bool] = lambda _: True
    unless: str = ""
    """Why others are exempt."""


def _claims(what: str) -> Callable[[Spec], bool]:
    return lambda row: what in row.claims


LAWS = (
    Law("a pick is usable, and there is one whenever anyone is", never_a_stranger),
    Law("avoided backends are picked only when no other is left", avoid_is_honoured),
    Law("the same seed and events give the same picks", a_seed_settles_everything),
    Law("the order of joining never matters", joining_order_is_nothing),
    Law("nothing is drawn while one backend is usable", one_usable_needs_no_draw),
    Law("a departed backend is forgotten, its late calls are harmless", the_departed_are_forgotten),
    Law(
        "the cost of a pick grows with the logarithm at most",
        cost_grows_with_the_logarithm_at_most,
        lambda row: not row.cost.startswith("O(n)"),
        "declared O(n)",
    ),
    Law(
        "picks of an idle service are in proportion to weight",
        shares_follow_weights,
        _claims("shares"),
        "claims no shares by weight",
    ),
    Law(
        "every window of one period has exact shares",
        every_window_is_exact,
        _claims("exact_shares"),
        "claims no exact shares",
    ),
    Law(
        "of two the less loaded, every pair equally likely",
        pairs_are_equally_likely,
        _claims("two_choices"),
        "does not choose between two",
    ),
    Law(
        "a backend that was slow once is picked again",
        nobody_starves,
        lambda row: bool(row.needs & {"latency", "probes"}),
        "latency decides nothing",
    ),
    Law(
        "a backend that fails fast gets no more than its share",
        failing_fast_attracts_nobody,
        _claims("failure_penalty"),
        "claims no penalty for failures",
    ),
)
