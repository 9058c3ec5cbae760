"""Answers that are tried elsewhere, without sockets: nothing of them reaches the client."""

from __future__ import annotations

import pytest

from lb.balancing import Outcome, RetryPolicy
from lb.proxy.exchange.trial import Trial
from tests.proxy.around import END, Client, Driver, Upstream, exchange, response
from tests.proxy.test_racing import OK, Race

ON_503 = RetryPolicy(on=("reset", 503))


def test_an_answer_with_such_a_status_is_forgotten_with_all_that_comes_behind_it() -> None:
    driver, client = Driver(retries=ON_503), Client()
    it = exchange(driver, client)
    it.begin()
    first, upstream = it.attempt, Upstream()
    assert first is not None
    first.exchange.sent_on(first, upstream, END, 0.0)
    trial = first.exchange
    assert isinstance(trial, Trial)
    first.first_byte_at = 0.1
    trial.head(first, response(503), b"no")
    trial.more(0.1)
    trial.end(b"", True, 0.1)
    assert client.said == b""
    assert upstream.kept is False
    assert driver.outcomes == [Outcome.SERVER_ERROR]
    second = it.attempt
    assert second is not None
    assert second.lease.backend is not first.lease.backend
    second.exchange.sent_on(second, Upstream(), END, 0.2)
    second.exchange.head(second, response(503), b"no")
    second.exchange.end(b"", True, 0.3)
    assert client.said.startswith(b"HTTP/1.1 503 Fine\r\n"), "the last one's very answer"
    assert driver.outcomes == [Outcome.SERVER_ERROR] * 2
    assert driver.balancer.snapshot(1.0).retry_refused["max"] == 1


@pytest.mark.parametrize("which", ["first", "second"])
def test_such_an_answer_leaves_the_request_to_the_other_attempt(which: str) -> None:
    race = Race(retries=ON_503)
    race.connect(race.second)
    one, other = (race.first, race.second) if which == "first" else (race.second, race.first)
    race.answers(one, 503)
    assert race.client.said == b""
    assert race.ends == [Outcome.SERVER_ERROR]
    race.answers(other)
    assert race.ends == [Outcome.SERVER_ERROR, OK]
    assert race.client.said.startswith(b"HTTP/1.1 200 ")
