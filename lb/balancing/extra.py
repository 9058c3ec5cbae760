"""Extra attempts: retries after one that broke, hedges beside one that takes long.

Both draw from one budget, and neither jumps the line: they take a free place or none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol

from lb.balancing.actions import Start
from lb.balancing.agenda import Agenda
from lb.balancing.backend import Backend
from lb.balancing.backoff import Pauses
from lb.balancing.call import C
from lb.balancing.hedges import Hedges
from lb.balancing.lease import Lease, pair, rival_of
from lb.balancing.pool import Pool
from lb.balancing.retries import Refusal, Retries
from lb.balancing.setup import Setup
from lb.strategies import Outcome, Random


class Calls(Protocol):
    """The part of a balancer that counts calls and knows who there is."""

    out: deque[Any]
    admitted: int
    pool: Pool


class ExtraAttempts(Generic[C]):
    """Who gets one, when, and where."""

    def __init__(
        self,
        setup: Setup,
        agenda: Agenda,
        rng: Random,
        calls: Calls,
        start: Callable[[C, Backend, float], Lease[C]],
        refuse: Callable[[C, Outcome], None],
        now: float,
    ) -> None:
        """`start` begins an attempt at a backend that was picked; `refuse` ends a call."""
        self.retried = 0
        self.retries = Retries(setup.retries, now)
        self.hedges: Hedges[C] = Hedges(setup.hedging, agenda, self._hedge)
        self.pauses: Pauses[C] = Pauses(agenda, self._back)
        self._budget = self.retries.budget
        self._draw = rng.random
        self._calls = calls
        self._start = start
        self._refuse = refuse

    def adopt(self, before: Setup, setup: Setup) -> None:
        """Other policies; what is spent and what is known of latencies stays."""
        self.retries.adopt(setup.retries)
        if setup.hedging != before.hedging:
            self.hedges.adopt(setup.hedging)

    def budget_left(self, now: float) -> float:
        """How many more there may be at once, of retries and hedges together."""
        return self._budget.left(now, self._calls.admitted, len(self._calls.pool.backends))

    # --- retries

    def after(self, call: C, now: float, outcome: Outcome, sent: bool) -> None:
        """The last attempt of a call broke: another one, now or later, or the refusal of one."""
        if not self.retries.policy.repeats(outcome):
            self._give_up(call, Refusal.OUTCOME, outcome)
        elif why := self._objection(call, now, sent):
            self._give_up(call, why, outcome)
        elif (backend := self._pick(call, now)) is None:
            self._give_up(call, Refusal.NO_BACKEND, outcome)
        elif backend in call.tried and self.retries.policy.backoff and not self._another(call):
            self._back_off(call, now, outcome)
        else:
            self._again(call, backend, now)

    def instead(self, call: C, now: float) -> bool:
        """Whether an answer is not taken, because a backend is tried that has not been."""
        backend = None
        why = self._objection(call, now, sent=True)
        if why is None:
            backend = self._pick(call, now)
            why = Refusal.NO_BACKEND
        if backend is None or backend in call.tried:
            self.retries.refused[why.value] += 1
            return False
        self._again(call, backend, now)
        return True

    def movable(self, call: C, now: float, outcome: Outcome, sent: bool) -> bool:
        """Whether `after` would go elsewhere at once, with the backends tried that are now."""
        return (
            self.retries.policy.repeats(outcome)
            and self._objection(call, now, sent) is None
            and self._another(call)
        )

    def _objection(self, call: C, now: float, sent: bool) -> Refusal | None:
        calls = self._calls
        return self.retries.objection(
            call, now, sent=sent, requests=calls.admitted, backends=len(calls.pool.backends)
        )

    def _another(self, call: C) -> bool:
        """Whether anybody is usable, full or not, whom the call has not tried."""
        return any(it.usable and it not in call.tried for it in self._calls.pool.backends)

    def _pick(self, call: C, now: float) -> Backend | None:
        return self._calls.pool.pick(now, call.key, call.tried)

    def _again(self, call: C, backend: Backend, now: float) -> None:
        self._budget.spend(now)
        self.retried += 1
        self._calls.out.append(Start(self._start(call, backend, now)))

    def _give_up(self, call: C, why: Refusal, outcome: Outcome) -> None:
        self.retries.refused[why.value] += 1
        self._refuse(call, outcome)

    def _back_off(self, call: C, now: float, outcome: Outcome) -> None:
        """All that are usable have failed it: not at once again."""
        until = now + self.retries.pause(len(call.tried), self._draw())
        if until < call.deadline:
            self.pauses.begin(call, outcome, until)
        else:
            self._give_up(call, Refusal.DEADLINE, outcome)

    def _back(self, call: C, now: float, outcome: Outcome) -> None:
        """Its pause is over; it goes on where there is room, if others have left it something."""
        if why := self._objection(call, now, sent=False):
            self._give_up(call, why, outcome)
        elif (backend := self._pick(call, now)) is None:
            self._give_up(call, Refusal.NO_BACKEND, outcome)
        else:
            self._again(call, backend, now)

    # --- hedges

    def _hedge(self, lease: Lease[C], now: float) -> None:
        """An attempt has taken long. It gets another one beside it, unless it is that itself."""
        if rival_of(lease) is not None:
            return
        call, calls = lease.call, self._calls
        refused = self.hedges.refused
        if not self._budget.allows(now, calls.admitted, len(calls.pool.backends)):
            refused[Refusal.BUDGET.value] += 1
            return
        tried = (*call.tried, lease.backend)
        backend = calls.pool.pick(now, call.key, tried)
        if backend is None or backend in tried:
            refused[Refusal.NO_BACKEND.value] += 1
            return
        self._budget.spend(now)
        self.hedges.started += 1
        hedge = self._start(call, backend, now)
        pair(lease, hedge)
        calls.out.append(Start(hedge))
