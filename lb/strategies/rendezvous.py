"""Rendezvous: every backend scores every key, and the highest score wins.

The score is -weight / ln(u), with u between 0 and 1 hashed from the key and the backend's address:
exact shares by weight, no table, and a backend that is gone moves its own keys only, each to its
second best. Blocked and avoided backends are as good as gone.

Cost: O(n) per pick, the only algorithm here that looks at everybody. Wrong with more than some
dozens of backends: a consistent hash or Maglev do nearly the same at a fixed price.

Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998; weights as
in Resch, "New hashing algorithms for data storage", 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import log
from struct import Struct

from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.ring import Ring
from lb.strategies.reasons import Reasons, Rule, others
from lb.strategies.spec import Spec, settings

WORD = (1 << 64) - 1
FIRST, SECOND = 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53


@settings
class Params:
    """Rendezvous has no settings."""


class Row:
    """The backends of one weight, hashed together: one integer holds a word of each.

    A step of the mixing is one operation on that instead of one for each backend, which takes a
    quarter of the time. A word has twice the room that it needs, for products.
    """

    __slots__ = ("_ones", "_seeds", "_size", "_unpack", "_words")

    def __init__(self, seeds: Sequence[int]) -> None:
        self._size = 16 * len(seeds)
        self._unpack = Struct("<" + "Q8x" * len(seeds)).unpack
        self._ones = _packed([1] * len(seeds))
        self._words = WORD * self._ones
        self._seeds = _packed([folded(seed) for seed in seeds])

    def mixed(self, hashed: int) -> tuple[int, ...]:
        """Of each backend what `uniform` takes the highest bits of."""
        words = self._words
        word = (folded(hashed) * self._ones ^ self._seeds) * FIRST & words
        word = (word ^ word >> 33 & words) * SECOND & words
        return self._unpack(word.to_bytes(self._size, "little"))


class Rendezvous(Ring[B]):
    """A ring, and a hash of every address in it.

    While weights are equal the highest score is that of the highest `u`, and no logarithm is taken.
    """

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__()
        self._seeds: dict[int, int] = {}  # by order
        self._row: Row | None = None  # of `members`, when their weights are equal
        self._stale = True

    def join(self, backend: B, now: float) -> None:
        super().join(backend, now)
        self._seeds[backend.order] = digest(backend.address.encode())
        self._stale = True

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._seeds.pop(backend.order, None)
        self._stale = True

    def reweigh(self, backend: B, now: float) -> None:
        self._stale = True

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        members = self.members
        if self._stale:
            self._line_up()
        row = self._row
        if row is not None and not avoid:
            words = list(row.mixed(digest(key)))
            highest = max(words)
            at = words.index(highest)
            words[at] = 0
            if max(words) >> 31 != highest >> 31:  # what `uniform` does below that decides nothing
                return members[at]
        if avoid:
            members = [backend for backend in members if backend not in avoid] or members
        if len(members) < 2:
            return members[0] if members else None
        seeds, hashed = self._seeds, digest(key)
        # Reciprocals of the scores: the highest score is the lowest of these.
        return min(
            members,
            key=lambda backend: -log(uniform(hashed ^ seeds[backend.order])) / backend.weight,
        )

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        hashed, seeds = digest(key), self._seeds
        scores = [
            (it, -it.weight / log(uniform(hashed ^ seeds[it.order])))
            for it in others(self.members, avoid)
        ]
        return Reasons("the one that the key scores highest", Rule.HIGHEST, "score", scores)

    def _line_up(self) -> None:
        members = self.members
        alike = len(members) > 1 and len({backend.weight for backend in members}) == 1
        self._row = Row([self._seeds[order] for order in self.orders]) if alike else None
        self._stale = False


def _packed(words: Sequence[int]) -> int:
    return int.from_bytes(b"".join([word.to_bytes(16, "little") for word in words]), "little")


def digest(data: bytes) -> int:
    """64 bits of a cryptographic hash."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def folded(word: int) -> int:
    """The first step of the mixing; that of an exclusive or is that of its halves."""
    return word ^ word >> 33


def uniform(word: int) -> float:
    """A number strictly between 0 and 1 that shares nothing with those of similar words.

    The mixing is the finalizer of MurmurHash3 (Appleby, 2011).
    """
    word = folded(word) * FIRST & WORD
    word = folded(word) * SECOND & WORD
    return (folded(word) >> 12 | 1) * 2.0**-52


SPEC = Spec(
    name="rendezvous",
    factory=Rendezvous,
    params=Params,
    cost="O(n)",
    avoid_when="there are more than some dozens of backends",
    static=True,
    needs=frozenset({"key"}),
)
