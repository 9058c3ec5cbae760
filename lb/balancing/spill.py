"""Which of several tiers a call goes to: the first ones as far as they can take it.

A tier of which the share h is usable takes overprovisioning x h of the traffic, and the next ones
take what is left. A tier whose backends are all at their limits passes its calls on, and a retry
goes to another tier before it goes to the same backend again. Where a key says which backend, it
says which tier too, so it moves only as far as the shares do; clients who have a home keep it.

Source: the priority levels of Envoy's load balancers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from lb.balancing.backend import Backend
from lb.balancing.tiers import Tier
from lb.strategies import Outcome, Random, Sticking
from lb.strategies.parts.heedless import Index
from lb.strategies.reasons import Reasons

ALL = 1.0
"""All of the traffic."""


def shares(capacities: Sequence[float]) -> list[float]:
    """What each tier is given, by what each could take; in proportion, where that is too little."""
    total = sum(capacities)
    if 0 < total < ALL:
        return [capacity / total for capacity in capacities]
    left, given = ALL, []
    for capacity in capacities:
        given.append(min(capacity, left))
        left -= given[-1]
    return given


class Spill(Index[Backend]):
    """An index over several tiers, which are in order and have their shares."""

    def __init__(
        self, tiers: Sequence[Tier], places: Mapping[Backend, Tier], rng: Random, keyed: bool
    ) -> None:
        """`places` are of all members; `keyed`: keys say which backend."""
        self._places = places
        self._draw = rng.random
        self._keyed = keyed
        # Whom a call of each tier is passed on to: those behind, then those before.
        self._ways = [(*tiers[at:], *tiers[:at]) for at in range(len(tiers))]
        self._tiers = tiers
        strategies = [tier.strategy for tier in tiers]  # all of one kind
        self._homes = [it for it in strategies if isinstance(it, Sticking)]

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[Backend] = ()) -> Backend | None:
        way: Sequence[Tier] = self._ways[self._start(key)]
        if avoid:
            way = [tier for tier in way if tier.has_room(avoid)] or way
        for tier in way:
            backend = tier.strategy.pick(now, key, avoid)
            if backend is not None:
                return backend
        return None

    def explain(
        self, now: float, key: bytes = b"", avoid: Sequence[Backend] = ()
    ) -> Reasons | None:
        way: Sequence[Tier] = self._ways[self._start(key)]
        if avoid:
            way = [tier for tier in way if tier.has_room(avoid)] or way
        for tier in way:
            reasons = tier.strategy.explain(now, key, avoid)
            if reasons is None:
                return None
            if reasons.candidates:
                number = self._tiers.index(tier) + 1
                why = f"in tier {number} of {len(self._tiers)} {reasons.why}"
                return reasons._replace(why=why)
        return reasons

    def started(self, backend: Backend, now: float) -> None:
        self._places[backend].strategy.started(backend, now)

    def finished(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> None:
        tier = self._places.get(backend)
        if tier is not None:  # else it was removed, and who comes back is a stranger
            tier.strategy.finished(backend, now, outcome, latency)

    def _start(self, key: bytes) -> int:
        """Number of the tier that a call is for."""
        if key:
            for at, homes in enumerate(self._homes):
                if homes.knows(key):
                    return at
        tiers = self._tiers
        if tiers[0].share == ALL:
            return 0
        mark = position(key) if key and self._keyed else self._draw()
        for at, tier in enumerate(tiers):
            mark -= tier.share
            if mark < 0:
                return at
        return 0


def position(key: bytes) -> float:
    """Where a key stands among all calls, in [0, 1); it shares nothing with strategies' hashes."""
    return int.from_bytes(blake2b(key, digest_size=6, person=b"tiers").digest(), "big") / 2**48
