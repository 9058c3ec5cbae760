"""Users: what each of them does, drawn ahead, request by request.

The k-th request of a user has the same work, way, key and patience, and the same thought comes
before it, under every algorithm, however many others have sent by then: common random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from lb.config import DEFAULT_REQUESTS, Geometric, Lognormal, Scenario
from sim.model.arrivals import streams
from sim.model.keys import key_factors, zipf_chances, zipf_keys
from sim.model.laws import draw, draw_shape, shape

AT_ONCE = 8192
"""About how many numbers are drawn together; it is part of what a seed means."""


class Rounds:
    """One number for the k-th time of every user; rounds are drawn when they are needed."""

    def __init__(self, users: int, drawn: Callable[[int], np.ndarray]) -> None:
        self._users = users
        self._drawn = drawn
        self._rows: list[list[Any]] = []

    def __call__(self, user: int, k: int) -> Any:
        while k >= len(self._rows):
            rows = -(-AT_ONCE // self._users)
            self._rows += self._drawn(rows * self._users).reshape(rows, self._users).tolist()
        return self._rows[k][user]


class Population:
    """All users of one replication. What they do not have is None."""

    def __init__(self, scenario: Scenario, replication: int = 0, balancers: int = 1) -> None:
        """Each request goes to one of so many balancers."""
        traffic, run = scenario.offered(), scenario.run
        users = traffic.users
        assert users is not None, "nobody waits for an answer"
        self.count = users.count
        self.duration = run.duration
        self.requests = run.requests or (None if run.duration else DEFAULT_REQUESTS)

        def rounds(purpose: str, drawn: Callable[[np.random.Generator, int], np.ndarray]) -> Rounds:
            rng = streams(run.seed, replication, purpose)[0]
            return Rounds(users.count, lambda n: drawn(rng, n))

        def of_law(purpose: str, law: Any) -> Rounds | None:
            return None if law is None else rounds(purpose, partial(draw, law))

        self.think = rounds("think", partial(draw, users.think))
        self.patience = of_law("patience", traffic.patience)
        self.there = of_law("there", traffic.network)
        self.back = of_law("back", traffic.network)
        laws = {shape(model.service): model.service for _, model in scenario.modelled()}
        self.sizes = {name: rounds(name, partial(draw_shape, law)) for name, law in laws.items()}
        """By the name of their law; see `sim.model.laws.shape`."""
        keys = traffic.keys
        self.keys = None if keys is None else rounds("keys", partial(zipf_keys, keys))
        self.balancer = (
            rounds("balancers", lambda rng, n: rng.integers(balancers, size=n))
            if balancers > 1
            else None
        )
        self.factors: list[float] | None = None
        """What multiplies the sizes of each key's requests, by key."""
        self.factor: Rounds | None = None
        """The same, of the k-th of those who take one user's place."""
        if traffic.work_by_key is not None and keys is not None:
            rng = streams(run.seed, replication, "work by key")[0]
            self.factors = key_factors(traffic.work_by_key, zipf_chances(keys), rng).tolist()
        elif traffic.work_by_key is not None:
            law = Lognormal(law="lognormal", mean=1.0, cv=traffic.work_by_key)
            self.factor = rounds("work by key", partial(draw_shape, law))
        self.session = _session(users.session, rounds)
        """How many requests the k-th of those who take one user's place sends."""
        self.present = users.present if users.steps else None
        """How many there are at a time: those of the lowest numbers; None where all stay."""
        self._comings = [at for at, _ in users.steps or ()]

    def comes(self, user: int, since: float) -> float:
        """When a user is there, from a time on; infinite where never again."""
        if self.present is None or user < self.present(since):
            return since
        later = (at for at in self._comings if at > since and user < self.present(at))
        return next(later, math.inf)


class Place:
    """One user's place: what is sent from it, one request after another."""

    def __init__(self, people: Population, user: int) -> None:
        self._people = people
        self._user = user
        self.sent = 0
        """Requests so far."""
        self._sessions = 0
        """How many users have left it."""
        self._left = self._length()
        """Requests of the session that is under way; -1 where it never ends."""

    def due(self, since: float) -> float:
        """When the next request is sent by who thinks from `since` on; infinite where never.

        Who is no more there by then comes again later, if at all, and thinks first.
        """
        people, user = self._people, self._user
        thought: float = people.think(user, self.sent)
        at = since + thought
        while at < math.inf and people.comes(user, at) > at:
            at = people.comes(user, at) + thought
        return at

    def send(self) -> tuple[int, list[float]]:
        """The next request: its key, and its sizes in the order of `Population.sizes`."""
        people, user, k = self._people, self._user, self.sent
        if people.keys is not None:
            key = int(people.keys(user, k))
        else:
            key = user + people.count * self._sessions
        if people.factors is not None:
            factor = people.factors[key]
        else:
            factor = 1.0 if people.factor is None else float(people.factor(user, self._sessions))
        sizes = [drawn(user, k) * factor for drawn in people.sizes.values()]
        self.sent = k + 1
        self._left -= 1
        if self._left == 0:
            self._sessions += 1
            self._left = self._length()
        return key, sizes

    def _length(self) -> int:
        session = self._people.session
        return -1 if session is None else int(session(self._user, self._sessions))


def _session(law: Any, rounds: Callable[..., Rounds]) -> Rounds | None:
    match law:
        case None:
            return None
        case Geometric():
            return rounds("session", lambda rng, n: rng.geometric(1 / law.mean, n))
    return rounds("session", lambda _, n: np.full(n, law.mean))
