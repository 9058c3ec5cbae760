"""Figures over time, from the differences between what a balancer has counted (`/v1/snapshot`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lb.measures import middle

WINDOW = 10.0
"""Seconds that a figure is about, as on the status page."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Snapshot = Mapping[str, Any]


@dataclass(frozen=True)
class Lane:
    """One backend lately."""

    rate: float
    failing: float
    """Failed attempts per second."""
    share: float | None
    """Of all attempts; None while there are none."""
    latency: float | None
    """Seconds of a good attempt on average."""


@dataclass(frozen=True)
class Point:
    """Everything lately. Rates are per second."""

    rate: float
    errors: Mapping[str, float]
    """By kind."""
    latency: Mapping[str, float | None]
    """Seconds, by name of the quantile."""
    in_flight: int
    retries: float
    hedges: float
    lanes: Mapping[str, Lane] = field(default_factory=dict)

    @property
    def failing(self) -> float:
        """Errors per second."""
        return sum(self.errors.values())


class Watch:
    """Looks at a balancer, one after the other."""

    def __init__(self) -> None:
        self._taken: deque[tuple[float, Snapshot]] = deque()

    def take(self, snapshot: Snapshot, now: float) -> Point | None:
        """One more, at `now` in seconds; None for the first one, which nothing came before."""
        taken = self._taken
        if taken and snapshot["requests"] < taken[-1][1]["requests"]:
            taken.clear()  # it has begun anew
        while len(taken) > 1 and now - taken[1][0] >= WINDOW:
            taken.popleft()
        before = taken[0] if taken else None
        taken.append((now, snapshot))
        return None if before is None else between(before[1], snapshot, now - before[0])


def between(then: Snapshot, now: Snapshot, seconds: float) -> Point:
    """What has happened from one to the other, `seconds` later."""
    old, new = then["traffic"], now["traffic"]
    ends = _more(new["outcomes"], old["outcomes"])
    return Point(
        rate=(now["requests"] - then["requests"]) / seconds,
        errors={kind: n / seconds for kind, n in ends.items() if kind != "ok"},
        latency=quantiles(_more(new["latency"], old["latency"])),
        in_flight=sum(backend["connections"] for backend in now["backends"]),
        retries=(now["retried"] - then["retried"]) / seconds,
        hedges=(now["hedged"] - then["hedged"]) / seconds,
        lanes=_lanes(then, now, seconds),
    )


def quantiles(buckets: Mapping[str, float]) -> dict[str, float | None]:
    """Of counts by fine bucket; None where so few say nothing of it: p99 takes a hundred."""
    rows = sorted((int(bucket), count) for bucket, count in buckets.items())
    total = sum(count for _, count in rows)
    found: dict[str, float | None] = {}
    for name, share in QUANTILES.items():
        left, value = share * total, None
        for bucket, count in rows if total * (1 - share) >= 1 - 1e-9 else ():
            left, value = left - count, middle(bucket)
            if left <= 1e-9:
                break
        found[name] = value
    return found


def _lanes(then: Snapshot, now: Snapshot, seconds: float) -> dict[str, Lane]:
    before = {backend["name"]: backend for backend in then["backends"]}
    picked = {
        backend["name"]: _grown(backend, before.get(backend["name"]), "picked")
        for backend in now["backends"]
    }
    all_picked = sum(picked.values())
    lanes = {}
    for backend in now["backends"]:
        name = backend["name"]
        new, old = (it["traffic"]["attempts"].get(name, {}) for it in (now, then))
        count = new.get("count", 0) - old.get("count", 0)
        took = new.get("seconds", 0.0) - old.get("seconds", 0.0)
        lanes[name] = Lane(
            rate=picked[name] / seconds,
            failing=_grown(backend, before.get(name), "failed") / seconds,
            share=picked[name] / all_picked if all_picked else None,
            latency=took / count if count > 0 else None,
        )
    return lanes


def _grown(now: Snapshot, then: Snapshot | None, key: str) -> int:
    return max(int(now[key]) - int(then[key]), 0) if then is not None else 0


def _more(now: Mapping[str, int], then: Mapping[str, int]) -> dict[str, int]:
    grown = {key: count - then.get(key, 0) for key, count in now.items()}
    return {key: count for key, count in grown.items() if count > 0}
