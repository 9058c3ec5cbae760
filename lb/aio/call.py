"""One request of an application, as the balancer knows it, until its answer's last byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import ClientConnectionError, ClientHandlerType, ClientRequest, ClientResponse

from lb.aio.attempt import CLIENT_GONE, Attempt
from lb.aio.driver import Driver
from lb.aio.failures import CANCELLED, TIMEOUT, TooLate, refusal
from lb.balancing import Backend, Lease, Outcome, Why
from lb.proxy.http.rules import IDEMPOTENT, SAFE
from lb.proxy.waits import INFINITY


class Call:
    """A `Call` of the balancer. Has one attempt under way, or two while it is hedged."""

    def __init__(
        self,
        driver: Driver,
        request: ClientRequest,
        handler: ClientHandlerType,
        key: bytes,
        absent: Callable[[], bool] = lambda: False,
    ) -> None:
        """`handler` sends a request; `absent` says whether nobody waits for the answer any more."""
        self._driver = driver
        self._absent = absent
        self.request = request
        self.handler = handler
        self.key = key
        self.tried: tuple[Backend, ...] = ()
        self.deadline = INFINITY
        self._attempts: list[Attempt] = []
        self._error: Exception | None = None  # what the last attempt broke on
        self._answer: asyncio.Future[ClientResponse] = driver.context.loop.create_future()

    def __repr__(self) -> str:
        return f"<Call {self.request.method} {self.request.url} {self._attempts}>"

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent again: its body, too, must still be here."""
        body = self.request.body
        return self.request.method.encode() in IDEMPOTENT and not (body and body.consumed)

    @property
    def safe(self) -> bool:
        """Whether it asks for nothing but an answer, and not for another protocol either."""
        request = self.request
        plain = not request.body and "Upgrade" not in request.headers
        return plain and request.method.encode() in SAFE

    async def answer(self) -> ClientResponse:
        """The answer, as soon as its head is here. Raises Refused, or what its caller broke."""
        driver = self._driver
        now = driver.context.now()
        if driver.context.total is not None:
            self.deadline = now + driver.context.total
        driver.entered(self, now)
        dispatcher = driver.dispatcher
        lease = dispatcher.admit(self, now)
        if lease is not None:
            self.start(lease)
        if lease is None or dispatcher.out:
            dispatcher.drain()
        try:
            return await self._answer
        except asyncio.CancelledError:
            self._withdraw(TIMEOUT if self._ran_out() else CLIENT_GONE)
            raise
        finally:
            self._error = None  # or it would hold itself, by its traceback

    # --- what the balancer wants

    def start(self, lease: Lease[Any]) -> None:
        """Go there: at first, again, or beside the attempt that is under way."""
        if self._answer.done():
            lease.done(self._driver.context.now(), CANCELLED)  # chosen too late
        else:
            self._attempts.append(Attempt(self._driver, self, lease))

    def refuse(self, why: Why | Outcome) -> None:
        """No (further) backend is tried."""
        if not self._answer.done():
            error = refusal(why)
            error.__cause__ = self._error
            self._fail(error)

    def cancel(self, lease: Lease[Any]) -> None:
        """The balancer has changed its mind; what else it wants follows."""
        for attempt in [*self._attempts]:
            if attempt.lease is lease and lease.open:
                self._attempts.remove(attempt)
                attempt.end(CANCELLED)

    def overdue(self, lease: Lease[Any]) -> None:
        """The attempt under `lease` takes longer than one may."""
        for attempt in [*self._attempts]:
            if attempt.lease is not lease or attempt.first_byte_at is not None:
                continue
            if attempt.uploading or attempt.queued:
                self._driver.dispatcher.limit(lease, self._driver.context.now())
            else:
                attempt.leave()
                self.broke(attempt, TIMEOUT, TimeoutError("timeouts.attempt is over"))

    def recall(self, attempt: Attempt) -> None:
        """Its backend is silent: go on elsewhere, if it has said nothing and that may be."""
        driver = self._driver
        waits = attempt.first_byte_at is None and not attempt.uploading
        now = driver.context.now()
        if waits and driver.balancer.movable(attempt.lease, now, attempt.sent):
            attempt.leave()
            self.broke(attempt, TIMEOUT, TimeoutError("the backend is silent"))

    # --- what becomes of attempts

    def came(self, attempt: Attempt, response: ClientResponse) -> None:
        """An answer has begun."""
        dispatcher, now = self._driver.dispatcher, self._driver.context.now()
        if self._answer.done() or not attempt.lease.open:
            response.close()
            return
        if dispatcher.watching:
            if dispatcher.declined(attempt.lease, now, response.status):
                self._attempts.remove(attempt)
                attempt.leave()
                response.close()
                dispatcher.drain()
                return
            dispatcher.begun(attempt.lease, now)
        self._answer.set_result(response)
        attempt.follow(response)

    def broke(self, attempt: Attempt, outcome: Outcome | None, error: Exception) -> None:
        """No answer came of an attempt."""
        driver = self._driver
        if not attempt.lease.open or self._answer.done():  # who ends it all comes to it, too
            return
        self._attempts.remove(attempt)
        if outcome is None or self._absent():
            attempt.end(CLIENT_GONE)
            self._withdraw(CANCELLED)
            self._fail(self._told(error))
            return
        attempt.leave()
        self._error = error
        driver.dispatcher.failed(attempt.lease, driver.context.now(), outcome, attempt.sent)

    def ended(self, attempt: Attempt) -> None:
        """The whole answer is here, or nobody wants the rest."""
        self._attempts.clear()
        self._driver.left(self)
        self._driver.dispatcher.drain()

    # --- nobody waits, or nobody may wait any longer

    def look(self) -> None:
        """Whether anybody waits is asked while there is an answer to wait for."""
        if self._absent():
            self.close()

    def timed_out(self) -> None:
        """Whoever has the whole request and has said nothing is to blame."""
        self._driver.dispatcher.refused["too_late"] += 1
        answered = self._answer.done()
        self._withdraw(CANCELLED if answered else TIMEOUT)
        if not answered:
            self._fail(TooLate())

    def close(self) -> None:
        """End it at once: whoever waits hears of a closed connection."""
        self._withdraw(CLIENT_GONE)
        if not self._answer.done():
            self._fail(ClientConnectionError("nobody waits for the answer any more"))

    # --- inside

    def _ran_out(self) -> bool:
        """The caller's own time limit has ended it, and not the caller."""
        try:
            vars(self.request)["_timer"].assert_timeout()
        except TimeoutError:
            return True
        return False

    def _withdraw(self, outcome: Outcome) -> None:
        """End what is under way. A timeout is the fault of who has the request, of nobody else."""
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            owes = attempt.sent and not attempt.uploading and attempt.first_byte_at is None
            attempt.end(outcome if owes or outcome is not TIMEOUT else CANCELLED)
        self._driver.left(self)
        if not attempts:
            self._driver.dispatcher.abandoned(self)
        self._driver.dispatcher.drain()

    def _fail(self, error: Exception) -> None:
        self._driver.left(self)
        self._answer.set_exception(error)

    def _told(self, error: Exception) -> Exception:
        """A session that is closed says so; else aiohttp would use it once more."""
        if self.request.session.closed:
            told = ClientConnectionError("the session is closed")
            told.__cause__ = error
            return told
        return error
