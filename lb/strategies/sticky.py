"""Sticky: whoever has been to a backend comes back to it; another algorithm places newcomers.

The file's `key` says who somebody is. With `cookie:NAME` the proxy hands out a cookie that names
the backend, and nothing is remembered here. With any other key, `header:NAME` say, the last `table`
keys are remembered. When a backend is gone its clients are placed anew; while it is at its limit
they go elsewhere, but come back.

A backend that drains is given no newcomers, but its clients stay with it until it is gone: by an
operator who takes it out or removes it, by its checks, or when its time is over (`drain`). Then
they are placed anew, as all are who have lost their home. (HAProxy's "drain" does the same.)

Cost: that of the inner algorithm for newcomers, O(1) for the others. Wrong when any backend can
serve any request as well: load follows the clients then, not the backends.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import inf
from typing import Any, cast

from lb.errors import UsageError
from lb.strategies.base import Fed, LoadReport, Outcome, Probing, Random, Strategy
from lb.strategies.candidate import B
from lb.strategies.parts.foreign import as_index
from lb.strategies.parts.heedless import Index
from lb.strategies.reasons import Reasons, Rule
from lb.strategies.spec import Inner, Seconds, Spec, settings


@settings
class Params:
    """Settings of sticky."""

    inner: str = "round_robin"
    """The algorithm that places newcomers, such as "p2c" or "p2c:choices=3"; none that hashes."""
    table: int = 100_000
    """Keys remembered; the one unused for longest is forgotten first."""
    drain: "Seconds" = inf
    """How long the clients of a backend that drains stay with it; until it is gone unless given."""

    def __post_init__(self) -> None:
        if self.table < 1:
            raise ValueError(f"table must be at least 1, not {self.table}")


def token(address: str) -> bytes:
    """What a cookie says for a backend: stable, and silent about the address."""
    return blake2b(address.encode(), digest_size=6).hexdigest().encode()


class Sticky(Index[B]):
    """The inner algorithm hears of every event; its pick is asked for when no home is usable."""

    def __init__(self, inner: Strategy[B], params: Params) -> None:
        self._inner = inner
        self._size = params.table
        self._drain = params.drain
        self._joined: dict[int, B] = {}  # by order, blocked ones too
        self._usable: dict[int, B] = {}  # by order
        self._draining: dict[int, float] = {}  # until when, by order
        self._tokens: dict[bytes, int] = {}
        self._places: dict[bytes, int] = {}  # order by key, least recently used first

    def join(self, backend: B, now: float) -> None:
        self._enter(backend)
        self._inner.join(backend, now)

    def drain(self, backend: B, now: float) -> None:
        """In place of `join`: only for those at home there, and for no longer than `drain`."""
        self._enter(backend)
        self._draining[backend.order] = now + self._drain

    def leave(self, backend: B, now: float) -> None:
        self._withdraw(backend)
        self._draining.pop(backend.order, None)
        self._inner.leave(backend, now)

    def block(self, backend: B, now: float) -> None:
        self._usable.pop(backend.order, None)
        self._inner.block(backend, now)

    def unblock(self, backend: B, now: float) -> None:
        if backend.order in self._joined:
            self._usable[backend.order] = backend
        if backend.order not in self._draining:
            self._inner.unblock(backend, now)

    def reweigh(self, backend: B, now: float) -> None:
        self._inner.reweigh(backend, now)

    def started(self, backend: B, now: float) -> None:
        self._inner.started(backend, now)

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None:
        self._inner.finished(backend, now, outcome, latency)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        named = self._tokens.get(key)
        place = self._places.pop(key, None) if named is None else named
        home = None if place is None else self._usable.get(place)
        if home is not None and not (avoid or self._draining):  # as nearly always
            if named is None and place is not None:
                self._places[key] = place
            return home
        if home is not None and self._draining and now >= self._draining.get(home.order, inf):
            self._withdraw(home)
            home = None
        if home is not None and home not in avoid:
            picked: B | None = home
        else:
            picked = self._inner.pick(now, key, avoid)
            if place not in self._joined and picked is not None:
                place = picked.order
        if named is None and key and place in self._joined:
            self._remember(key, place)
        return picked

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        named = self._tokens.get(key)
        place = self._places.get(key) if named is None else named
        home = None if place is None else self._usable.get(place)
        over = home is not None and now >= self._draining.get(home.order, inf)
        if home is not None and home not in avoid and not over:
            why = "whom its cookie names" if named is not None else "where this key has been before"
            return Reasons(why, Rule.FOUND, "", [(home, 0.0)])
        reasons = as_index(self._inner).explain(now, key, avoid)
        if reasons is None:
            return None
        known = "a newcomer" if place is None else "its home may not be picked"
        return reasons._replace(why=f"{known}: {reasons.why}")

    def knows(self, key: bytes) -> bool:
        """Whether `key` has a home here; room or not."""
        return key in self._tokens or self._places.get(key) in self._joined

    def _enter(self, backend: B) -> None:
        self._joined[backend.order] = self._usable[backend.order] = backend
        self._tokens[token(backend.address)] = backend.order

    def _withdraw(self, backend: B) -> None:
        self._joined.pop(backend.order, None)
        self._usable.pop(backend.order, None)
        if self._tokens.get(token(backend.address)) == backend.order:
            del self._tokens[token(backend.address)]

    def _remember(self, key: bytes, place: int) -> None:
        self._places[key] = place
        if len(self._places) > self._size:
            del self._places[next(iter(self._places))]


class Asking(Sticky[B]):
    """One whose inner algorithm asks backends for their load."""

    def __init__(self, inner: Strategy[B], params: Params) -> None:
        super().__init__(inner, params)
        self._asker = cast("Probing[B]", inner)

    def probes(self, now: float) -> Sequence[B]:
        return self._asker.probes(now)

    def probed(self, backend: B, now: float, in_flight: int, latency: float) -> None:
        self._asker.probed(backend, now, in_flight, latency)


class Hearing(Sticky[B]):
    """One whose inner algorithm goes by load reports."""

    def __init__(self, inner: Strategy[B], params: Params) -> None:
        super().__init__(inner, params)
        self._hearer = cast("Fed[B]", inner)

    def fed(self, backend: B, now: float, report: LoadReport) -> None:
        self._hearer.fed(backend, now, report)


class AskingAndHearing(Asking[B]):
    """One whose inner algorithm does both."""

    def __init__(self, inner: Strategy[B], params: Params) -> None:
        super().__init__(inner, params)
        self._hearer = cast("Fed[B]", inner)

    def fed(self, backend: B, now: float, report: LoadReport) -> None:
        self._hearer.fed(backend, now, report)


KINDS: dict[tuple[bool, bool], type[Sticky[Any]]] = {
    (False, False): Sticky,
    (True, False): Asking,
    (False, True): Hearing,
    (True, True): AskingAndHearing,
}
"""By what the inner algorithm wants to know of backends: it is told that, and nothing else."""


def make(params: Params, rng: Random, inner: Inner) -> Sticky[Any]:
    """Sticky over its inner algorithm. Raises UsageError when that cannot be inside another."""
    row, strategy = inner(params.inner, rng)
    if "key" in row.needs:
        raise UsageError(f"sticky: inner: {row.name} goes by a key, and newcomers have none")
    kind = KINDS[isinstance(strategy, Probing), isinstance(strategy, Fed)]
    return kind(strategy, params)


SPEC = Spec(
    name="sticky",
    factory=make,
    params=Params,
    cost="O(1), or the inner algorithm's",
    avoid_when="any backend can serve any request as well",
    partial="each remembers only whom it has placed itself; with a key cookie:NAME nothing "
    "is remembered",
    needs=frozenset({"key", "sets_cookie"}),
    variants=(
        {"table": 2},
        {"drain": "10s"},
        {"inner": "weighted_round_robin:sequence=edf"},
        {"inner": "least_connections"},
        {"inner": "p2c:choices=3"},
        {"inner": "peak_ewma"},
        {"inner": "prequal"},
        {"inner": "weighted_feedback"},
    ),
    nests=True,
)
