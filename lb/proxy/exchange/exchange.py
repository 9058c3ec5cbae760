"""One request and its response, as a machine: each event is a method here.

What may happen when stands in the table of transitions.py, what is done then in acts.py. Knows no
sockets: it speaks to a `ClientSide` and, through its attempt, to an `UpstreamSide`, and to the
dispatcher for decisions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lb.balancing import Backend, Lease, Outcome, Why
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.racing import Racing
from lb.proxy.exchange.sides import UpstreamSide
from lb.proxy.exchange.transitions import Event, Stage, transition
from lb.proxy.exchange.trial import Trial
from lb.proxy.http.message import Answer, date
from lb.proxy.http.response import Response

TIMEOUT, CANCELLED = Outcome.TIMEOUT, Outcome.CANCELLED
WAITING, CONNECTING, SENT = int(Stage.WAITING), int(Stage.CONNECTING), int(Stage.SENT)
OVER = int(Stage.OVER)


class Exchange(Racing):
    """A `Call` of the balancer."""

    __slots__ = ()

    def __repr__(self) -> str:
        method, target = self.request.method.decode(), self.request.target.decode("latin-1")
        return f"<Exchange {method} {target} {Stage(self.state).name.lower()} {self.status}>"

    # --- the common case: several events at once, as the table has them one by one

    def go(self) -> None:
        """BEGIN, and where a backend is picked that has an idle connection START and SENT_ON.

        Of a whole request without a body, by a client that reads its answers.
        """
        dispatcher = self._dispatcher
        now = self.arrived_at = self._context.now()
        lease = dispatcher.admit(self, now)
        if lease is None:
            self.state = WAITING
            dispatcher.drain()
            return
        attempt = self.attempt = Attempt(self, lease, False)
        self.tries = 1
        if self.trace is not None:
            self._mark(attempt)
        site = lease.backend.site
        upstream = site.take_idle()
        if upstream is None:
            self.state = CONNECTING
            site.connect(attempt)
        else:
            self.state = SENT
            upstream.attempt = attempt
            attempt.upstream = upstream
            attempt.sent_at = now
            upstream.write(self.request.head + attempt.mark + site.request_end)
            self.client.owed.start(now)  # the answer cannot be there yet
        if dispatcher.out:
            dispatcher.drain()

    def come(self, attempt: Attempt, response: Response, content: bytes, now: float) -> bool:
        """HEAD and END: the whole answer is here. False where there is more to it than that."""
        client = self.client
        if (
            self.state != SENT
            or not (self.keep_alive and self.complete and self.request.minor)
            or self._out
            or client.phase
            or client.full
            or self._context.cookie is not None
        ):
            return False
        self.state = OVER
        self.status = response.status
        self.passed = len(content)
        out = response.out
        if not out:
            tail = attempt.lease.backend.site.response_tails[response.minor]
            stamp = b"" if response.dated else date()
            out = b"".join((b"HTTP/1.1 ", response.text, response.lines, stamp, tail))
            if response.dated:  # else it is another one every second
                response.out = out
        client.write(out + content)
        self._end_well(attempt, response.keep_alive, now)
        return True

    # --- events of the request and the balancer

    def begin(self) -> None:
        """Its turn has come: ask for a backend."""
        self.state, act = _BEGIN[self.state]
        act(self)

    def local(self, answer: Answer) -> None:
        """Its turn has come, and the proxy answers by itself."""
        self.state, act = _LOCAL[self.state]
        act(self, answer)

    def request_body(self, data: bytes) -> None:
        """More of the request's body has come."""
        self.state, act = _REQUEST_BODY[self.state]
        act(self, data)

    def request_end(self, trailers: bytes = b"") -> None:
        """The request's body has ended."""
        self.state, act = _REQUEST_END[self.state]
        act(self, trailers)

    def start(self, lease: Lease[Exchange], fresh: bool = False) -> None:
        """The balancer has chosen: go there on an idle connection, or a new one (if `fresh`)."""
        self.state, act = _START[self.state]
        act(self, lease, fresh)

    def refuse(self, why: Why | Outcome) -> None:
        """The balancer will not try (again)."""
        self.state, act = _REFUSE[self.state]
        act(self, why)

    def cancel(self, lease: Lease[Exchange]) -> None:
        """The balancer has changed its mind; what else it wants follows."""
        attempt = self.attempt
        if attempt is not None and attempt.lease is lease and lease.open:
            self.state, act = _CANCEL[self.state]
            act(self, attempt, CANCELLED)
        elif self.state == Stage.RACING and self._hedge.attempt.lease is lease:
            self._drop_hedge()

    # --- events of the backend

    def sent_on(
        self, attempt: Attempt, upstream: UpstreamSide, server_field: bytes, now: float
    ) -> None:
        """A connection is there."""
        self.state, act = _SENT_ON[self.state]
        act(self, attempt, upstream, server_field, now)

    def interim(self, response: Response) -> None:
        """A 1xx has come."""
        self.state, act = _INTERIM[self.state]
        act(self, response)

    def switch(self, attempt: Attempt, response: Response) -> None:
        """A 101 has come, which the client had asked for."""
        self.state, act = _SWITCH[self.state]
        act(self, attempt, response)

    def head(self, attempt: Attempt, response: Response, content: bytes = b"") -> None:
        """The final answer has begun, and some of its body has come along."""
        self.state, act = _HEAD[self.state]
        act(self, attempt, response, content)

    def body(self, data: bytes) -> None:
        """More of the answer's body has come."""
        self.state, act = _BODY[self.state]
        act(self, data)

    def more(self, now: float) -> None:
        """All that came has been said, and more is owed."""
        self.state, act = _MORE[self.state]
        act(self, now)

    def end(self, trailers: bytes, keep_upstream: bool, now: float) -> None:
        """The answer has ended."""
        self.state, act = _END[self.state]
        act(self, trailers, keep_upstream, now)

    def broken(self, attempt: Attempt, outcome: Outcome) -> None:
        """The attempt failed: no connection, or no (whole) answer."""
        self.state, act = _BROKEN[self.state]
        act(self, attempt, outcome)

    def recall(self, backend: Backend) -> None:
        """`backend` is silent: go on elsewhere, if it has said nothing and that may be."""
        attempt = self.attempt
        if attempt is not None and self._moves(attempt, backend):
            self.broken(attempt, TIMEOUT)
        elif self.state == Stage.RACING and self._moves(self._hedge.attempt, backend):
            self.lose_hedge(self._hedge.attempt, TIMEOUT)

    def _moves(self, attempt: Attempt, backend: Backend) -> bool:
        """Whether an attempt waits at `backend` and may be made elsewhere."""
        if attempt.lease.backend is not backend or attempt.first_byte_at is not None:
            return False
        sent = attempt.upstream is not None
        return self._dispatcher.balancer.movable(attempt.lease, self._context.now(), sent)

    def tunnel_closed(self, taken: int = 0, passed: int = 0) -> None:
        """Both sides have ended, after so many bytes from the client and to it."""
        self.taken += taken
        self.passed += passed
        self.state, act = _TUNNEL_CLOSED[self.state]
        act(self)

    # --- events of two attempts, and of answers that are not taken

    def alone(self, attempt: Attempt | None) -> None:
        """Of two attempts this one goes on."""
        self.state, act = _ALONE[self.state]
        act(self, attempt)

    def sent_before(self) -> None:
        """The attempt that goes on has a connection already."""
        self.state, act = _SENT_BEFORE[self.state]
        act(self)

    def declined(self, attempt: Attempt) -> None:
        """The balancer will not have the answer, and its lease is done."""
        self.state, act = _DECLINED[self.state]
        act(self, attempt)

    def overdue(self, lease: Lease[Exchange]) -> None:
        """The attempt under `lease` takes longer than one may."""
        attempt = self.attempt
        if attempt is not None and attempt.lease is lease:
            if not self.complete and self.state == Stage.SENT:
                self._dispatcher.limit(lease, self._context.now())  # it is the client's turn
            elif attempt.first_byte_at is None:
                self.state, act = _OVERDUE[self.state]
                act(self, attempt, TIMEOUT)
        elif self.state == Stage.RACING and self._hedge.attempt.lease is lease:
            self.lose_hedge(self._hedge.attempt, TIMEOUT)

    # --- events of the client, of whoever does not read, and of time

    def client_gone(self) -> None:
        """Nobody waits for the answer any more."""
        self.state, act = _CLIENT_GONE[self.state]
        act(self)

    def client_full(self) -> None:
        """The client does not read."""
        self.state, act = _CLIENT_FULL[self.state]
        act(self)

    def client_drains(self) -> None:
        """The client reads again."""
        self.state, act = _CLIENT_DRAINS[self.state]
        act(self)

    def backend_full(self) -> None:
        """The backend does not take the request's body."""
        self.state, act = _BACKEND_FULL[self.state]
        act(self)

    def backend_drains(self) -> None:
        """The backend takes it again."""
        self.state, act = _BACKEND_DRAINS[self.state]
        act(self)

    def silent(self) -> None:
        """The backend has owed something for too long."""
        self.state, act = _SILENT[self.state]
        act(self, self.attempt, TIMEOUT)

    def stalled(self) -> None:
        """The client has not read for too long, or too little to be sent more."""
        if self.client.takes():
            self._timers.stalled.start(self, self._context.now())
            return
        self.state, act = _STALLED[self.state]
        act(self)

    def timed_out(self) -> None:
        """It takes longer than any request may."""
        # Who is to blame? A backend that has the whole request and has said nothing.
        blamed = self.state == Stage.SENT and self.complete
        self.state, act = _TIMED_OUT[self.state]
        act(self, self.attempt, TIMEOUT if blamed else CANCELLED)


def _row(event: Event) -> tuple[tuple[int, Callable[..., Any]], ...]:
    """An event's transitions, by state: the next one, and the method that acts."""
    transitions = (transition(event, state) for state in Stage)
    return tuple((int(state), getattr(Exchange, "_" + act)) for state, act in transitions)


_BEGIN, _LOCAL, _REQUEST_BODY, _REQUEST_END, _START, _REFUSE = map(_row, list(Event)[:6])
_CANCEL, _SENT_ON, _INTERIM, _SWITCH, _HEAD, _BODY, _MORE, _END = map(_row, list(Event)[6:14])
_BROKEN, _TUNNEL_CLOSED, _CLIENT_GONE, _CLIENT_FULL, _CLIENT_DRAINS = map(_row, list(Event)[14:19])
_BACKEND_FULL, _BACKEND_DRAINS, _SILENT, _STALLED, _TIMED_OUT = map(_row, list(Event)[19:24])
_OVERDUE, _ALONE, _SENT_BEFORE, _DECLINED = map(_row, list(Event)[24:])


class Watched(Exchange):
    """One whose answers are asked about or told of, before they count."""

    __slots__ = ()

    def go(self) -> None:
        self.arrived_at = self._context.now()
        self.begin()

    def start(self, lease: Lease[Exchange], fresh: bool = False) -> None:
        super().start(lease, fresh)
        attempt = self.attempt
        if attempt is not None and attempt.exchange is self:
            Trial(self, attempt)
