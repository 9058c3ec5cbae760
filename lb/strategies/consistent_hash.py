"""Consistent hash: backends and keys lie on a circle, and a key belongs to the next backend on it.

Each backend has 160 points per unit of weight, so one that joins or leaves moves its own share of
the keys and no other. The mapping is that of nginx's `hash ... consistent`. A backend that is
blocked or avoided is passed over for the next point, up to 20 times; then backends take turns.
With `balance_factor` nobody takes more than so many times the average of the requests in flight:
what is too much for one goes on to the next with room.

Cost: O(log n) per pick; with `balance_factor` near 1 the search for room grows. Memory: 7 kB per
unit of weight. Wrong when a few keys are most of the traffic, unless loads are bounded.

Source: Karger et al., "Consistent hashing and random trees", 1997; Mirrokni, Thorup and
Zadimoghaddam, "Consistent hashing with bounded loads", 2018.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from typing import Any
from zlib import crc32

from lb.strategies.base import Outcome, Random, Strategy
from lb.strategies.candidate import B, Candidate
from lb.strategies.parts.ketama import ORDER_BITS, ORDER_MASK, PointRing
from lb.strategies.parts.keyed import TRIES, Keyed
from lb.strategies.reasons import Reasons, Rule
from lb.strategies.spec import Spec, settings

ALL = 1 << 62
"""More points than there are."""


@settings
class Params:
    """Settings of consistent hashing."""

    balance_factor: float = 0
    """Bound on requests in flight at a backend, relative to the average by weight: 1.25 allows a
    quarter more. From 1 up; 0 sets no bound."""

    def __post_init__(self) -> None:
        if self.balance_factor and not 1 <= self.balance_factor < 1e6:
            raise ValueError(f"balance_factor must be 0 or at least 1, not {self.balance_factor}")


def make(params: Params, rng: Random) -> Strategy[Any]:
    """The plain ring, or the one that counts, when the settings bound the loads."""
    return BoundedLoads(params.balance_factor) if params.balance_factor else ConsistentHash()


class ConsistentHash(Keyed[B]):
    """A key belongs to the owner of the first point at or behind its hash."""

    def __init__(self) -> None:
        super().__init__()
        self._ring = PointRing()

    def join(self, backend: B, now: float) -> None:
        super().join(backend, now)
        self._ring.add(backend.order, backend.address, backend.weight)

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._ring.remove(backend.order)

    def reweigh(self, backend: B, now: float) -> None:
        super().reweigh(backend, now)
        if backend.order in self._joined:
            self._ring.add(backend.order, backend.address, backend.weight)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if not self._usable:
            return None
        ring = self._ring
        if ring.stale:
            ring.settle()
        points = ring.points
        at = bisect_left(points, crc32(key) << ORDER_BITS) - len(points)  # wraps at the end
        backend = self._usable.get(points[at] & ORDER_MASK)
        if backend is not None and not avoid:
            return backend
        avoid = self._avoidable(avoid)
        for order in islice(self._onwards(at), TRIES):
            backend = self._at(order, avoid)
            if backend is not None:
                return backend
        return self._turns.pick(now, key, avoid)

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        return self._because(
            "the next on the circle", self._places(key), now, key, self._avoidable(avoid)
        )

    def _places(self, key: bytes, most: int = TRIES) -> list[int]:
        """The owners of the points that a key leads to, one after the other."""
        if not self._usable:
            return []
        if self._ring.stale:
            self._ring.settle()
        points = self._ring.points
        at = bisect_left(points, crc32(key) << ORDER_BITS) - len(points)
        return list(islice(self._onwards(at), most))

    def _onwards(self, at: int) -> Iterator[int]:
        """The owners of the points from `at` once around."""
        points, joined = self._ring.points, self._joined
        last = -1
        for i in range(at, at + len(points)):
            point = points[i]
            order = point & ORDER_MASK
            if order in joined and point >> ORDER_BITS != last:
                last = point >> ORDER_BITS
                yield order


class BoundedLoads(ConsistentHash[B]):
    """Counts weights and requests in flight of the usable, and passes over whoever has his share.

    A call that avoids some backends is bounded by the average of the others. Some backend is always
    below the bound: if all were at it, there would be more requests in flight than there are.
    """

    def __init__(self, balance_factor: float) -> None:
        super().__init__()
        # As it was written: 1.1 is 11/10, so that a bound that is a whole number is met exactly.
        ratio = Fraction(balance_factor).limit_denominator(10**6)
        self._numerator, self._denominator = ratio.numerator, ratio.denominator
        self._shares: dict[int, float] = {}  # weights of the usable, by order
        self._weight = 0.0  # of the usable
        self._in_flight = 0  # at the usable

    def join(self, backend: B, now: float) -> None:
        super().join(backend, now)
        self._count(backend)

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._discount(backend)

    def block(self, backend: B, now: float) -> None:
        super().block(backend, now)
        self._discount(backend)

    def unblock(self, backend: B, now: float) -> None:
        super().unblock(backend, now)
        if backend.order in self._joined:
            self._count(backend)

    def reweigh(self, backend: B, now: float) -> None:
        super().reweigh(backend, now)
        if backend.order in self._shares:
            self._discount(backend)
            self._count(backend)

    def started(self, backend: B, now: float) -> None:
        self._in_flight += backend.order in self._shares

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None:
        self._in_flight -= backend.order in self._shares

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        usable, shares = self._usable, self._shares
        if not usable:
            return None
        weight, in_flight = self._weight, self._in_flight
        if avoid:
            avoid = self._avoidable(avoid)
            weight, in_flight = self._without(avoid)
        room, weight = self._numerator * (in_flight + 1), weight * self._denominator
        ring = self._ring
        if ring.stale:
            ring.settle()
        points = ring.points
        at = bisect_left(points, crc32(key) << ORDER_BITS) - len(points)
        order = points[at] & ORDER_MASK
        backend = usable.get(order)
        if backend is not None and not avoid and backend.active * weight < room * shares[order]:
            return backend
        for order in self._onwards(at):
            backend = self._at(order, avoid)
            if backend is not None and backend.active * weight < room * shares[order]:
                return backend
        return self._turns.pick(now, key, avoid)  # fractional weights may round somebody's room off

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        avoid = self._avoidable(avoid)
        weight, in_flight = self._without(avoid)
        room, weight = self._numerator * (in_flight + 1), weight * self._denominator
        looked: list[tuple[Candidate, float]] = []
        for order in self._places(key, ALL):
            looked.append((self._joined[order], float(self._joined[order].active)))
            backend = self._at(order, avoid)
            if backend is not None and backend.active * weight < room * self._shares[order]:
                why = "the next on the circle that has not more than its share"
                return Reasons(why, Rule.FOUND, "requests in flight", looked)
        return self._because("", [], now, key, avoid)

    def _without(self, avoid: Sequence[B]) -> tuple[float, int]:
        """Weights and requests in flight of the others."""
        weight, in_flight = self._weight, self._in_flight
        for order in {backend.order for backend in avoid} & self._usable.keys():
            weight -= self._shares[order]
            in_flight -= self._usable[order].active
        return weight, in_flight

    def _count(self, backend: B) -> None:
        if backend.order not in self._shares:
            self._shares[backend.order] = backend.weight
            self._weight += backend.weight
            self._in_flight += backend.active

    def _discount(self, backend: B) -> None:
        weight = self._shares.pop(backend.order, None)
        if weight is not None:
            self._weight -= weight
            self._in_flight -= backend.active
            if not self._shares:
                self._weight, self._in_flight = 0.0, 0  # nothing rounded is left over


SPEC = Spec(
    name="consistent_hash",
    factory=make,
    params=Params,
    cost="O(log n)",
    avoid_when="a few keys are most of the traffic and balance_factor is off",
    static=True,
    needs=frozenset({"key"}),
    variants=(
        {"balance_factor": 1},
        {"balance_factor": 1.25},
    ),
)
