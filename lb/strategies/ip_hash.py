"""IP hash: a client's network decides its backend, as in nginx's ip_hash.

The first three octets of an IPv4 address, or all of an IPv6 one, are hashed to one of 6271 values,
which the backends share by weight. A key that is no address is hashed in all its bytes. A backend
that is blocked or has left keeps its place: only its own clients hash on, up to 20 times, and then
take turns. It gives its place up once more have left for good than were ever there together.

Cost: O(1) per pick. Wrong when many clients share a network, when there are more than a few hundred
backends (6271 values do not divide evenly), and when backends are added: everybody moves.

Source: nginx, src/http/modules/ngx_http_upstream_ip_hash_module.c.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address
from itertools import accumulate
from zlib import crc32

from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.keyed import TRIES, Keyed
from lb.strategies.reasons import Reasons
from lb.strategies.spec import Spec, settings

START, FACTOR, VALUES = 89, 113, 6271
SQUARE, CUBE, FIRST = FACTOR**2, FACTOR**3, START * FACTOR**4
"""Of a first hash of four octets, from which the remainder may as well be taken at the end."""
DOT, COLON = b".:"
NO_ADDRESS = bytes(3)
"""What nginx hashes for clients without one, which come through a local socket."""
_DOTTED = re.compile(rb"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})").fullmatch


@settings
class Params:
    """IP hash has no settings."""


class IpHash(Keyed[B]):
    """A table from hash values to orders, made anew at the first pick after a change of weights."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__()
        self._seats: dict[int, float] = {}  # weights by order, of those that left too
        self._most = 0  # members at one time
        self._table: list[int] = []  # orders by hash value
        self._stale = False

    def join(self, backend: B, now: float) -> None:
        super().join(backend, now)
        self._most = max(self._most, len(self._joined))
        self._seat(backend)
        if len(self._seats) > 2 * self._most:
            self._seats = {order: self._seats[order] for order in self._joined}

    def reweigh(self, backend: B, now: float) -> None:
        super().reweigh(backend, now)
        if backend.order in self._joined:
            self._seat(backend)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if not self._usable:
            return None
        if self._stale:
            self._rebuild()
        if key and DOT not in key and COLON not in key:
            # No address. In one expression, for no memo holds as many keys as there may be; to
            # look there in vain took four times as long.
            crc = crc32(key)
            value = (
                (crc >> 24) * CUBE
                + (crc >> 16 & 255) * SQUARE
                + (crc >> 8 & 255) * FACTOR
                + (crc & 255)
                + FIRST
            ) % VALUES
        else:
            value = hashed(key)
        backend = self._usable.get(self._table[value])
        if backend is not None and not avoid:
            return backend
        avoid = self._avoidable(avoid)
        octets = _octets(key)
        # A retry in nginx goes on where the last try ended, which does not count twice.
        for _ in range(TRIES + len(avoid)):
            backend = self._at(self._table[value], avoid)
            if backend is not None:
                return backend
            value = rehashed(value, octets)
        return self._turns.pick(now, key, avoid)

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        if self._stale:
            self._rebuild()
        avoid = self._avoidable(avoid)
        values, octets = [hashed(key)], _octets(key)
        for _ in range(TRIES + len(avoid) - 1):
            values.append(rehashed(values[-1], octets))
        places = [self._table[value] for value in values if self._usable]
        return self._because("whose network it is", places, now, key, avoid)

    def _seat(self, backend: B) -> None:
        if self._seats.get(backend.order) != backend.weight:
            self._seats[backend.order] = backend.weight
            self._stale = True

    def _rebuild(self) -> None:
        self._stale = False
        orders = sorted(self._seats)
        sums = list(accumulate([self._seats[order] for order in orders]))
        if all(float(weight).is_integer() for weight in self._seats.values()):
            places = [value % sums[-1] for value in range(VALUES)]
        else:  # nginx has whole weights only; fractions divide the values in proportion
            places = [value * sums[-1] / VALUES for value in range(VALUES)]
        self._table = [orders[bisect_right(sums, place)] for place in places]


@lru_cache(maxsize=8192)  # a client that comes back costs a twentieth
def hashed(key: bytes) -> int:
    """The first hash of a key."""
    return rehashed(START, _octets(key))


def rehashed(value: int, octets: bytes) -> int:
    """The hash after `value` of the same client, from 0 to below VALUES."""
    for octet in octets:
        value = (value * FACTOR + octet) % VALUES
    return value


def _octets(key: bytes) -> bytes:
    if not key:
        return NO_ADDRESS
    dotted = _DOTTED(key)
    try:
        if dotted:
            return bytes(map(int, dotted.groups()))[:3]
        if b":" in key:
            return IPv6Address(key.decode("latin-1")).packed
    except ValueError:
        pass
    return crc32(key).to_bytes(4, "big")


SPEC = Spec(
    name="ip_hash",
    factory=IpHash,
    params=Params,
    cost="O(1)",
    avoid_when="many clients share a network, or backends are often added",
    static=True,
    needs=frozenset({"key"}),
)
