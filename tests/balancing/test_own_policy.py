"""Checks of one backend by a policy of its own; what is kept of it when a setup changes."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from lb.balancing import (
    Balancer,
    Changed,
    HealthPolicy,
    Joined,
    Left,
    Probe,
    QueuePolicy,
    Settings,
    Setup,
    Start,
)
from lb.balancing.health import Health, ProbeResult
from tests.balancing.test_balancer import BAD, GOOD, admitted, answered, balancer, checked, drained
from tests.doubles import Request

COMMON = HealthPolicy(interval=10.0, fast_interval=1.0, rise=2, fall=3, jitter=0.0)
OWN = HealthPolicy(interval=4.0, fast_interval=0.5, rise=1, fall=1, jitter=0.0)
UNCHECKED = HealthPolicy(enabled=False)
ROWS = (Settings("h:1", name="a"), Settings("h:2", name="b", health=OWN))


def two(*rows: Settings) -> Balancer[Any]:
    made: Balancer[Any] = Balancer(Setup(rows or ROWS, health=COMMON), Random(1))
    made.out.clear()
    return made


def asked(lb: Balancer[Any], until: float) -> list[tuple[float, str]]:
    """When who is asked, with all answers good and at once."""
    times = []
    while lb.wakes_at <= until:
        now = lb.wakes_at
        lb.wake(now)
        for action in drained(lb):
            if isinstance(action, Probe):
                times.append((now, action.backend.name))
                lb.observed(action.backend, now, GOOD)
    return times


def test_each_is_asked_at_its_own_interval() -> None:
    assert asked(two(), 12.0) == [
        *((0.0, "a"), (0.0, "b")),
        *((4.0, "b"), (8.0, "b"), (10.0, "a"), (12.0, "b")),
    ]


def test_each_falls_and_rises_by_its_own_numbers() -> None:
    lb = two()
    answered(lb, {}, 0.0)
    a, b = lb.pool.backends
    for backend in (a, b):
        lb.observed(backend, 1.0, BAD)
    assert (a.health.state, b.health.state) == (Health.UP, Health.DOWN)
    lb.observed(b, 2.0, GOOD)
    assert b.health.state is Health.UP


def test_one_that_is_not_checked_is_up_and_never_asked() -> None:
    lb = two(ROWS[0], Settings("h:2", name="b", health=UNCHECKED))
    assert lb.pool.backends[1].healthy
    assert {name for _, name in asked(lb, 50.0)} == {"a"}
    lease = admitted(lb)
    lease.done(60.0)
    assert not [action for action in drained(lb) if isinstance(action, Probe)]


def test_another_policy_of_one_leaves_the_schedule_of_the_other() -> None:
    lb = two()
    asked(lb, 4.0)
    lb.apply(replace(lb.setup, backends=(ROWS[0], replace(ROWS[1], health=None))), 5.0)
    assert asked(lb, 20.0) == [(8.0, "b"), (10.0, "a"), (18.0, "b"), (20.0, "a")]
    lb.apply(replace(lb.setup, backends=(ROWS[0], replace(ROWS[1], health=UNCHECKED))), 21.0)
    assert {name for _, name in asked(lb, 60.0)} == {"a"}


def test_what_is_known_stays_while_name_and_address_do() -> None:
    """Another address is another backend: it begins unknown, and nobody else is interrupted."""
    lb = two()
    answered(lb, {}, 0.0)
    a, b = lb.pool.backends
    lb.observed(b, 1.0, BAD)
    lease = admitted(lb, 1.0)
    drained(lb)
    rows = (replace(ROWS[0], weight=3), replace(ROWS[1], address="h:9"))
    lb.apply(replace(lb.setup, backends=rows), 2.0)
    assert [type(action) for action in lb.out if isinstance(action, Joined | Left)] == [
        Joined,
        Left,
    ]
    kept, other = lb.pool.backends
    assert kept is a
    assert (kept.health.checks, kept.health.state, kept.configured_weight) == (1, Health.UP, 3)
    assert other is not b
    assert (other.name, other.health.checks, other.health.state) == ("b", 0, Health.UNKNOWN)
    assert lease.open
    lb.observed(b, 3.0, GOOD)  # the last word of one that is gone
    assert other.health.state is Health.UNKNOWN


def test_a_setup_that_is_the_same_changes_nothing_that_is_known() -> None:
    lb = two()
    answered(lb, {}, 0.0)
    lb.observed(lb.pool.backends[1], 1.0, BAD)
    before = lb.snapshot(2.0)
    lb.apply(lb.setup, 2.0)
    assert lb.snapshot(2.0) == before


def test_counts_reasons_and_times_are_told() -> None:
    lb = checked(1)
    (row,) = lb.snapshot(0.0).backends
    assert (row.checks, row.checks_failed, row.checks_lost, row.went_down) == (0, 0, 0, 0)
    assert (row.last_check, row.last_change, row.change, row.why) == (None, None, "", "")
    (backend,) = lb.pool.backends
    lb.observed(backend, 1.0, ProbeResult(True, "status 200"))
    for now in (2.0, 3.0, 4.0, 5.0):
        lb.observed(backend, now, ProbeResult(False, f"broken at {now:g}"))
    lb.observed(backend, 6.0, ProbeResult(False, "no descriptors", ours=True))
    (row,) = lb.snapshot(9.0).backends
    assert (row.checks, row.checks_failed, row.checks_lost, row.went_down) == (5, 4, 1, 1)
    assert (row.last_check, row.last_change) == (4.0, 5.0)
    assert (row.change, row.why) == ("broken at 4", "broken at 5")


def test_a_drain_is_told_once_and_so_is_its_end() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    a, b = lb.pool.backends
    drains = ProbeResult(True, "status 503, drains", drain=True)
    for _ in range(3):
        lb.observed(a, 1.0, drains)
    news = [action for action in drained(lb) if isinstance(action, Changed)]
    assert news == [Changed(a, "status 503, drains")]
    assert (a.standing, a.health.state, a.health.went_down) == ("drain", Health.UP, 0)
    assert {admitted(lb, 1.0).backend for _ in range(3)} == {b}
    lb.observed(a, 2.0, BAD)
    assert a.draining, "one that fails has not changed its mind"
    lb.observed(a, 3.0, GOOD)
    assert not a.draining
    assert Changed(a, "") in drained(lb)


def test_whoever_waits_for_the_only_one_waits_for_its_successor() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=5))
    lease, waiting = admitted(lb), Request()
    assert lb.admit(waiting, 1.0) is None
    (row,) = lb.setup.backends
    lb.apply(replace(lb.setup, backends=(replace(row, address="10.0.0.9:80"),)), 2.0)
    assert lb.setup.backends == (replace(row, address="10.0.0.9:80"),)
    (successor,) = lb.pool.backends
    (start,) = drained(lb)
    assert isinstance(start, Start)
    assert (start.lease.call, start.lease.backend) == (waiting, successor)
    lease.done(3.0)
    assert lease.backend.active == 0
