"""What was counted at backends that are not there any more."""

from __future__ import annotations

from typing import Any

from lb.balancing import Balancer, Outcome, ProbeResult, Settings, Setup, Snapshot
from lb.balancing.departures import KEPT, MOST, Counts, total
from tests.balancing.test_balancer import admitted, balancer


def books(snapshot: Snapshot) -> tuple[int, int]:
    """What must be the same."""
    picked = sum(it.picked for it in snapshot.backends)
    picked += total(snapshot.departed.values()).picked
    told = snapshot.turned_away + snapshot.left_line + snapshot.waiting
    return snapshot.requests + snapshot.retried + snapshot.hedged, picked + told


def renamed(lb: Balancer[Any], *names: str, now: float) -> None:
    """A reload, after which the backends have other names."""
    rows = tuple(Settings(f"10.0.1.{number}:80", name=name) for number, name in enumerate(names))
    lb.apply(Setup(rows), now)
    for backend in lb.pool.backends:
        lb.observed(backend, now, ProbeResult(True, "status 200", 0.1))


def test_nothing_has_departed_at_first() -> None:
    assert balancer(2).snapshot(0.0).departed == {}


def test_what_was_counted_stays_by_name_and_what_is_in_flight_ends_there() -> None:
    lb = balancer(2)
    for outcome in (Outcome.OK, Outcome.RESET, Outcome.CLIENT_GONE, Outcome.CANCELLED):
        for lease in [admitted(lb), admitted(lb)]:
            lease.done(1.0, outcome)
    open_ones = [admitted(lb) for _ in range(4)]
    first = lb.pool.backends[0]
    lb.remove(first, 2.0)
    snapshot = lb.snapshot(2.0)
    expected = Counts(2, 6, 1, 1, 1, 1, checks=first.health.checks)
    assert snapshot.departed == {"a": expected}
    assert books(snapshot) == (12, 12)
    for lease in open_ones:
        lease.done(3.0)
    snapshot = lb.snapshot(3.0)
    assert snapshot.departed == {"a": Counts(0, 6, 3, 1, 1, 1, checks=first.health.checks)}
    assert books(snapshot) == (12, 12)


def test_another_one_of_that_name_counts_from_nothing_and_its_books_go_on() -> None:
    lb = balancer(1)
    admitted(lb).done(1.0)
    renamed(lb, "c", now=2.0)
    admitted(lb).done(2.0)
    renamed(lb, "a", now=3.0)
    admitted(lb).done(3.0)
    snapshot = lb.snapshot(4.0)
    assert [(it.name, it.picked) for it in snapshot.backends] == [("a", 1)]
    assert {name: it.picked for name, it in snapshot.departed.items()} == {"a": 1, "c": 1}
    renamed(lb, "d", now=5.0)
    assert lb.snapshot(5.0).departed["a"].picked == 2
    assert books(lb.snapshot(5.0)) == (3, 3)


def test_names_are_forgotten_after_a_while_unless_they_are_in_use() -> None:
    lb = balancer(2)
    leases = [admitted(lb) for _ in range(2)]
    leases[0].done(1.0)
    renamed(lb, "c", now=2.0)
    renamed(lb, "c", "a", now=3.0)
    admitted(lb).done(3.0)
    renamed(lb, "a", now=4.0)
    late = 4.0 + KEPT
    assert lb.snapshot(late - 0.1).departed.keys() == {"a", "b", "c"}
    departed = lb.snapshot(late).departed
    assert {name: it.picked for name, it in departed.items()} == {"a": 1, "b": 1, "": 1}
    assert departed["b"].connections == 1, "it has something in flight"
    leases[1].done(late)
    assert lb.snapshot(late + KEPT).departed.keys() == {"a", ""}
    assert books(lb.snapshot(late + KEPT)) == (3, 3)


def test_names_that_come_and_go_do_not_pile_up() -> None:
    lb = balancer(1)
    for number in range(1_000):
        renamed(lb, f"n{number}", now=1.0)
        admitted(lb).done(1.0)
    departed = lb.snapshot(1.0).departed
    assert len(departed) == MOST + 1
    assert departed[""].picked == 999 - MOST
    assert books(lb.snapshot(1.0)) == (1_000, 1_000)
