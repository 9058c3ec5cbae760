"""The points of backends on a circle of 2^32 hash values, as nginx sets them.

Source: nginx, src/http/modules/ngx_http_upstream_hash_module.c, whose chain of CRC-32 is that of
Cache::Memcached::Fast; the circle is that of libketama (last.fm, 2007).
"""

from __future__ import annotations

from zlib import crc32

POINTS = 160
"""Per unit of weight."""
ORDER_BITS = 28
ORDER_MASK = (1 << ORDER_BITS) - 1


def chain(address: str, count: int) -> list[int]:
    """The first `count` points of a backend: each the hash of its address and the point before."""
    host, _, port = address.rpartition(":")
    if port and not port.isdigit():
        host, port = address, ""
    base = crc32(f"{host}\0{port}".encode())
    point, points = 0, []
    for _ in range(count):
        point = crc32(point.to_bytes(4, "little"), base)
        points.append(point)
    return points


class PointRing:
    """All points in one sorted list, each an integer of hash and owner.

    Points of one hash stand in order, and so the first one owns it. Points of backends that left
    stay, for their owner to come back, until they are a quarter; the reader passes over them.
    """

    def __init__(self) -> None:
        self.points: list[int] = []
        self.stale = False
        self._wanted: dict[int, tuple[str, int]] = {}  # address and number of points, by order
        self._standing: dict[int, tuple[str, int]] = {}  # the same, of what is in the list
        self._gone = 0  # points without an owner

    def add(self, order: int, address: str, weight: float) -> None:
        """Set the points of a backend, new or with another weight, at the next `settle`."""
        self.remove(order)
        wanted = self._wanted[order] = address, max(round(POINTS * weight), 1)
        standing = self._standing.get(order)
        if standing == wanted:
            self._gone -= wanted[1]
        else:
            self.stale = True

    def remove(self, order: int) -> None:
        wanted = self._wanted.pop(order, None)
        if wanted is not None and self._standing.get(order) == wanted:
            self._gone += wanted[1]
            if 4 * self._gone > len(self.points):
                self.stale = True

    def settle(self) -> None:
        """Bring the list up to date: O(points), for the sort merges runs that are sorted."""
        gone = {o for o, standing in self._standing.items() if self._wanted.get(o) != standing}
        if gone:
            self.points = [point for point in self.points if point & ORDER_MASK not in gone]
        new = [
            point << ORDER_BITS | order
            for order, wanted in self._wanted.items()
            if order in gone or order not in self._standing
            for point in chain(*wanted)
        ]
        self.points += sorted(new)
        self.points.sort()
        self._standing = dict(self._wanted)
        self._gone = 0
        self.stale = False
