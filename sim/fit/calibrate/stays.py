"""Stays at one backend, and how much work each of them was if the backend is as supposed.

What is recorded are arrivals and departures. Given the discipline, the number of workers and how
those slow each other down, they determine every service:

- first come first served, c workers: a request starts at its arrival, or when all but c - 1 of
  those before it have left, whichever is later; what is left of its stay is its service;
- processor sharing: its service is the integral of its share of a worker over its stay.

So a hypothesis has a likelihood: that of its services under one law, times the derivative of
services by departures, which is the pace at the moment of each departure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from lb.config import Usl
from sim.fit.calibrate.density import log_likelihood
from sim.fit.seen import Flags, Ints
from sim.model.laws import Floats

Discipline = Literal["fifo", "ps"]


@dataclass(frozen=True)
class Hypothesis:
    """What a backend may be."""

    discipline: Discipline
    workers: int
    overhead: float = 0.0
    """Seconds of each stay that no worker is busy with: ways, connections, the proxy's own work."""
    usl: Usl | None = None

    def around(self) -> list[Hypothesis]:
        """It; of those first come first served also with a worker less, and sharing instead.

        With sharing a way that is too long leaves services of nothing, which seem to suit fewer.
        """
        found = [self]
        if self.discipline == "fifo":
            if self.workers > 1:
                found.append(replace(self, workers=self.workers - 1))
            if self.usl is None:
                found.append(replace(self, discipline="ps"))
        return found

    def pace(self, most: int) -> Floats:
        """How fast each of n present requests that are worked at goes on, n from 0 to `most`."""
        present = np.arange(most + 1)
        at_work = np.clip(present, 1, self.workers)
        paces = np.ones(most + 1)
        if self.usl is not None:
            a, b = self.usl.contention, self.usl.coherency
            paces /= 1 + a * (at_work - 1) + b * at_work * (at_work - 1)
        if self.discipline == "ps":
            paces *= np.minimum(1.0, self.workers / np.maximum(present, 1))
        return paces


@dataclass(frozen=True)
class Stays:
    """Stays by arrival; shape (n,)."""

    arrived: Floats
    departed: Floats
    whole: Flags
    """Whether the service ended with the stay, and may be learned from."""
    floor: float
    """Seconds below which differences say nothing."""
    slack: float
    """Seconds by which clocks may contradict a hypothesis."""
    cut: Flags
    """Whether it was broken off."""

    def __len__(self) -> int:
        return len(self.arrived)

    @cached_property
    def left(self) -> Floats:
        """Departures, ascending."""
        return np.sort(self.departed)

    @cached_property
    def changes(self) -> tuple[Floats, Ints]:
        """Times at which somebody comes or goes, and how many are there from each time on."""
        times = np.concatenate([self.arrived, self.departed])
        steps = np.repeat(np.array([1, -1], np.int64), len(self))
        order = np.argsort(times, kind="stable")
        return times[order], np.maximum(np.cumsum(steps[order]), 0)

    @cached_property
    def most(self) -> int:
        """How many were there together at most."""
        return int(self.changes[1].max(initial=0))

    @cached_property
    def found(self) -> Ints:
        """How many each found there."""
        gone = np.searchsorted(self.left, self.arrived, side="right")
        found: Ints = np.maximum(np.arange(len(self)) - gone, 0)
        return found

    @cached_property
    def behind(self) -> Ints:
        """How many each was among when it left, itself included."""
        come = np.searchsorted(self.arrived, self.departed, side="right")
        gone = np.searchsorted(self.left, self.departed, side="left")
        behind: Ints = np.maximum(come - gone, 1)
        return behind

    @property
    def sojourn(self) -> Floats:
        """Seconds."""
        return self.departed - self.arrived

    def only(self, kept: Flags) -> Stays:
        """Some of them, as if the others had never been."""
        return replace(
            self,
            arrived=self.arrived[kept],
            departed=self.departed[kept],
            whole=self.whole[kept],
            cut=self.cut[kept],
        )

    def freed(self, workers: int) -> Floats:
        """When a worker is free for each; shape (n,)."""
        first = np.full(min(workers, len(self)), -np.inf)
        return np.concatenate([first, self.left[: max(len(self) - workers, 0)]])

    def waited(self, hypothesis: Hypothesis) -> Flags:
        """Whether each had to wait for a worker, or to share one."""
        if hypothesis.discipline == "ps":
            shared: Flags = self.found + 1 > hypothesis.workers
            return shared
        held: Flags = self.freed(hypothesis.workers) > self.arrived
        return held

    def without(self, overhead: float) -> Stays:
        """The stays at the workers alone: half of the overhead is before them, half behind."""
        if not overhead:
            return self
        if self._shrunk.get("overhead") != overhead:
            half = overhead / 2
            inner = replace(self, arrived=self.arrived + half, departed=self.departed - half)
            self._shrunk.update(overhead=overhead, stays=inner)
        inside: Stays = self._shrunk["stays"]
        return inside

    @cached_property
    def _shrunk(self) -> dict[str, Any]:
        """What `without` made last: hypotheses of one overhead are tried one after another."""
        return {}

    def services(self, hypothesis: Hypothesis) -> Floats:
        """How much work each was, in seconds of a worker alone; shape (n,)."""
        return self.without(hypothesis.overhead).worked(hypothesis)

    def worked(self, hypothesis: Hypothesis) -> Floats:
        """The same where these are the stays at the workers alone."""
        begun, ended = self.arrived, self.departed
        if hypothesis.discipline == "fifo":
            freed = self.freed(hypothesis.workers)
            # Who overtook is the one that freed its own worker: others were to leave before.
            freed = np.where(freed == ended, self.freed(hypothesis.workers - 1), freed)
            begun = np.maximum(begun, freed)
        plain = hypothesis.discipline == "fifo" and hypothesis.usl is None
        if plain or self.most <= 1:
            return ended - begun
        times, present = self.changes
        paces = hypothesis.pace(self.most)
        done = np.concatenate([[0.0], np.cumsum(np.diff(times) * paces[present[:-1]])])
        work: Floats = np.interp(ended, times, done) - np.interp(begun, times, done)
        return np.where(ended < begun, ended - begun, work)

    def log_likelihood(self, hypothesis: Hypothesis) -> float:
        """Of all that is whole, with the law that its services suggest."""
        inner, floor, total = self.without(hypothesis.overhead), self.floor, 0.0
        if hypothesis.discipline == "ps" or hypothesis.usl is not None:
            paces = hypothesis.pace(max(inner.most, int(inner.behind.max(initial=0))))
            by_departure = np.log(paces[inner.behind[self.whole]])
            total = float(by_departure.sum())
            # What clocks blur is time, and as much less work as it went slower.
            floor *= math.exp(float(np.median(by_departure))) if len(by_departure) else 1.0
        return total + log_likelihood(inner.worked(hypothesis)[self.whole], floor, self.slack)
