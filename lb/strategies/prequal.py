"""Prequal: the fastest of recently probed backends that are not overloaded.

Backends tell in probes how many requests they hold and how long those take. A small pool keeps the
latest answers. One is hot when its in-flight count is above a high quantile of those seen lately; a
pick takes the cold one with the lowest latency or, when all are hot, the fewest in flight. An
answer is used a limited number of times, counted up at each use, and thrown away when it is old.
With fewer than two answers at hand the pick is random.

Cost: O(pool) per pick, whatever n. Wrong when backends cannot be probed: without answers it is
random.

Source: Wydrowski et al., "Load is not what you should balance: introducing Prequal", NSDI 2024.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from typing import Generic

from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.sampling import Sampler
from lb.strategies.reasons import Reasons, Rule
from lb.strategies.spec import Seconds, Spec, settings

RECENT = 128
"""In-flight counts that the hot threshold is taken from."""
NEVER_USED_UP = float("inf")
"""With so few backends that answers only leave by age and removal."""


@settings
class Params:
    """Settings of Prequal, with the paper's values."""

    probes: float = 3.0
    """Probes sent per pick, on average."""
    pool: int = 16
    """Answers kept."""
    max_age: "Seconds" = 1.0
    """How long an answer is good for."""
    quantile: float = 0.84
    """Of recent in-flight counts; a probe above it is hot."""
    surplus: float = 1.0
    """How many more uses than probes the pool is to allow, the delta of the reuse formula."""

    def __post_init__(self) -> None:
        if self.probes <= 0 or self.pool < 2 or self.max_age <= 0 or self.surplus <= -1:
            raise ValueError("probes and max_age must be above zero, pool at least 2")
        if not 0 <= self.quantile <= 1:
            raise ValueError(f"quantile is between 0 and 1, not {self.quantile}")


class Answer(Generic[B]):
    """One probe's answer in the pool."""

    __slots__ = ("at", "backend", "in_flight", "latency", "uses_left")

    def __init__(
        self, backend: B, at: float, in_flight: int, latency: float, uses_left: float
    ) -> None:
        self.backend = backend
        self.at = at
        self.in_flight = in_flight
        self.latency = latency
        self.uses_left = uses_left


class Prequal(Sampler[B]):
    """A pool of answers, oldest first, and the in-flight counts lately told in any."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__(rng)
        self._params = params
        self._answers: list[Answer[B]] = []  # oldest first
        self._recent: deque[int] = deque()
        self._sorted: list[int] = []  # the same counts
        self._owed = 0.0  # probes due, with fractions carried over
        self._drop_oldest = True
        self._free: set[int] = set()  # orders of the members
        self._uses = NEVER_USED_UP  # how often an answer may be used that comes now
        self._one_more = 0.0  # and with which probability once more

    def join(self, backend: B, now: float) -> None:
        super().join(backend, now)
        self._heed(backend)

    def unblock(self, backend: B, now: float) -> None:
        super().unblock(backend, now)
        if backend.order in self._joined:
            self._heed(backend)

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._forget(backend)

    def block(self, backend: B, now: float) -> None:
        super().block(backend, now)
        self._forget(backend)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        members = self.members
        if len(members) < 2:
            return members[0] if members else None
        self._owed += self._params.probes
        answers = self._answers
        oldest = now - self._params.max_age
        while answers and answers[0].at < oldest:
            del answers[0]
        if avoid:
            answers = [answer for answer in answers if answer.backend not in avoid]
        if len(answers) < 2:
            return self.sample(1, avoid)[0]
        threshold = self._threshold()
        best = self._best(answers, threshold)
        self._use(best, threshold)
        return best.backend

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        oldest = now - self._params.max_age
        hidden = avoid if len(self.members) > 1 else ()
        known = [it for it in self._answers if it.at >= oldest and it.backend not in hidden]
        if len(known) < 2 or len(self.members) < 2:
            return self.by_weight("one of all at random: too few have said how they are", avoid)
        threshold = self._threshold()
        cold = [it for it in known if it.in_flight <= threshold]
        if cold:
            return Reasons(
                "of those asked lately that are not overloaded the fastest",
                *(Rule.LOWEST, "latency told, seconds"),
                [(it.backend, it.latency) for it in cold],
            )
        return Reasons(
            "of those asked lately, who are all overloaded, the one with the least to do",
            *(Rule.LOWEST, "requests in flight told"),
            [(it.backend, float(it.in_flight)) for it in known],
        )

    def probes(self, now: float) -> Sequence[B]:
        """Whom to ask now: different backends at random, as many as the picks so far call for."""
        n, members = int(self._owed), self.members
        self._owed -= n
        if not n or len(members) < 2:
            return ()
        if n > len(members) or self.weighted:
            return self.sample(n)
        return [members[at] for at in self._positions(n, [])]  # what that comes to

    def probed(self, backend: B, now: float, in_flight: int, latency: float) -> None:
        """An answer: how many requests `backend` holds, and how many seconds those take."""
        if backend.order not in self._free:
            return
        recent, counts, answers = self._recent, self._sorted, self._answers
        oldest = recent.popleft() if len(recent) == RECENT else None
        recent.append(in_flight)
        if in_flight != oldest:
            insort(counts, in_flight)
            if oldest is not None:
                del counts[bisect_left(counts, oldest)]
        uses = self._uses
        if uses < NEVER_USED_UP:
            uses += self._random() < self._one_more
        if len(answers) < self._params.pool:
            answers.append(Answer(backend, now, in_flight, latency, uses))
            return
        # Four answers come for each request: the oldest one in the pool is made the newest.
        answer = answers.pop(0)
        answer.backend = backend
        answer.at = now
        answer.in_flight = in_flight
        answer.latency = latency
        answer.uses_left = uses
        answers.append(answer)

    def _threshold(self) -> int:
        """Above it a backend is hot."""
        counts = self._sorted
        return counts[min(int(self._params.quantile * len(counts)), len(counts) - 1)]

    def _heed(self, backend: B) -> None:
        self._free.add(backend.order)
        self._allow()

    def _forget(self, backend: B) -> None:
        self._free.discard(backend.order)
        self._allow()
        self._answers = [answer for answer in self._answers if answer.backend is not backend]

    @staticmethod
    def _best(answers: Sequence[Answer[B]], threshold: int) -> Answer[B]:
        """The cold one with the lowest latency; if all are hot, the fewest in flight."""
        cold: Answer[B] | None = None
        coolest = answers[0]
        for answer in answers:
            if answer.in_flight <= threshold:
                if cold is None or answer.latency < cold.latency:
                    cold = answer
            elif answer.in_flight < coolest.in_flight:
                coolest = answer
        return cold or coolest

    def _use(self, answer: Answer[B], threshold: int) -> None:
        answer.in_flight += 1  # what we have just sent there
        answer.uses_left -= 1
        if answer.uses_left <= 0:
            self._answers.remove(answer)
        elif len(self._answers) > 2:
            self._remove_one(threshold)

    def _remove_one(self, threshold: int) -> None:
        """Once per pick: the oldest answer and the worst in turn, so the pool stays fresh."""
        if self._drop_oldest:
            del self._answers[0]
        else:
            self._answers.remove(self._worst(threshold))
        self._drop_oldest = not self._drop_oldest

    def _worst(self, threshold: int) -> Answer[B]:
        """Of the hot the one with most in flight; if none is hot, the slowest."""
        most = threshold
        slowest = self._answers[0]
        hottest: Answer[B] | None = None
        for answer in self._answers:
            if answer.in_flight > most:
                hottest, most = answer, answer.in_flight
            elif answer.latency > slowest.latency:
                slowest = answer
        return hottest or slowest

    def _allow(self) -> None:
        """How often an answer may be used, so that probes and removals balance (section 4)."""
        params, n = self._params, len(self.members)
        surviving = (1 - params.pool / n) * params.probes - 1 if n else 0.0
        if surviving <= 0:
            self._uses = NEVER_USED_UP
        else:
            uses = max(1.0, (1 + params.surplus) / surviving)
            self._uses = float(int(uses))
            self._one_more = uses - self._uses


SPEC = Spec(
    name="prequal",
    factory=Prequal,
    params=Params,
    cost="O(pool)",
    avoid_when="backends cannot be probed",
    partial="each probes for itself, and what it knows is the older the fewer requests it sees",
    needs=frozenset({"probes"}),
    variants=(
        {"probes": 0.5, "pool": 2},
        {"max_age": "100ms"},
        {"quantile": 0.0, "surplus": -0.5},
        {"quantile": 1.0},
    ),
)
