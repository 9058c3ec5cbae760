"""How long requests took, by what they are told apart by."""

from __future__ import annotations

import pytest

from lb.balancing.departures import KEPT, MOST
from lb.measures import Requests, Series
from lb.measures.requests import added


def test_what_took_as_long_as_its_one_attempt_counts_as_both() -> None:
    requests = Requests()
    whole = requests.whole("a")
    whole[200] = [0.1, 0.2]
    whole[503] = [0.3]
    expected = {Series("a", 200, "ok"): 2, Series("a", 503, "server_error"): 1}
    for _ in range(2):  # asking counts nothing twice
        assert {series: it.count for series, it in requests.server.items()} == expected
        assert {series: it.count for series, it in requests.client.items()} == expected
    whole[200].append(0.5)
    assert requests.server[Series("a", 200, "ok")].count == 3


def test_a_request_and_its_attempts_are_told_apart() -> None:
    requests = Requests()
    requests.tried("a", 0, "reset", 0.1)
    requests.tried("b", 200, "ok", 0.2)
    requests.served("b", 200, "ok", 0.3)
    assert {series: it.sum for series, it in requests.server.items()} == {
        Series("b", 200, "ok"): 0.3
    }
    assert {series: it.sum for series, it in requests.client.items()} == {
        Series("a", 0, "reset"): 0.1,
        Series("b", 200, "ok"): 0.2,
    }


def test_what_was_handed_out_does_not_change() -> None:
    requests = Requests()
    requests.served("a", 200, "ok", 0.3)
    before = requests.server
    requests.served("a", 200, "ok", 0.3)
    both = added(before, requests.server)
    assert [it.count for it in before.values()] == [1]
    assert [it.count for it in both.values()] == [3]


def test_good_answers_and_ends_are_counted_over_all_backends_for_good() -> None:
    requests = Requests()
    requests.whole("a")[200] = [0.1, 0.1]
    requests.whole("a")[500] = [0.2]
    requests.served("b", 200, "ok", 0.1)
    requests.served("", 503, "no_backend", 0.0)
    requests.left("a", 0.0)
    requests.fold_sometimes(KEPT)
    assert requests.ends == {"ok": 3, "server_error": 1, "no_backend": 1}
    assert requests.good.fine.total() == 3
    assert requests.good.quantile(1) == pytest.approx(0.1, rel=0.005)


def test_a_backend_that_has_left_is_forgotten_after_a_while() -> None:
    requests = Requests()
    requests.whole("a")[200] = [0.1]
    requests.whole("b")[200] = [0.1]
    requests.tried("a", 0, "connect", 0.1)
    requests.left("a", 100.0)
    requests.left("b", 100.0)
    requests.fold_sometimes(100.0 + KEPT - 1)
    assert {series.backend for series in requests.server} == {"a", "b"}
    assert requests.whole("b")[200] == []  # another one of that name is there
    requests.fold_sometimes(100.0 + KEPT)
    assert {series.backend for series in requests.server} == {"b"}
    assert {series: it.count for series, it in requests.client.items()} == {
        Series("b", 200, "ok"): 1,
        Series("", 200, "ok"): 1,
        Series("", 0, "connect"): 1,
    }


def test_what_ends_at_a_forgotten_backend_is_not_named_for_long() -> None:
    requests = Requests()
    for name in ("a", "b"):
        requests.whole(name)
    requests.left("a", 0.0)
    requests.fold_sometimes(KEPT)
    requests.tried("a", 200, "ok", 0.1)
    requests.served("a", 200, "ok", 0.1)
    assert requests.client.keys() == {Series("a", 200, "ok")}
    requests.left("b", KEPT)
    requests.fold_sometimes(2 * KEPT)
    assert requests.server == {}
    assert {series: it.count for series, it in requests.client.items()} == {
        Series("", 200, "ok"): 1
    }
    assert requests.ends == {"ok": 1}


def test_names_that_come_and_go_do_not_pile_up() -> None:
    requests = Requests()
    for number in range(5_000):
        requests.whole(f"b{number}")[200] = [0.1]
        requests.fold()
        requests.left(f"b{number}", 0.0)
    requests.fold_sometimes(1.0)
    assert len(requests.server) == MOST
    assert len(requests.client) == MOST + 1
    assert sum(it.count for it in requests.client.values()) == 5_000
