"""One attempt at a request: a lease, the task that carries it out, and what becomes of its answer.

It begins with the balancer's lease and ends with the lease's one `done`: when the answer's last
byte is here, when whoever asked wants no more of it, or when it broke.
"""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import Any, Protocol

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from aiohttp.connector import BaseConnector, Connection
from aiohttp.helpers import TimerNoop

from lb import wire
from lb.aio.driver import Driver
from lb.aio.failures import RESET, TIMEOUT, end_of, outcome_of
from lb.balancing import Lease, LoadReport, Outcome
from lb.proxy.patience import Patience

BACKEND = "X-Backend-Server"
CLIENT_GONE = Outcome.CLIENT_GONE


class Tried(Protocol):
    """The request behind it."""

    request: ClientRequest
    handler: ClientHandlerType

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent twice."""

    def came(self, attempt: Attempt, response: ClientResponse) -> None:
        """The answer has begun."""

    def broke(self, attempt: Attempt, outcome: Outcome | None, error: Exception) -> None:
        """No answer came; no outcome means that its caller is to blame."""

    def ended(self, attempt: Attempt) -> None:
        """The answer has ended, and the lease with it."""


class Attempt:
    """`call` is tried under `lease`. Must be made inside a running event loop."""

    __slots__ = (
        "_driver",
        "_limit",
        "_request",
        "_reused",
        "_running",
        "_task",
        "call",
        "first_byte_at",
        "lease",
        "response",
        "sent",
    )

    def __init__(self, driver: Driver, call: Tried, lease: Lease[Any]) -> None:
        self._driver = driver
        self.call = call
        self.lease = lease
        self.sent = False
        """There is a connection: from then on bytes may have left."""
        self.first_byte_at: float | None = None
        self.response: ClientResponse | None = None
        self._reused = False
        self._running = True
        self._request = call.request
        self._limit = Patience(driver.context.timeouts.connect)
        lease.backend.site.attempts.add(self)
        self._task = driver.context.loop.create_task(self._run())

    def __repr__(self) -> str:
        how = "answering" if self.response else "sent" if self.sent else "connecting"
        return f"<Attempt at {self.lease.backend.name} {how}>"

    @property
    def uploading(self) -> bool:
        """The request's body is still being sent."""
        return self.sent and getattr(self._request, "_writer", None) is not None

    @property
    def queued(self) -> bool:
        """It stands in the session's own line, which is no backend's fault."""
        connector = self.call.request.session.connector
        return not self.sent and connector is not None and _crowded(connector)

    def leave(self) -> None:
        """Have no more to do with a connection, which goes; whoever says so sees to the lease."""
        self.lease.backend.site.attempts.discard(self)
        if self._running:
            self._running = False
            self._task.cancel()
        if self.response is not None:
            self.response.close()

    def end(self, outcome: Outcome) -> None:
        """The attempt is over, and with it its connection."""
        if self.lease.open:
            self.lease.done(self._driver.context.now(), outcome, self.first_byte_at)
        self.leave()

    def follow(self, response: ClientResponse) -> None:
        """Its answer stands, and ends when its connection is given back."""
        self.response = response
        if response.connection is None:
            self._answered()
        else:
            response.connection.add_callback(self._answered)

    # --- inside

    async def _run(self) -> None:
        while True:
            self.sent = self._reused = False
            self._request = self._directed(self.call.request)
            try:
                async with self._limit:
                    response = await self.call.handler(self._request)
                break
            except Exception as error:
                await self._request.close()  # what is under way of its body
                outcome = self._outcome(error)
                if not self._again(outcome):
                    self._running = False
                    self.call.broke(self, outcome, error)
                    return
            self._limit = Patience(self._driver.context.timeouts.connect)
        self._running = False
        del vars(self._request)["send"]  # which has us: left to the collector, cycles cost a tenth
        self.first_byte_at = self._driver.context.now()
        if said := response.headers.get(wire.LOAD) or response.headers.get(wire.ORCA):
            self._report(said)
        self.call.came(self, response)

    def _directed(self, request: ClientRequest) -> ClientRequest:
        """The same request for the backend; who is asked for stays who it was."""
        backend = self.lease.backend
        site = backend.site
        it = copy(request)
        it.url = request.url.with_host(site.host).with_port(site.port)
        secure = self._driver.context.ways.to(backend.name, backend.address).secure
        if secure is not None:
            it.url = it.url.with_scheme("https").with_port(site.port)
            vars(it)["_ssl"], it.server_hostname = secure
        elif it.server_hostname is None and it.is_ssl():
            it.server_hostname = request.url.raw_host
        it.headers = request.headers.copy()
        it.headers[BACKEND] = backend.address
        vars(it)["send"] = partial(self._send, it.send)  # says when there is a connection
        if vars(it).get("_continue") is not None:  # each attempt waits for a 100 of its own
            vars(it)["_continue"] = self._driver.context.loop.create_future()
        vars(it)["_timer"] = TimerNoop()  # the session's belongs to its caller's task, not to ours
        return it

    async def _send(self, send: Any, connection: Connection) -> ClientResponse:
        self._limit.lift()
        self.sent = True
        protocol = connection.protocol
        assert protocol is not None
        self._reused = protocol in self._driver.known
        self._driver.known.add(protocol)
        if protocol.read_timeout is None:
            protocol.read_timeout = self._driver.context.timeouts.response
        response: ClientResponse = await send(connection)
        return response

    def _outcome(self, error: Exception) -> Outcome | None:
        if self.call.request.session.closed:
            return None
        return outcome_of(error, sent=self.sent)

    def _again(self, outcome: Outcome | None) -> bool:
        """Whether that was no failure: the backend has closed an idle connection just as we used
        it, or it was not even asked for one.
        """
        if outcome is RESET:
            return self._reused and self.call.idempotent
        return outcome is TIMEOUT and self.queued

    def _report(self, said: str) -> None:
        load = wire.read_load(said)
        if load is not None:
            self.lease.backend.site.reported(LoadReport(*load))

    def _answered(self) -> None:
        """The connection of the answer is given back, or closed."""
        response, lease = self.response, self.lease
        if not lease.open or response is None:
            return
        outcome = CLIENT_GONE if self.call.request.session.closed else end_of(response)
        lease.done(self._driver.context.now(), outcome, self.first_byte_at)
        lease.backend.site.attempts.discard(self)
        self.call.ended(self)


def _crowded(connector: BaseConnector) -> bool:
    """Whether the session's own limits leave no room for another connection."""
    taken = vars(connector)
    most, most_each = connector.limit, connector.limit_per_host
    each = taken["_acquired_per_host"].values()
    return bool(most and len(taken["_acquired"]) >= most) or bool(
        most_each and any(len(one) >= most_each for one in each)
    )
