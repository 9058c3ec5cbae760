"""The dispatcher without sockets: one exact alarm, and actions in the order they were asked for."""

from __future__ import annotations

import pytest

from lb.balancing import Refuse, Why
from lb.proxy.dispatcher import AT_ONCE, TURNS
from lb.strategies import Outcome
from tests.proxy.around import Client, Driver, Upstream, answer, connected, exchange


def waiting(driver: Driver, count: int) -> list[Client]:
    """Clients in line behind one that holds the only backend."""
    clients = [Client() for _ in range(count + 1)]
    for client in clients:
        exchange(driver, client).begin()
    return clients[1:]


def set_at(driver: Driver) -> list[float]:
    """When the alarm will ring, in seconds from now."""
    return [pytest.approx(at) for at in driver.loop.alarms.values()]  # type: ignore[misc]


def test_nothing_that_falls_due_sets_no_alarm() -> None:
    driver = Driver("a", limit=1)
    exchange(driver, Client()).begin()
    driver.dispatcher.drain()
    assert driver.loop.alarms == {}


def test_the_alarm_is_exact_and_there_is_one() -> None:
    driver = Driver("a", limit=1, line=5)  # for a second at most
    first, second = waiting(driver, 2)
    assert set_at(driver) == [1.0]
    driver.clock = 0.4
    (third,) = waiting_more(driver)
    assert set_at(driver) == [1.0]  # still that of the first
    driver.clock = 1.0
    driver.loop.ring()
    assert [b"503" in it.said for it in (first, second, third)] == [True, True, False]
    assert set_at(driver) == [0.4]  # that of the third, from here
    driver.clock = 1.4
    driver.loop.ring()
    assert b"queue_timeout" in third.said
    assert driver.loop.alarms == {}


def waiting_more(driver: Driver) -> list[Client]:
    client = Client()
    exchange(driver, client).begin()
    return [client]


def test_an_alarm_that_rings_too_early_is_set_again() -> None:
    """An event loop may round down; nothing is decided before its time."""
    driver = Driver("a", limit=1, line=1)
    (client,) = waiting(driver, 1)
    driver.clock = 0.9996
    driver.loop.ring()
    assert client.said == b""
    (again,) = driver.loop.alarms.values()
    assert 0.0004 <= again <= 0.001 + 1e-9  # not at once, over and over
    driver.clock += again
    driver.loop.ring()
    assert b"queue_timeout" in client.said


def test_an_alarm_that_nobody_needs_any_more_rings_once_at_most() -> None:
    driver = Driver("a", limit=1, line=1)
    client = Client()
    first = exchange(driver, Client())
    first.begin()
    second = exchange(driver, client)
    second.begin()
    assert len(driver.loop.alarms) == 1
    second.client_gone()
    driver.clock = 1.0
    for _ in list(driver.loop.alarms):
        driver.loop.ring()
    assert driver.loop.alarms == {}
    assert client.said == b""


def test_one_that_ends_brings_the_next_in_line_to_its_connection() -> None:
    """The connection is free before the balancer's wish is carried out."""
    driver = Driver("a", limit=1, line=1)
    first, client = exchange(driver, Client()), Client()
    first.begin()
    second = exchange(driver, client)
    second.begin()
    upstream = Upstream()
    connected(first, upstream)
    freed = []
    carrier = driver.carriers[0]
    carrier.carry = lambda attempt, now: freed.append(upstream.kept)  # type: ignore[method-assign]
    answer(first)
    assert freed == [True]


def test_actions_that_lead_to_others_do_not_pile_up() -> None:
    """Each refusal frees nothing and asks for nothing; a thousand of them are one loop."""
    driver = Driver("a", limit=1, line=1000)
    clients = waiting(driver, 1000)
    driver.clock = 5.0
    driver.loop.ring()
    assert all(b"queue_timeout" in client.said for client in clients)


def test_a_refusal_of_somebody_who_has_left_meanwhile_is_nothing() -> None:
    driver = Driver("a", limit=1, line=1)
    client = Client()
    it = exchange(driver, client)
    it.begin()
    it.client_gone()
    driver.balancer.out.append(Refuse(it, Why.NO_BACKEND))
    driver.dispatcher.drain()
    assert client.said == b""
    assert driver.outcomes == [Outcome.CLIENT_GONE]


@pytest.mark.parametrize("count", [1, AT_ONCE, 3 * AT_ONCE, 40 * AT_ONCE])
def test_idle_connections_of_every_backend_are_looked_at_in_turn(count: int) -> None:
    driver = Driver("".join(chr(0x4E00 + number) for number in range(count)))  # a letter for each
    looked: list[int] = []
    for number, carrier in enumerate(driver.carriers):
        carrier.close_idle = lambda since, it=number: looked.append(it)  # type: ignore[attr-defined]
    for _ in range(TURNS):
        before = len(looked)
        driver.dispatcher.close_some_idle(0.0)
        assert len(looked) - before <= max(AT_ONCE, count // 20 + 1)
    assert set(looked) == set(range(count))
    looked.clear()
    driver.dispatcher.close_idle(0.0)
    assert looked == list(range(count))
