"""The exchange without sockets: every path ends in one `done`, and the client learns the truth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.proxy.http.framing import Framing
from lb.proxy.http.request import Hop
from lb.proxy.http.response import Aside
from lb.strategies import Outcome
from tests.proxy.around import (
    END,
    HEAD,
    Client,
    Driver,
    Upstream,
    answer,
    begin_answer,
    connected,
    exchange,
    response,
)


def test_a_body_that_comes_with_its_head_is_held_without_a_pause() -> None:
    """Its turn is next: most likely all of it goes on in the same breath."""
    driver, client, upstream = Driver(), Client(), Upstream()
    it = exchange(driver, client, b"POST", Framing.LENGTH)
    it.request_body(b"one")
    assert it.pending
    assert client.reading
    it.begin()
    it.request_body(b"two")  # and no connection is there
    assert not client.reading
    connected(it, upstream)
    assert upstream.got == HEAD + END + b"onetwo"
    assert client.reading


def test_there_and_back() -> None:
    driver, client, upstream = Driver(), Client(), Upstream()
    it = exchange(driver, client)
    it.begin()
    assert driver.active == 1
    connected(it, upstream)
    assert upstream.got == HEAD + END
    assert driver.waits == "owed"
    answer(it)
    assert client.said == (
        b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nVia: 1.1 lb\r\nX-Backend-Server: x\r\n\r\nok"
    )
    assert client.kept is True
    assert upstream.kept is True
    assert driver.outcomes == [Outcome.OK]
    assert driver.active == 0
    assert driver.waits == ""


@pytest.mark.parametrize(("status", "outcome"), [(404, Outcome.OK), (500, Outcome.SERVER_ERROR)])
def test_an_error_of_the_server_counts_as_one(status: int, outcome: Outcome) -> None:
    driver, client = Driver(), Client()
    it = exchange(driver, client)
    it.begin()
    connected(it, Upstream())
    answer(it, status)
    assert driver.outcomes == [outcome]
    assert client.kept is True


def test_a_body_waits_for_its_connection_and_the_client_with_it() -> None:
    driver, client, upstream = Driver(), Client(), Upstream()
    it = exchange(driver, client, b"POST", Framing.CHUNKED)
    it.begin()
    it.request_body(b"one")
    assert it.pending
    assert not client.reading
    connected(it, upstream)
    assert not it.pending
    assert client.reading
    assert driver.waits == ""  # the client owes the rest of its body
    it.request_body(b"two")
    it.request_end()
    assert upstream.got == HEAD + END + b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    assert driver.waits == "owed"


def test_a_refused_connection_takes_the_waiting_body_along() -> None:
    driver, client, upstream = Driver(), Client(), Upstream()
    it = exchange(driver, client, b"POST", Framing.LENGTH)
    it.begin()
    it.request_body(b"body")
    it.request_end()
    it.broken(it.attempt, Outcome.CONNECT)
    assert [len(carrier.carried) for carrier in driver.carriers] == [1, 1]
    connected(it, upstream)
    assert upstream.got == HEAD + END + b"body"
    answer(it)
    assert driver.outcomes == [Outcome.CONNECT, Outcome.OK]


def test_a_stale_connection_is_replaced_under_the_same_lease() -> None:
    driver, client, stale = Driver(), Client(), Upstream(reused=True)
    it = exchange(driver, client)
    it.begin()
    connected(it, stale)
    it.broken(it.attempt, Outcome.RESET)
    assert stale.kept is False
    assert list(driver.carriers[0].carried) == [False, True]
    assert driver.outcomes == []
    fresh = Upstream()
    connected(it, fresh)
    it.broken(it.attempt, Outcome.RESET)
    assert driver.outcomes == [Outcome.RESET]
    assert list(driver.carriers[1].carried) == [False]
    assert len(driver.leases) == 2


def test_a_second_attempt_measures_from_its_own_start() -> None:
    driver, client = Driver(), Client()
    it = exchange(driver, client)
    it.begin()
    connected(it, Upstream())
    assert it.attempt is not None
    it.attempt.first_byte_at = driver.clock = 1.0
    driver.clock = 5.0
    it.broken(it.attempt, Outcome.RESET)
    assert it.attempt.first_byte_at is None
    driver.clock = 7.0
    connected(it, Upstream())
    answer(it)
    assert driver.balancer.pool.backends[1].response_time == 2.0


def test_a_broken_answer_is_cut_off_and_ends_the_lease() -> None:
    driver, client, upstream = Driver(), Client(), Upstream()
    it = exchange(driver, client)
    it.begin()
    connected(it, upstream)
    begin_answer(it, response())
    attempt = it.attempt
    assert attempt is not None
    it.broken(attempt, Outcome.RESET)
    assert client.cut
    assert driver.outcomes == [Outcome.RESET]
    it.client_gone()
    it.broken(attempt, Outcome.TIMEOUT)
    assert driver.outcomes == [Outcome.RESET]


def test_nobody_to_ask() -> None:
    driver, client = Driver(backends=""), Client()
    it = exchange(driver, client)
    it.begin()
    assert client.said.startswith(b"HTTP/1.1 503 ")
    assert client.kept is True
    assert driver.leases == []


def test_a_refusal_before_the_whole_request_came_ends_the_connection() -> None:
    driver, client = Driver(backends=""), Client()
    it = exchange(driver, client, b"POST", Framing.LENGTH)
    it.begin()
    assert b"Connection: close\r\n" in client.said
    assert client.kept is False
    it.request_body(b"more")
    it.request_end()
    assert not it.pending


def test_a_client_that_leaves_the_line_is_not_served() -> None:
    driver = Driver("a", limit=1, line=2)
    clients = [Client() for _ in range(3)]
    first, second, third = (exchange(driver, client) for client in clients)
    for it in (first, second, third):
        it.begin()
    second.client_gone()
    connected(first, Upstream())
    answer(first)
    assert second.attempt is None
    assert third.attempt is not None
    third.client_gone()
    assert driver.outcomes == [Outcome.OK, Outcome.CLIENT_GONE]
    assert driver.carriers[0].forgotten == 1


@pytest.mark.parametrize(
    ("minor", "keep_alive", "closing", "complete", "framing", "connection", "coding"),
    [
        (1, True, False, True, Framing.LENGTH, b"", False),
        (1, True, False, True, Framing.CHUNKED, b"", True),
        (1, True, False, True, Framing.CLOSE, b"", True),
        (1, False, False, True, Framing.CHUNKED, b"close", True),
        (1, True, True, True, Framing.LENGTH, b"close", False),
        (1, True, False, False, Framing.LENGTH, b"close", False),
        (0, True, False, True, Framing.LENGTH, b"keep-alive", False),
        (0, True, False, True, Framing.CHUNKED, b"close", False),
        (0, True, False, True, Framing.CLOSE, b"close", False),
        (0, False, False, True, Framing.LENGTH, b"close", False),
    ],
)
def test_framing_and_fate_of_the_connection(
    minor: int,
    keep_alive: bool,
    closing: bool,
    complete: bool,
    framing: Framing,
    connection: bytes,
    coding: bool,
) -> None:
    driver, client = Driver(), Client()
    client.closing, client.phase = closing, int(closing)
    it = exchange(driver, client, minor=minor, keep_alive=keep_alive)
    it.complete = complete
    it.begin()
    connected(it, Upstream())
    begin_answer(it, response(framing=framing))
    head, client.said = client.said, b""
    assert (b"Transfer-Encoding: chunked\r\n" in head) is coding
    it.body(b"x")
    fields = [line for line in head.split(b"\r\n") if line.startswith(b"Connection")]
    assert fields == ([b"Connection: " + connection] if connection else [])
    it.end(b"", True, driver.clock)
    assert client.said == (b"1\r\nx\r\n0\r\n\r\n" if coding else b"x")
    assert client.kept is (connection in (b"", b"keep-alive"))


def test_an_interim_answer_is_not_the_answer() -> None:
    driver, client = Driver(), Client()
    for minor, said in ((1, b"HTTP/1.1 100 Fine\r\n\r\n"), (0, b"")):
        it = exchange(driver, client, minor=minor)
        it.begin()
        connected(it, Upstream())
        client.said = b""
        it.interim(response(100, Framing.NONE))
        it.more(driver.clock)
        assert client.said == said
        assert it.status == 0
        it.client_gone()


EVENTS = ["connected", "refused", "reset", "silence", "garbage", "head", "piece", "end"]
EVENTS += ["body", "body ends", "gone"]


@given(
    st.lists(st.sampled_from(EVENTS), max_size=20),
    st.sampled_from([b"GET", b"POST"]),
    st.sampled_from([Framing.NONE, Framing.LENGTH, Framing.CHUNKED]),
    st.booleans(),
)
def test_whatever_happens_every_lease_ends_once(
    events: list[str], method: bytes, framing: Framing, reused: bool
) -> None:
    """`Lease.done` and the doubles object to anything that is done twice."""
    driver, client = Driver(), Client()
    it = exchange(driver, client, method, framing)
    it.begin()
    over = False
    for event in [*events, "gone"]:
        driver.clock += 1.0
        attempt = it.attempt
        sent = attempt is not None and attempt.upstream is not None
        connecting = attempt is not None and not sent
        match event:
            case "connected" if connecting:
                connected(it, Upstream(reused))
            case "refused" if connecting:
                it.broken(it.attempt, Outcome.CONNECT)
            case "reset" | "silence" | "garbage" if sent:
                failures = {"silence": Outcome.TIMEOUT, "garbage": Outcome.SERVER_ERROR}
                it.broken(it.attempt, failures.get(event, Outcome.RESET))
            case "head" if sent and not it.status:
                begin_answer(it, response(framing=Framing.CHUNKED))
            case "piece" if sent and it.status:
                it.body(b"piece")
                it.more(driver.clock)
            case "end" if sent and it.status:
                it.end(b"", True, driver.clock)
            case "body" if not it.complete and client.kept is None:
                it.request_body(b"body")
            case "body ends" if not it.complete and client.kept is None:
                it.request_end()
            case "gone" if not over and client.kept is None:
                over = True
                it.client_gone()
    assert all(not lease.open for lease in driver.leases)
    assert len(driver.outcomes) == len(driver.leases)
    assert driver.active == 0
    assert driver.waits == ""
    assert over or client.cut or client.kept is not None


def test_trailers_reach_only_a_client_that_takes_them() -> None:
    for hop, kept in ((Hop(takes_trailers=True), True), (Hop(), False)):
        driver, client = Driver(), Client()
        it = exchange(driver, client, hop=hop)
        it.begin()
        connected(it, Upstream())
        begin_answer(it, response(200, Framing.CHUNKED, aside=Aside(trailer=b"\r\nTrailer: X-A")))
        assert (b"\r\nTrailer: X-A\r\n" in client.said) is kept
        it.end(b"\r\nX-A: 1", True, driver.clock)
        last = b"0\r\nX-A: 1\r\n\r\n" if kept else b"0\r\n\r\n"
        assert client.said.endswith(b"\r\n\r\n" + last)


def test_a_tunnel_holds_the_lease_until_it_closes() -> None:
    driver, client, upstream = Driver(), Client(), Upstream()
    it = exchange(driver, client, hop=Hop(upgrade=b"websocket"))
    it.begin()
    connected(it, upstream)
    it.switch(it.attempt, response(101, Framing.NONE, b"\r\nX-A: 1", Aside(upgrade=b"websocket")))
    assert client.said == (
        b"HTTP/1.1 101 Fine\r\nX-A: 1\r\nConnection: upgrade\r\nUpgrade: websocket"
        b"\r\nVia: 1.1 lb\r\nX-Backend-Server: x\r\n\r\n"
    )
    assert driver.tunnels == 1
    assert driver.active == 1
    it.tunnel_closed()
    assert driver.outcomes == [Outcome.OK]
    assert driver.active == 0
    assert client.kept is False
