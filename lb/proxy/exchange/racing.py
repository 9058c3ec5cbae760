"""What an exchange does with two attempts, and with answers that are tried elsewhere.

Requests that are hedged have no body, and while they race nothing of an answer has been passed on
but interim ones of the first attempt. So the second one needs little: its request is written, and
what comes from it is kept from the exchange until it is the one that goes on.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from lb.balancing import Lease, Outcome
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.failing import CANCELLED, CLIENT_GONE, Failing
from lb.proxy.exchange.trial import Trial

OK, SERVER_ERROR, TIMEOUT = Outcome.OK, Outcome.SERVER_ERROR, Outcome.TIMEOUT


class Racing(Failing):
    """The part of an exchange that may have two attempts."""

    __slots__ = ("_hedge",)
    __deletable__ = ("_hedge",)
    _hedge: Trial
    """Of the second attempt; there only while racing."""

    # --- asked and told by a trial

    def declines(self, attempt: Attempt, status: int) -> bool:
        """Whether an answer of this status is forgotten, because its request is tried elsewhere."""
        dispatcher, now = self._dispatcher, self._context.now()
        if not dispatcher.declined(attempt.lease, now, status):
            return False
        self._tried(attempt, now, OK if status < 500 else SERVER_ERROR, status)
        self.declined(attempt)
        dispatcher.drain()
        return True

    def settle_on(self, attempt: Attempt) -> None:
        """An attempt has its answer: it is the one that goes on."""
        self._dispatcher.begun(attempt.lease, self._context.now())

    def lose_hedge(self, attempt: Attempt, outcome: Outcome) -> None:
        """The second attempt broke while the first one is under way."""
        now = self._context.now()
        sent, stale = attempt.upstream is not None, attempt.stale(outcome)
        attempt.leave(now)
        if stale:
            self._run(attempt.lease, True)
            return
        self._tried(attempt, now, outcome)
        self.alone(self.attempt)
        self._dispatcher.failed(attempt.lease, now, outcome, sent)

    # --- acts

    def _start_hedge(self, lease: Lease[Any], fresh: bool) -> None:
        first = self.attempt
        assert first is not None
        if first.exchange is self:
            Trial(self, first)
        self._exceptional().hedged = True
        self._run(lease, fresh)

    def _run(self, lease: Lease[Any], fresh: bool) -> None:
        attempt: Attempt = Attempt(self, lease, fresh)
        self._begun(attempt)
        self._hedge = Trial(self, attempt)
        attempt.site.carry(attempt, self._context.now())

    def _fall_back(self, attempt: Attempt, outcome: Outcome) -> None:
        """The first attempt broke; the second one goes on."""
        now = self._context.now()
        self._settle()
        self._out = b""
        sent, stale = attempt.upstream is not None, attempt.stale(outcome)
        attempt.leave(now)
        if stale:
            again = self.attempt = Attempt(self, attempt.lease, True)
            self._begun(again)
            Trial(self, again)
            again.site.carry(again, now)
            return
        self._tried(attempt, now, outcome)
        self.alone(self._hedge.attempt)
        self._dispatcher.failed(attempt.lease, now, outcome, sent)

    def _overtaken(self, attempt: Attempt, outcome: Outcome) -> None:
        """The first attempt is ended; the second one goes on."""
        self._give_up(attempt, outcome)
        self.alone(self._hedge.attempt)

    def _drop_hedge(self) -> None:
        """The second attempt is ended; the first one goes on."""
        self._over(self._hedge.attempt, self._context.now(), CANCELLED)
        self.alone(self.attempt)

    def _go_on(self, attempt: Attempt) -> None:
        """One of two goes on alone."""
        del self._hedge
        self.attempt = attempt
        if attempt.upstream is not None:
            self.sent_before()

    def _expect(self) -> None:
        """The request was sent by an attempt that was the second then."""
        if self.client.full:
            self._hold_backend()
        else:
            self.client.owed.ensure(self._context.now())

    def _drop(self, attempt: Attempt) -> None:
        """Its answer is not taken; what else is wanted comes behind."""
        self._settle()
        self._out = b""
        self.attempt = None
        self._exceptional().last = attempt
        attempt.leave(self._context.now())

    def _drop_one(self, attempt: Attempt) -> None:
        """Its answer is not taken, and the other attempt goes on."""
        other = self._hedge.attempt
        if attempt is other:
            attempt.leave(self._context.now())
            self.alone(self.attempt)
        else:
            self._drop(attempt)
            self.alone(other)

    def _let_first(self) -> None:
        if self.attempt is not None and self.attempt.upstream is not None:
            self._let_backend()

    def _withdraw_both(self) -> None:
        self._over(self._hedge.attempt, self._context.now(), CLIENT_GONE)
        self._withdraw()

    def _end_both_too_late(self, attempt: Attempt, _: Outcome) -> None:
        """Whoever has the request and has said nothing is to blame."""
        second = self._hedge.attempt
        self._over(second, self._context.now(), TIMEOUT if second.upstream else CANCELLED)
        self._end_too_late(attempt, TIMEOUT if attempt.upstream else CANCELLED)

    # --- events that follow from acts: see exchange.py

    @abstractmethod
    def alone(self, attempt: Attempt | None) -> None: ...

    @abstractmethod
    def sent_before(self) -> None: ...

    @abstractmethod
    def declined(self, attempt: Attempt) -> None: ...
