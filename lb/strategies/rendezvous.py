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
from dataclasses import dataclass
from hashlib import blake2b
from math import log

from lb.strategies.base import B, Random
from lb.strategies.parts.ring import Ring
from lb.strategies.spec import Spec

WORD = (1 << 64) - 1


@dataclass(frozen=True)
class Params:
    """Rendezvous has no settings."""


class Rendezvous(Ring[B]):
    """A ring, and a hash of every address in it."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__()
        self._seeds: dict[int, int] = {}  # by order

    def join(self, backend: B, now: float) -> None:
        super().join(backend, now)
        self._seeds[backend.order] = digest(backend.address.encode())

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._seeds.pop(backend.order, None)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        members = self.members
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


def digest(data: bytes) -> int:
    """64 bits of a cryptographic hash."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def uniform(word: int) -> float:
    """A number strictly between 0 and 1 that shares nothing with those of similar words.

    The mixing is the finalizer of MurmurHash3 (Appleby, 2011).
    """
    word = (word ^ word >> 33) * 0xFF51AFD7ED558CCD & WORD
    word = (word ^ word >> 33) * 0xC4CEB9FE1A85EC53 & WORD
    return ((word ^ word >> 33) >> 12 | 1) * 2.0**-52


SPEC = Spec(
    name="rendezvous",
    factory=Rendezvous,
    params=Params,
    cost="O(n)",
    avoid_when="there are more than some dozens of backends",
    needs=frozenset({"key"}),
)
