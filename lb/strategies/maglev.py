"""Maglev: each backend fills an equal share of a large table, and a key reads one entry of it.

Backends take turns, as often as their weights say, to claim the next free entry in an order of
their own, a permutation drawn from their address. So shares are all but exact, and few keys move
that need not when a backend joins or leaves. A blocked or avoided backend is passed over: the key
is hashed again for another entry, up to 20 times; then backends take turns.

Cost: O(1) per pick. A join or leave rebuilds the table at the next pick, in 30 to 60 ms; the last
few tables are kept. Wrong when new backends come all the time, or are not far fewer than entries.

Source: Eisenbud et al., "Maglev: a fast and reliable software network load balancer", 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import isqrt
from zlib import crc32

from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.keyed import TRIES, Keyed
from lb.strategies.reasons import Reasons
from lb.strategies.spec import Spec, settings

LARGEST = 5_000_011
"""Envoy's limit; 40 MB."""


@settings
class Params:
    """Settings of Maglev."""

    table_size: int = 65537
    """Entries of the table, a prime; a hundred times the number of backends keeps shares within a
    per cent."""

    def __post_init__(self) -> None:
        if not 2 <= self.table_size <= LARGEST:
            raise ValueError(f"table_size must be from 2 to {LARGEST}, not {self.table_size}")
        if not _is_prime(self.table_size):
            near = next(n for n in range(self.table_size, 2 * LARGEST) if _is_prime(n))
            raise ValueError(f"table_size must be prime, such as {near}, not {self.table_size}")


class Maglev(Keyed[B]):
    """A table from hash values to orders, made anew at the first pick after a change of members."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__()
        self._size = params.table_size
        self._table: list[int] = []  # orders
        self._stale = False

    def join(self, backend: B, now: float) -> None:
        super().join(backend, now)
        self._stale = True

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._stale = True

    def reweigh(self, backend: B, now: float) -> None:
        super().reweigh(backend, now)
        self._stale = True

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if not self._usable:
            return None
        if self._stale:
            self._rebuild()
        value = crc32(key)
        table, size = self._table, self._size
        backend = self._usable.get(table[value % size])
        if backend is not None and not avoid:
            return backend
        avoid = self._avoidable(avoid)
        for _ in range(TRIES):
            backend = self._at(table[value % size], avoid)
            if backend is not None:
                return backend
            # Not by equal steps: a backend's entries lie in equal steps, and might be all it finds.
            value = (value * 1664525 + 1013904223) % 2**32  # Knuth and Lewis, in Numerical Recipes
        return self._turns.pick(now, key, avoid)

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        if self._usable and self._stale:
            self._rebuild()
        values = [crc32(key)]
        for _ in range(TRIES - 1):
            values.append((values[-1] * 1664525 + 1013904223) % 2**32)
        places = [self._table[value % self._size] for value in values if self._usable]
        return self._because(
            "whose entry of the table it is", places, now, key, self._avoidable(avoid)
        )

    def _rebuild(self) -> None:
        members = sorted((row.address, row.order, row.weight) for row in self._joined.values())
        addresses, orders, weights = zip(*members, strict=True)
        self._table = [orders[position] for position in fill(addresses, weights, self._size)]
        self._stale = False


@lru_cache(maxsize=4)  # a backend that was away for a moment, another balancer, another replication
def fill(addresses: tuple[str, ...], weights: tuple[float, ...], size: int) -> Sequence[int]:
    """For each of `size` entries the position of its owner."""
    at, steps = [], []
    for address in addresses:
        digest = blake2b(address.encode(), digest_size=16).digest()
        at.append(int.from_bytes(digest[:8], "big") % size)
        steps.append(int.from_bytes(digest[8:], "big") % (size - 1) + 1)
    table = [-1] * size
    turns = iter(_turns(weights, size))
    few = isqrt(size)
    for _, member in zip(range(size - few), turns, strict=False):
        entry, step = at[member], steps[member]
        while table[entry] >= 0:
            entry += step
            if entry >= size:
                entry -= size
        table[entry] = member
        at[member] = entry
    # When few entries are free, how far each lies along a member's way is found sooner than walked.
    free = [entry for entry, member in enumerate(table) if member < 0]
    while free:
        member = next(turns)
        start, step = at[member], steps[member]
        jump = pow(step, -1, size)
        ahead = min([(entry - start) * jump % size for entry in free])
        entry = (start + ahead * step) % size
        table[entry] = member
        free.remove(entry)
    return table


def _turns(weights: Sequence[float], size: int) -> list[int]:
    """Positions in proportion to their weights, at least `size` of them.

    Turn k of weight w is due at (k + 1/2) / w: Webster's apportionment, which favours nobody. Those
    of one weight have their turns together.
    """
    alike: dict[float, list[int]] = {}
    for position, weight in enumerate(weights):
        alike.setdefault(weight, []).append(position)
    until = (size + len(weights)) / sum(weights, 0.0)
    dues: list[float] = []
    groups: list[list[int]] = []
    for weight, positions in alike.items():
        count = int(until * weight + 1)
        dues += [(turn + 0.5) / weight for turn in range(count)]
        groups += [positions] * count
    in_time = sorted(range(len(dues)), key=dues.__getitem__)
    return [position for turn in in_time for position in groups[turn]]


def _is_prime(n: int) -> bool:
    return n > 1 and all(n % divisor for divisor in range(2, isqrt(n) + 1))


SPEC = Spec(
    name="maglev",
    factory=Maglev,
    params=Params,
    cost="O(1)",
    avoid_when="new backends come all the time",
    static=True,
    needs=frozenset({"key"}),
    variants=(
        {"table_size": 2},
        {"table_size": 251},
    ),
)
