"""Which backends one of many balancers uses: a few, the same ones every time, evenly shared out.

With many balancers and many backends, all to all is too many connections. Balancers are numbered;
those whose numbers follow one another divide all backends among themselves, then the next ones do
so in another order. So every backend has nearly the same number of balancers.

Source: deterministic subsetting in Beyer et al., "Site Reliability Engineering", 2016, chapter 20;
the order of a round is by hash, so that a backend more or less moves few others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol, TypeVar


@dataclass(frozen=True)
class SubsetPolicy:
    """How many backends a balancer uses, and which balancer this is."""

    size: int | None = None
    """All of them unless given."""
    instance: int = 0
    """Number of this balancer, from 0."""


class Placed(Protocol):
    """What has an address: a backend, or the settings of one."""

    @property
    def address(self) -> str: ...


P = TypeVar("P", bound=Placed)


def subset(backends: Sequence[P], policy: SubsetPolicy) -> list[P]:
    """The backends that this balancer uses."""
    size = policy.size
    if size is None or size >= len(backends):
        return list(backends)
    parts = len(backends) // size
    round_, part = divmod(policy.instance, parts)

    def place(backend: P) -> bytes:
        return blake2b(b"%d %b" % (round_, backend.address.encode()), digest_size=8).digest()

    return sorted(backends, key=place)[part * size : (part + 1) * size]
