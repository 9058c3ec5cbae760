"""Two attempts at one request, without sockets: the first answer wins, every lease ends once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing import HedgePolicy, Outcome, RetryPolicy
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.exchange import Exchange
from lb.proxy.exchange.transitions import Stage
from lb.proxy.http.framing import Framing
from lb.proxy.http.request import Hop
from tests.proxy.around import END, HEAD, Client, Driver, Upstream, exchange, response

OK, CANCELLED, RESET = Outcome.OK, Outcome.CANCELLED, Outcome.RESET
TIMEOUT, GONE = Outcome.TIMEOUT, Outcome.CLIENT_GONE
NONE = Framing.NONE


class Race:
    """An exchange that is hedged: both attempts, and what their connections do."""

    def __init__(self, first_sent: bool = True, hop: Hop | None = None, **policies: object) -> None:
        policies.setdefault("hedging", HedgePolicy(after=0.5))
        self.driver = Driver("abc", **policies)
        self.client = Client()
        self.it: Exchange = exchange(self.driver, self.client, hop=hop)
        self.it.begin()
        self.first = self.attempt
        self.upstreams: dict[int, Upstream] = {}
        if first_sent:
            self.connect(self.first)
        self.driver.clock = 0.5
        self.driver.dispatcher._wake()
        assert self.it.state == Stage.RACING
        self.second: Attempt = self.it._hedge.attempt

    @property
    def attempt(self) -> Attempt:
        assert self.it.attempt is not None
        return self.it.attempt

    @property
    def ends(self) -> list[Outcome]:
        """All of them are measured, too, each as what it was."""
        measured: Counter[str] = Counter()
        for series, durations in self.driver.measured.client.items():
            measured[series.outcome] += durations.count
        assert measured == Counter(outcome.value for outcome in self.driver.outcomes)
        return self.driver.outcomes

    def connect(self, attempt: Attempt, reused: bool = False) -> Upstream:
        upstream = self.upstreams[id(attempt)] = Upstream(reused)
        attempt.exchange.sent_on(attempt, upstream, END, self.driver.clock)
        return upstream

    def answers(self, attempt: Attempt, status: int = 200) -> None:
        """As a connection brings an answer that comes in one piece."""
        exchange = attempt.exchange
        now = attempt.first_byte_at = self.driver.clock
        exchange.head(attempt, response(status, lines=b"\r\nContent-Length: 2"), b"ok")
        exchange.end(b"", True, now)

    def breaks(self, attempt: Attempt, outcome: Outcome = RESET) -> None:
        attempt.exchange.broken(attempt, outcome)


def test_a_hedge_is_sent_the_same_request() -> None:
    race = Race()
    assert race.second.lease.backend is not race.first.lease.backend
    assert race.connect(race.second).got == HEAD + END == race.upstreams[id(race.first)].got


@pytest.mark.parametrize("second_sent", [True, False])
def test_the_first_one_wins_and_the_hedge_is_cancelled(second_sent: bool) -> None:
    race = Race()
    if second_sent:
        race.connect(race.second)
    race.driver.clock = 0.7
    race.answers(race.first)
    assert race.ends == [CANCELLED, OK]
    assert race.client.said.endswith(b"\r\n\r\nok")
    assert race.client.kept is True
    assert race.upstreams[id(race.first)].kept is True
    assert race.driver.active == 0
    assert race.driver.waits == ""
    if second_sent:
        assert race.upstreams[id(race.second)].kept is False
    else:
        assert sum(carrier.forgotten for carrier in race.driver.carriers) == 1


@pytest.mark.parametrize("first_sent", [True, False])
def test_the_hedge_wins_and_the_first_one_is_cancelled(first_sent: bool) -> None:
    race = Race(first_sent)
    race.connect(race.second)
    race.driver.clock = 0.7
    race.answers(race.second)
    assert race.ends == [CANCELLED, OK]
    assert race.client.said.endswith(b"\r\n\r\nok")
    assert race.client.kept is True
    assert race.upstreams[id(race.second)].kept is True
    assert race.driver.active == 0
    assert race.driver.waits == ""
    snapshot = race.driver.balancer.snapshot(1.0)
    assert (snapshot.hedged, snapshot.hedges_won) == (1, 1)
    first, second = race.first.lease.backend, race.second.lease.backend
    assert first.response_time is None
    assert second.response_time == pytest.approx(0.2)


@pytest.mark.parametrize("which", ["first", "second"])
@pytest.mark.parametrize("second_sent", [True, False])
def test_whoever_is_left_answers(which: str, second_sent: bool) -> None:
    race = Race()
    if second_sent:
        race.connect(race.second)
    broken, other = (race.first, race.second) if which == "first" else (race.second, race.first)
    race.breaks(broken, RESET if broken.upstream else Outcome.CONNECT)
    assert len(race.ends) == 1
    assert race.client.kept is None
    assert race.attempt is other
    if other.upstream is None:
        assert race.it.state == Stage.CONNECTING
        race.connect(other)
    assert race.it.state == Stage.SENT
    assert race.driver.waits == "owed"
    race.answers(other)
    assert race.ends[1:] == [OK]
    assert race.client.kept is True


def test_both_break_and_the_client_hears_of_it_once() -> None:
    race = Race()
    race.connect(race.second)
    race.breaks(race.second)
    race.breaks(race.first)
    assert race.ends == [RESET, RESET]
    assert race.client.said.startswith(b"HTTP/1.1 502 ")
    assert race.client.said.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_stale_connection_is_no_failure(which: str) -> None:
    race = Race(first_sent=False)
    attempt = race.first if which == "first" else race.second
    race.connect(attempt, reused=True)
    race.breaks(attempt)
    assert race.ends == []
    assert race.it.state == Stage.RACING
    again = race.attempt if which == "first" else race.it._hedge.attempt
    assert again is not attempt
    assert again.fresh
    assert again.lease is attempt.lease
    race.connect(again)
    race.answers(again)
    assert race.ends == [CANCELLED, OK]


@pytest.mark.parametrize("second_sent", [True, False])
@pytest.mark.parametrize("first_sent", [True, False])
def test_a_client_that_leaves_ends_both(first_sent: bool, second_sent: bool) -> None:
    race = Race(first_sent)
    if second_sent:
        race.connect(race.second)
    race.it.client_gone()
    assert race.ends == [GONE, GONE]
    assert race.driver.active == 0
    assert race.driver.waits == ""


@pytest.mark.parametrize("second_sent", [True, False])
@pytest.mark.parametrize("first_sent", [True, False])
def test_a_request_that_takes_too_long_ends_both(first_sent: bool, second_sent: bool) -> None:
    race = Race(first_sent)
    race.driver.timers.total.start(race.it, 0.0)
    if second_sent:
        race.connect(race.second)
    race.it.timed_out()
    expected = [TIMEOUT if sent else CANCELLED for sent in (second_sent, first_sent)]
    assert race.ends == expected
    assert race.client.said.startswith(b"HTTP/1.1 504 ")
    assert race.driver.dispatcher.refused["too_late"] == 1


def test_silence_and_a_try_that_takes_too_long_leave_the_request_to_the_hedge() -> None:
    for silent in (True, False):
        race = Race()
        race.connect(race.second)
        if silent:
            race.it.silent()
        else:
            race.it.overdue(race.first.lease)
        assert race.ends == [TIMEOUT]
        race.it.overdue(race.first.lease)
        race.answers(race.second)
        assert race.ends == [TIMEOUT, OK]


def test_a_hedge_that_takes_too_long_leaves_the_first_one() -> None:
    race = Race()
    race.connect(race.second)
    race.it.overdue(race.second.lease)
    assert race.ends == [TIMEOUT]
    race.answers(race.first)
    assert race.ends == [TIMEOUT, OK]


@pytest.mark.parametrize("which", ["first", "second"])
def test_what_waits_at_a_silent_backend_goes_on_where_the_other_attempt_is(which: str) -> None:
    race = Race(retries=RetryPolicy(max=0))
    race.connect(race.second)
    one, other = (race.first, race.second) if which == "first" else (race.second, race.first)
    one.exchange.recall(one.lease.backend)
    assert race.ends == [TIMEOUT]
    assert race.attempt is other
    other.exchange.recall(other.lease.backend)
    assert race.ends == [TIMEOUT], "nobody else may be asked"
    race.answers(other)
    assert race.ends == [TIMEOUT, OK]


def test_interim_answers_of_the_first_one_pass_and_those_of_the_hedge_do_not() -> None:
    race = Race()
    race.connect(race.second)
    for attempt in (race.second, race.first):
        attempt.exchange.interim(response(103, NONE))
        attempt.exchange.more(race.driver.clock)
    assert race.client.said == b"HTTP/1.1 103 Fine\r\n\r\n"
    race.breaks(race.first)
    race.second.exchange.interim(response(103, NONE))
    race.second.exchange.more(race.driver.clock)
    assert race.client.said.count(b"103") == 2, "now it is the one that leads"
    race.answers(race.second)


def test_a_client_that_does_not_read_is_minded_when_one_goes_on() -> None:
    race = Race()
    race.connect(race.second)
    race.client.full = True
    race.it.client_full()
    race.breaks(race.first)
    assert race.driver.waits == "stalled"
    race.client.full = False
    race.it.client_drains()
    assert race.driver.waits == "owed"
    race.answers(race.second)


def test_a_full_backend_of_a_hedged_request_holds_nobody() -> None:
    race = Race()
    race.connect(race.second)
    for attempt in (race.first, race.second):
        attempt.exchange.backend_full()
        attempt.exchange.backend_drains()
    assert race.client.reading
    race.answers(race.second)


def test_a_hedge_that_comes_when_the_answer_has_begun_is_given_back() -> None:
    race = Race()
    race.driver.clock, balancer = 0.6, race.driver.balancer
    race.first.exchange.head(race.first, response())
    lease = balancer._start(race.it, balancer.pool.backends[2], 0.6)
    race.it.start(lease)
    assert not lease.open
    race.it.body(b"ok")
    race.it.end(b"", True, 0.7)
    assert race.ends == [CANCELLED, CANCELLED, OK]


EVENTS = ["connects", "breaks", "answers", "refuses", "overdue", "interim", "gone", "time", "full"]


@given(
    st.lists(st.tuples(st.sampled_from(EVENTS), st.booleans()), max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_whatever_happens_every_lease_ends_once_and_the_client_hears_one_thing(
    events: list[tuple[str, bool]], first_sent: bool, reused: bool
) -> None:
    race = Race(first_sent, retries=RetryPolicy(max=2, on=("connect", "reset", "timeout", 503)))
    it, client = race.it, race.client
    for event, second in [*events, ("gone", False)]:
        if client.kept is not None or client.cut or it.state == Stage.OVER:
            break
        attempt = it.attempt
        if it.state == Stage.RACING and second:
            attempt = it._hedge.attempt
        if attempt is None:
            continue
        sent = attempt.upstream is not None
        race.driver.clock += 0.1
        match event:
            case "connects" if not sent:
                race.connect(attempt, reused)
            case "breaks":
                race.breaks(attempt, RESET if sent else Outcome.CONNECT)
            case "answers" | "refuses" if sent:
                race.answers(attempt, 200 if event == "answers" else 503)
            case "overdue":
                it.overdue(attempt.lease)
            case "interim" if sent:
                attempt.exchange.interim(response(103, NONE))
                attempt.exchange.more(race.driver.clock)
            case "full":
                client.full = not client.full
                if client.full:
                    it.client_full()
                else:
                    it.client_drains()
            case "time":
                it.timed_out()
            case "gone":
                it.client_gone()
    driver = race.driver
    assert all(not lease.open for lease in driver.leases)
    assert len(driver.outcomes) == len(driver.leases)
    assert driver.active == 0
    assert driver.waits == ""
    assert client.said.count(b"HTTP/1.1 2") + client.said.count(b"HTTP/1.1 5") <= 1
