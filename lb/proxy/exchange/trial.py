"""What a connection speaks to in its exchange's stead, where there is more to an attempt."""

from __future__ import annotations

from typing import Any

from lb.balancing import Backend, Outcome
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.sides import ClientSide, UpstreamSide
from lb.proxy.http.request import Request
from lb.proxy.http.response import Response


class Trial:
    """Stands between an attempt's connection and its exchange.

    Before an answer counts it is asked whether it is to be tried elsewhere, and told that it has
    begun, which ends the other attempt.
    """

    __slots__ = ("_exchange", "attempt")

    def __init__(self, exchange: Any, attempt: Attempt) -> None:
        self._exchange = exchange
        self.attempt = attempt
        attempt.exchange = self

    @property
    def request(self) -> Request:
        """What was asked."""
        request: Request = self._exchange.request
        return request

    @property
    def client(self) -> ClientSide:
        """Who asked."""
        client: ClientSide = self._exchange.client
        return client

    @property
    def complete(self) -> bool:
        """The whole request is here."""
        complete: bool = self._exchange.complete
        return complete

    @property
    def _leads(self) -> bool:
        """Whether what comes from here is for the exchange."""
        return bool(self._exchange.attempt is self.attempt)

    def sent_on(
        self, attempt: Attempt, upstream: UpstreamSide, server_field: bytes, now: float
    ) -> None:
        if self._leads:
            self._exchange.sent_on(attempt, upstream, server_field, now)
        else:
            self._exchange.meet(attempt, upstream, now)
            upstream.write(self.request.head + attempt.mark + server_field)

    def come(self, attempt: Attempt, response: Response, content: bytes, now: float) -> bool:
        """There is more to it: see `head`."""
        return False

    def interim(self, response: Response) -> None:
        if self._leads:
            self._exchange.interim(response)

    def head(self, attempt: Attempt, response: Response, content: bytes = b"") -> None:
        exchange = self._exchange
        if exchange.declines(attempt, response.status):
            return  # and so is what comes behind it, since we lead no more
        exchange.settle_on(attempt)
        attempt.exchange = exchange  # which is all there is to it from now on
        exchange.head(attempt, response, content)

    def switch(self, attempt: Attempt, response: Response) -> None:
        self._exchange.settle_on(attempt)
        self._exchange.switch(attempt, response)

    def more(self, now: float) -> None:
        if self._leads:
            self._exchange.more(now)

    def end(self, trailers: bytes, keep_upstream: bool, now: float) -> None:
        if self._leads:
            self._exchange.end(trailers, keep_upstream, now)

    def broken(self, attempt: Attempt, outcome: Outcome) -> None:
        if self._leads:
            self._exchange.broken(attempt, outcome)
        else:
            self._exchange.lose_hedge(attempt, outcome)

    def recall(self, backend: Backend) -> None:
        self._exchange.recall(backend)

    def backend_full(self) -> None:
        if self._leads:
            self._exchange.backend_full()

    def backend_drains(self) -> None:
        if self._leads:
            self._exchange.backend_drains()
