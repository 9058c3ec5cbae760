"""What an exchange does when something goes wrong: acts that transitions.py names."""

from __future__ import annotations

from typing import Any

from lb.balancing import Lease, Outcome, Why
from lb.proxy.exchange.account import BACKEND, NOBODY, PROXY, REQUEST, TUNNEL, WAITING
from lb.proxy.exchange.acts import Acts
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.http.message import LOOP, REFUSALS, TOO_LATE, Answer

CANCELLED, CLIENT_GONE = Outcome.CANCELLED, Outcome.CLIENT_GONE
LATE = "too_late"


class Failing(Acts):
    """The part of an exchange that ends badly, or without a backend."""

    __slots__ = ()

    def _fail(self, attempt: Attempt, outcome: Outcome) -> None:
        """Before an answer began another attempt may follow: the balancer decides."""
        now = self._context.now()
        phase = self._phase()
        self._settle()
        self._out = b""
        self.attempt = None
        sent = attempt.upstream is not None
        stale = attempt.stale(outcome)
        attempt.leave(now)
        if stale and self.idempotent:
            self.start(attempt.lease, True)
        else:
            story = self._exceptional()
            story.broke_in, story.last = phase, attempt
            self._tried(attempt, now, outcome)
            self._dispatcher.failed(attempt.lease, now, outcome, sent)

    def _cut(self, attempt: Attempt, outcome: Outcome) -> None:
        """The answer has begun: all that is left is to show that it is not whole."""
        phase = self._phase()
        now = self._end_attempt(attempt, outcome)
        who = PROXY if outcome is CANCELLED else BACKEND
        late = outcome is CANCELLED and now >= self.deadline
        self._ended(attempt, now, LATE if late else outcome.value, who, phase)
        self.client.cut_off()

    def _end_attempt(self, attempt: Attempt, outcome: Outcome) -> float:
        """Returns the time."""
        now = self._context.now()
        self._close_account()
        self.attempt = None
        self._over(attempt, now, outcome)
        self._dispatcher.drain()
        return now

    def _end_tunnel(self, attempt: Attempt, outcome: Outcome) -> None:
        now = self._end_attempt(attempt, outcome)
        self._ended(attempt, now, outcome.value, PROXY, TUNNEL)

    def _give_up(self, attempt: Attempt, outcome: Outcome) -> None:
        """Whatever else is wanted comes behind."""
        self._settle()
        self._out = b""
        self.attempt = None
        self._exceptional().last = attempt
        self._over(attempt, self._context.now(), outcome)

    def _end_too_late(self, attempt: Attempt, outcome: Outcome) -> None:
        phase = self._phase()
        self._give_up(attempt, outcome)
        self._dispatcher.refused["too_late"] += 1
        self._answer_instead(TOO_LATE, LATE, PROXY, phase)
        self._dispatcher.drain()

    def _give_up_waiting(self, *_: object) -> None:
        self._dispatcher.abandoned(self)
        self._dispatcher.refused["too_late"] += 1
        self._answer_instead(TOO_LATE, LATE, PROXY, WAITING)

    def _refuse(self, why: Why | Outcome) -> None:
        who, phase = PROXY, WAITING
        if isinstance(why, Outcome):
            phase = self._exceptional().broke_in
            who = PROXY if why is CANCELLED else BACKEND
        self._answer_instead(REFUSALS[why], why.value, who, phase)

    def _respond(self, answer: Answer) -> None:
        """Answer what the proxy was asked, not a backend."""
        if answer is LOOP:
            self._answer_instead(answer, "loop", PROXY, WAITING)
        else:
            self._answer_instead(answer, Outcome.OK.value, NOBODY, "")

    def _answer_instead(self, answer: Answer, code: str, who: str, phase: str) -> None:
        """Answer the client in the backend's stead."""
        self._close_account()
        self.status = answer.status
        self._pending = None
        request = self.request
        keep_alive = self.keep_alive and self.complete and not self.client.closing
        head_only = request.method == b"HEAD"
        self.passed = 0 if head_only else len(answer.body)
        self.client.write(
            answer.written(keep_alive=keep_alive, minor=request.minor, head_only=head_only)
        )
        now = self._context.now()
        self._ended(None, now, code, who, phase)
        self.client.finished(self, keep_alive, now)

    def _leave_queue(self) -> None:
        """Its turn never came: nobody has heard of it, unless it is refused itself."""
        self._close_account()
        if self.story is not None and self.story.status:
            self._left(None, self._context.now(), REQUEST)

    def _leave_line(self) -> None:
        self._close_account()
        self._dispatcher.abandoned(self)
        self._left(None, self._context.now(), WAITING)

    def _withdraw(self) -> None:
        attempt, phase = self.attempt, self._phase()
        assert attempt is not None
        self._left(attempt, self._end_attempt(attempt, CLIENT_GONE), phase)

    def _give_back(self, lease: Lease[Any], fresh: bool) -> None:
        """Chosen too late: the client has left meanwhile."""
        now = self._context.now()
        lease.done(now, CANCELLED)
        seconds = now - lease.started_at
        self._context.measured.tried(lease.backend.name, 0, CANCELLED.value, seconds)

    def _ignore(self, *_: object) -> None:
        """Too late to matter."""

    def _never(self, *_: object) -> None:
        raise AssertionError(f"{self!r}: no such event can come now")
