"""What is told of every request that ends: counted once, with who ended it and in which phase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lb.balancing import RetryPolicy
from lb.measures import Series
from lb.proxy.http.framing import Framing
from lb.proxy.http.message import LOOP, REFUSALS, error
from lb.proxy.http.request import Hop
from lb.proxy.http.response import Aside
from lb.proxy.logs.teller import Teller
from lb.strategies import Outcome
from tests.proxy.around import (
    Client,
    Driver,
    Upstream,
    answer,
    begin_answer,
    connected,
    exchange,
    response,
)


class Told(Teller):
    def __init__(self) -> None:
        super().__init__()
        self.ends: list[tuple[str, str, str]] = []
        self.backends: list[str | None] = []

    def ended(self, it: Any, attempt: Any, now: float, code: str, who: str, phase: str) -> None:
        self.ends.append((code, who, phase))
        self.backends.append(None if attempt is None else attempt.lease.backend.name)


class Stage:
    """An exchange that has not begun, in a house of its own."""

    def __init__(self, **policies: Any) -> None:
        self.driver = Driver(**policies)
        self.told = Told()
        self.driver.teller = self.told
        self.client = Client()
        self.it: Any = exchange(self.driver, self.client)

    def of(self, *arguments: Any, **more: Any) -> Stage:
        self.it = exchange(self.driver, self.client, *arguments, **more)
        return self

    def begun(self) -> Stage:
        self.it.begin()
        return self

    def sent(self) -> Stage:
        self.begun()
        connected(self.it, Upstream())
        return self

    def answering(self) -> Stage:
        self.sent()
        begin_answer(self.it, response(lines=b"\r\nContent-Length: 9"))
        return self


def well(stage: Stage) -> None:
    stage.sent()
    answer(stage.it)


def badly(stage: Stage) -> None:
    stage.sent()
    answer(stage.it, 503)


def elsewhere(stage: Stage) -> None:
    stage.begun()
    stage.it.broken(stage.it.attempt, Outcome.CONNECT)
    well_again(stage)


def well_again(stage: Stage) -> None:
    connected(stage.it, Upstream())
    answer(stage.it)


def nowhere(stage: Stage) -> None:
    stage.begun()
    stage.it.broken(stage.it.attempt, Outcome.CONNECT)
    stage.it.broken(stage.it.attempt, Outcome.CONNECT)


def silent(stage: Stage) -> None:
    stage.sent().it.silent()
    connected(stage.it, Upstream())
    stage.it.silent()


def switched(stage: Stage) -> None:
    stage.of(hop=Hop(upgrade=b"websocket")).sent()
    stage.driver.clock = 5.0
    stage.it.switch(stage.it.attempt, response(101, aside=Aside(upgrade=b"websocket")))
    stage.driver.clock = 500.0
    stage.it.tunnel_closed()


def stalled(stage: Stage) -> None:
    stage.answering().it.client_full()
    stage.it.stalled()
    stage.it.client_gone()  # which follows


def rejected(stage: Stage) -> None:
    stage.of(b"POST", Framing.CHUNKED).sent()
    stage.it.blame("proxy", "bad_request", 400)
    stage.it.client_gone()


def rejected_in_line(stage: Stage) -> None:
    stage.of(b"POST", Framing.CHUNKED)
    stage.it.blame("client", "bad_request", 408)
    stage.it.client_gone()


Row = tuple[Callable[[Stage], Any], tuple[str, str, str], Series, list[Series]]
ROWS: list[Row] = [
    (well, ("ok", "nobody", ""), Series("a", 200, "ok"), [Series("a", 200, "ok")]),
    (
        badly,
        ("server_error", "nobody", ""),
        Series("a", 503, "server_error"),
        [Series("a", 503, "server_error")],
    ),
    (
        elsewhere,
        ("ok", "nobody", ""),
        Series("b", 200, "ok"),
        [Series("a", 0, "connect"), Series("b", 200, "ok")],
    ),
    (
        nowhere,
        ("connect", "backend", "connecting"),
        Series("", 502, "connect"),
        [Series("a", 0, "connect"), Series("b", 0, "connect")],
    ),
    (
        silent,
        ("timeout", "backend", "headers"),
        Series("", 504, "timeout"),
        [Series("a", 0, "timeout"), Series("b", 0, "timeout")],
    ),
    (
        lambda stage: stage.answering().it.broken(stage.it.attempt, Outcome.RESET),
        ("reset", "backend", "body"),
        Series("a", 200, "reset"),
        [Series("a", 200, "reset")],
    ),
    (
        lambda stage: stage.answering().it.silent(),
        ("timeout", "backend", "body"),
        Series("a", 200, "timeout"),
        [Series("a", 200, "timeout")],
    ),
    (
        lambda stage: stage.begun().it.client_gone(),
        ("client_gone", "client", "connecting"),
        Series("a", 0, "client_gone"),
        [Series("a", 0, "client_gone")],
    ),
    (
        lambda stage: stage.sent().it.client_gone(),
        ("client_gone", "client", "headers"),
        Series("a", 0, "client_gone"),
        [Series("a", 0, "client_gone")],
    ),
    (
        lambda stage: stage.of(b"POST", Framing.LENGTH).sent().it.client_gone(),
        ("client_gone", "client", "request"),
        Series("a", 0, "client_gone"),
        [Series("a", 0, "client_gone")],
    ),
    (
        lambda stage: stage.answering().it.client_gone(),
        ("client_gone", "client", "body"),
        Series("a", 200, "client_gone"),
        [Series("a", 200, "client_gone")],
    ),
    (
        stalled,
        ("timeout", "client", "body"),
        Series("a", 200, "timeout"),
        [Series("a", 200, "client_gone")],
    ),
    (
        lambda stage: stage.sent().it.timed_out(),
        ("too_late", "proxy", "headers"),
        Series("", 504, "too_late"),
        [Series("a", 0, "timeout")],
    ),
    (
        lambda stage: stage.it.local(error(404, "x", "y")),
        ("ok", "nobody", ""),
        Series("", 404, "ok"),
        [],
    ),
    (lambda stage: stage.it.local(LOOP), ("loop", "proxy", "waiting"), Series("", 508, "loop"), []),
    (switched, ("ok", "nobody", ""), Series("a", 101, "ok"), [Series("a", 101, "ok")]),
    (
        rejected,
        ("bad_request", "proxy", "request"),
        Series("", 400, "bad_request"),
        [Series("a", 0, "client_gone")],
    ),
    (
        rejected_in_line,
        ("bad_request", "client", "request"),
        Series("", 408, "bad_request"),
        [],
    ),
]


def counts(durations: dict[Series, Any]) -> Counter[Series]:
    return Counter({series: it.count for series, it in durations.items()})


@pytest.mark.parametrize(("act", "end", "served", "tried"), ROWS)
def test_how_it_ends(
    act: Callable[[Stage], Any], end: tuple[str, str, str], served: Series, tried: list[Series]
) -> None:
    stage = Stage()
    act(stage)
    assert stage.told.ends == [end]
    assert stage.told.backends == [tried[-1].backend if tried else None]  # whoever answered
    assert stage.it.story is None or stage.it.story.last is None  # no cycle is left
    measured = stage.driver.measured
    assert counts(measured.server) == Counter([served])
    assert counts(measured.client) == Counter(tried)


def test_a_request_whose_turn_never_came_is_not_told() -> None:
    stage = Stage()
    stage.it.client_gone()
    assert stage.told.ends == []
    assert not stage.driver.measured.server


def test_nobody_to_go_to() -> None:
    stage = Stage(backends="")
    stage.begun()
    assert stage.told.ends == [("no_backend", "proxy", "waiting")]
    assert counts(stage.driver.measured.server) == Counter([Series("", 503, "no_backend")])
    assert stage.client.said.endswith(REFUSALS_BODY)


REFUSALS_BODY = next(it.body for why, it in REFUSALS.items() if why.value == "no_backend")


def test_a_client_that_waits_in_line_leaves() -> None:
    stage = Stage(backends="a", limit=1, line=1)
    stage.sent()
    first, stage.it = stage.it, exchange(stage.driver, Client())
    stage.driver.clock = 3.0
    stage.it.arrived_at = 3.0
    stage.begun()
    stage.driver.clock = 5.0
    stage.it.client_gone()
    assert stage.told.ends == [("client_gone", "client", "waiting")]
    (durations,) = stage.driver.measured.server.values()
    assert durations.sum == 2.0
    assert first.tries == 1
    assert stage.it.tries == 0


def test_time_in_line_is_told_apart() -> None:
    stage = Stage(backends="a", limit=1, line=1)
    stage.sent()
    first, second = stage.it, exchange(stage.driver, Client())
    second.begin()
    stage.driver.clock = 2.0
    answer(first)
    stage.driver.clock = 5.0
    connected(second, Upstream())
    answer(second)
    assert second.waited == 2.0
    durations = stage.driver.measured
    assert durations.server[Series("a", 200, "ok")].sum == 2.0 + 5.0
    assert durations.client[Series("a", 200, "ok")].sum == 2.0 + 3.0


def test_a_handshake_is_measured_till_its_end() -> None:
    stage = Stage()
    switched(stage)
    for durations in (stage.driver.measured.server, stage.driver.measured.client):
        assert durations[Series("a", 101, "ok")].sum == 5.0


def test_an_answer_that_is_not_taken_has_its_status() -> None:
    stage = Stage(retries=RetryPolicy(on=("connect", 503)))
    stage.sent()
    stage.it.attempt.first_byte_at = 0.0
    stage.it.attempt.exchange.head(stage.it.attempt, response(503))
    connected(stage.it, Upstream())
    answer(stage.it)
    assert stage.told.ends == [("ok", "nobody", "")]
    assert counts(stage.driver.measured.client) == Counter(
        [Series("a", 503, "server_error"), Series("b", 200, "ok")]
    )
    assert stage.it.tries == 2


def test_bytes_of_bodies_are_counted() -> None:
    stage = Stage()
    stage.of(b"POST", Framing.CHUNKED).begun()
    stage.it.request_body(b"four")
    connected(stage.it, Upstream())
    stage.it.request_body(b"three")
    stage.it.request_end()
    answer(stage.it)
    assert (stage.it.taken, stage.it.passed) == (9, 2)


def test_a_connection_that_was_stale_is_no_second_try() -> None:
    stage = Stage()
    stage.begun()
    connected(stage.it, Upstream(reused=True))
    stage.it.broken(stage.it.attempt, Outcome.RESET)
    connected(stage.it, Upstream())
    answer(stage.it)
    assert stage.it.tries == 1
    assert counts(stage.driver.measured.client) == Counter([Series("a", 200, "ok")])
