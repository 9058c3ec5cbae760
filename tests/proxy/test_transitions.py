"""Every event in every state: what comes of it, or that it cannot come."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from lb.balancing import Lease, Outcome, Why
from lb.balancing.lease import pair
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.exchange import Exchange
from lb.proxy.exchange.transitions import NEVER, TRANSITIONS, Event, Stage, transition
from lb.proxy.http.framing import Framing
from lb.proxy.http.message import Answer
from lb.proxy.http.request import Hop
from lb.proxy.http.response import Aside
from tests.proxy.around import (
    END,
    Client,
    Driver,
    Upstream,
    begin_answer,
    connected,
    exchange,
    response,
)

EXPECTED = """
                NEW        WAITING    CONNECTING SENT       RACING     ANSWERING  TUNNEL     OVER
BEGIN           CONNECTING -          -          -          -          -          -          -
LOCAL           OVER       -          -          -          -          -          -          -
REQUEST_BODY    NEW        WAITING    CONNECTING SENT       -          ANSWERING  -          OVER
REQUEST_END     NEW        WAITING    CONNECTING SENT       -          ANSWERING  -          OVER
START           -          CONNECTING RACING     RACING     -          ANSWERING  TUNNEL     OVER
REFUSE          -          OVER       -          -          -          -          -          OVER
CANCEL          NEW        WAITING    WAITING    WAITING    CONNECTING OVER       OVER       OVER
SENT_ON         -          -          SENT       -          RACING     -          -          -
INTERIM         -          -          -          SENT       RACING     -          -          -
SWITCH          -          -          -          TUNNEL     -          -          -          -
HEAD            -          -          -          ANSWERING  -          -          -          -
BODY            -          -          -          -          -          ANSWERING  -          -
MORE            -          -          -          SENT       RACING     ANSWERING  -          -
END             -          -          -          -          -          OVER       -          -
BROKEN          -          -          CONNECTING OVER       CONNECTING OVER       -          OVER
TUNNEL_CLOSED   -          -          -          -          -          -          OVER       OVER
CLIENT_GONE     OVER       OVER       OVER       OVER       OVER       OVER       OVER       OVER
CLIENT_FULL     -          WAITING    CONNECTING SENT       RACING     ANSWERING  TUNNEL     OVER
CLIENT_DRAINS   -          WAITING    CONNECTING SENT       RACING     ANSWERING  -          OVER
BACKEND_FULL    -          -          -          SENT       RACING     ANSWERING  -          -
BACKEND_DRAINS  -          -          -          SENT       RACING     ANSWERING  -          -
SILENT          -          -          -          OVER       CONNECTING OVER       -          -
STALLED         -          -          -          SENT       RACING     ANSWERING  -          -
TIMED_OUT       NEW        OVER       OVER       OVER       OVER       OVER       -          -
OVERDUE         NEW        WAITING    CONNECTING SENT       CONNECTING ANSWERING  TUNNEL     OVER
ALONE           -          -          -          -          SENT       -          -          -
SENT_BEFORE     -          -          SENT       -          -          -          -          -
DECLINED        -          -          -          WAITING    CONNECTING -          -          -
"""
"""The state after an event and all that follows from it at once; `-` is what cannot happen.

A refused connection is tried at the other backend; an attempt that may have sent a body is not. A
lease that is not the exchange's own cannot be cancelled. While two attempts race the first has a
connection and the second has none; all events are those of the first.
"""


class Scene:
    """An exchange and all that it needs to get anywhere."""

    def __init__(self) -> None:
        self.driver = Driver(limit=1, line=1)
        self.client, self.upstream = Client(), Upstream()
        hop = Hop(upgrade=b"websocket")
        self.it = exchange(self.driver, self.client, b"POST", Framing.CHUNKED, hop=hop)
        self.others: list[Exchange] = []

    @property
    def attempt(self) -> Attempt:
        """The exchange's own, or one that it should never have heard of."""
        backend = self.driver.balancer.pool.backends[0]
        stranger: Lease[Exchange] = Lease(self.driver.balancer, self.it, backend, 0.0)
        return self.it.attempt or Attempt(self.it, stranger, False)

    def occupy(self) -> None:
        """Fill both backends, so that the next one waits in line."""
        for _ in range(2):
            other = exchange(self.driver, Client())
            other.begin()
            self.others.append(other)

    def bring_to(self, state: Stage) -> None:
        if state is Stage.WAITING:
            self.occupy()
        if state in (Stage.NEW, Stage.OVER):
            if state is Stage.OVER:
                self.it.client_gone()
            return
        self.it.begin()
        if state in (Stage.SENT, Stage.ANSWERING, Stage.TUNNEL):
            connected(self.it, self.upstream)
        if state is Stage.RACING:
            connected(self.it, self.upstream)
            self.race()
        if state is Stage.ANSWERING:
            begin_answer(self.it, response())
        if state is Stage.TUNNEL:
            self.do(Event.SWITCH)
            assert self.it.attempt is not None
            self.it.attempt.first_byte_at = self.driver.clock

    def race(self) -> None:
        assert self.it.attempt is not None
        balancer, first = self.driver.balancer, self.it.attempt.lease
        (other,) = (it for it in balancer.pool.backends if it is not first.backend)
        second = balancer._start(self.it, other, self.driver.clock)
        pair(first, second)
        self.it.start(second)

    def go_on_alone(self) -> None:
        if self.it.state == Stage.RACING:
            self.it._hedge.attempt.end(self.driver.clock, Outcome.CANCELLED)
        self.it.alone(self.it.attempt)

    def decline(self) -> None:
        """The balancer has ended the lease of the attempt, and then says so."""
        attempt = self.attempt
        self.it.declined(attempt)
        attempt.lease.done(self.driver.clock, Outcome.SERVER_ERROR)

    def do(self, event: Event) -> None:
        it, now = self.it, self.driver.clock
        attempt = self.attempt
        acts: dict[Event, Callable[[], object]] = {
            Event.BEGIN: it.begin,
            Event.LOCAL: lambda: it.local(Answer(200, b"{}")),
            Event.REQUEST_BODY: lambda: it.request_body(b"body"),
            Event.REQUEST_END: it.request_end,
            Event.START: self.start,
            Event.REFUSE: lambda: it.refuse(Why.QUEUE_TIMEOUT),
            Event.CANCEL: lambda: it.cancel(attempt.lease),
            Event.SENT_ON: lambda: it.sent_on(attempt, self.upstream, END, now),
            Event.INTERIM: lambda: it.interim(response(103, Framing.NONE)),
            Event.SWITCH: lambda: it.switch(
                attempt, response(101, Framing.NONE, aside=Aside(upgrade=b"websocket"))
            ),
            Event.HEAD: lambda: it.head(attempt, response()),
            Event.BODY: lambda: it.body(b"body"),
            Event.MORE: lambda: it.more(now),
            Event.END: lambda: it.end(b"", True, now),
            Event.BROKEN: lambda: it.broken(attempt, Outcome.CONNECT),
            Event.TUNNEL_CLOSED: it.tunnel_closed,
            Event.CLIENT_GONE: it.client_gone,
            Event.CLIENT_FULL: it.client_full,
            Event.CLIENT_DRAINS: it.client_drains,
            Event.BACKEND_FULL: it.backend_full,
            Event.BACKEND_DRAINS: it.backend_drains,
            Event.SILENT: it.silent,
            Event.STALLED: it.stalled,
            Event.TIMED_OUT: it.timed_out,
            Event.OVERDUE: lambda: it.overdue(attempt.lease),
            Event.ALONE: self.go_on_alone,
            Event.SENT_BEFORE: it.sent_before,
            Event.DECLINED: self.decline,
        }
        acts[event]()

    def start(self) -> None:
        backend = self.driver.balancer.pool.backends[0]
        self.it.start(self.driver.balancer._start(self.it, backend, self.driver.clock))


def expected() -> dict[tuple[Event, Stage], str]:
    head, *rows = (line.split() for line in EXPECTED.strip().splitlines())
    return {
        (Event[name], Stage[state]): cell
        for name, *cells in rows
        for state, cell in zip(head, cells, strict=True)
    }


CELLS = expected()


def test_every_pair_is_in_the_expectations() -> None:
    assert set(CELLS) == set(product(Event, Stage))


@pytest.mark.parametrize(
    ("event", "state"), CELLS, ids=[f"{event.name}-{state.name}" for event, state in CELLS]
)
def test_pair(event: Event, state: Stage) -> None:
    stage = Scene()
    stage.bring_to(state)
    assert stage.it.state == state
    if CELLS[event, state] == "-":
        before = len(stage.driver.outcomes)
        with pytest.raises(AssertionError, match="no such event"):
            stage.do(event)
        assert stage.it.state == state
        assert len(stage.driver.outcomes) == before
    else:
        stage.do(event)
        assert Stage(stage.it.state).name == CELLS[event, state]
    stage.it.client_gone()
    for other in stage.others:
        other.client_gone()
    if event is not Event.START or CELLS[event, state] != "-":
        assert stage.driver.active == 0
        assert len(stage.driver.outcomes) == len(stage.driver.leases)


def test_the_table_names_acts_that_exist() -> None:
    for event, row in TRANSITIONS.items():
        for state, (after, act) in row.items():
            assert transition(event, state) == (after, act)
            assert callable(getattr(Exchange, f"_{act}"))
    assert transition(Event.BEGIN, Stage.OVER) == (Stage.OVER, NEVER)
