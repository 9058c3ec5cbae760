"""Reports of workers that live, and of those that have died, as one."""

from dataclasses import replace
from random import Random
from typing import Any

from lb.balancing import Balancer, ProbeResult, Remove, Setup, perform
from lb.balancing.settings import Settings
from lb.measures import Report, Worker
from lb.measures.endpoints import health
from lb.workers.totals import left_by, together

SETUP = Setup((Settings("a:1", max_in_flight=4), Settings("b:1")))


class Call:
    key = b""
    tried = ()
    idempotent = True
    deadline = float("inf")


def balancer(setup: Setup = SETUP) -> Balancer[Any]:
    """All are up."""
    it: Balancer[Any] = Balancer(setup, Random(1), 0.0)
    it.wake(0.0)
    for backend in it.pool.backends:
        it.observed(backend, 0.0, ProbeResult(True, "status 200", 0.001))
    return it


def report(pid: int, done: int, in_flight: int) -> Report:
    """Of a worker that has carried out some calls, and is at work on others."""
    it = balancer()
    leases = [it.admit(Call(), 1.0) for _ in range(done + in_flight)]
    for lease in leases[:done]:
        assert lease is not None
        lease.done(2.0)
    worker = Worker(pid, 0.0, in_flight, done + in_flight, 0.0, 10)
    return Report("pure", it.snapshot(2.0), (worker,))


def books(whole: Report) -> tuple[int, ...]:
    """Requests, and of all backends: picked, succeeded, cancelled, in flight."""
    views = whole.snapshot.backends
    sums = (
        sum(getattr(view, name) for view in views)
        for name in ("picked", "succeeded", "cancelled", "connections")
    )
    return whole.snapshot.requests, *sums


def test_counts_add_up_and_checks_are_those_of_the_main_process() -> None:
    seen = balancer()
    whole = together(seen.snapshot(9.0), "pure", [report(1, 3, 1), report(2, 2, 0)], None)
    assert [worker.pid for worker in whole.workers] == [1, 2]
    assert books(whole) == (6, 6, 5, 0, 1)
    first = whole.snapshot.backends[0]
    assert (first.checks, first.last_check, first.why) == (1, 9.0, "status 200")
    assert first.max_in_flight == 8


def test_who_has_died_leaves_what_it_counted_and_its_books_balance() -> None:
    seen = balancer().snapshot(9.0)
    died = left_by(report(2, 2, 2))
    whole = together(seen, "pure", [report(1, 3, 1)], died)
    assert [worker.pid for worker in whole.workers] == [1]
    assert books(whole) == (8, 8, 5, 2, 1)
    assert whole.snapshot.backends[0].max_in_flight == 4, "it takes nothing any more"
    assert all(view.usable for view in whole.snapshot.backends)
    alone = together(seen, "pure", [], died)
    assert books(alone) == (4, 4, 2, 2, 0)
    assert [view.name for view in alone.snapshot.backends] == ["a:1", "b:1"]


def test_backends_that_have_been_removed_are_not_told_of_by_the_dead() -> None:
    died = left_by(report(2, 2, 0))
    seen = balancer()
    perform(seen, Remove("a:1"), 3.0)
    whole = together(seen.snapshot(9.0), "pure", [], died)
    assert [view.name for view in whole.snapshot.backends] == ["b:1"]
    others = balancer(Setup((Settings("c:1"),))).snapshot(9.0)
    whole = together(others, "pure", [report(1, 1, 0)], None)
    assert [view.name for view in whole.snapshot.backends] == ["c:1"], "it has not heard yet"


def test_a_backend_that_one_of_them_uses_is_usable() -> None:
    """Each has ejected another one: all requests are served."""
    reports = []
    for ejected in (0, 1):
        it = report(ejected, 1, 0)
        views = list(it.snapshot.backends)
        views[ejected] = replace(views[ejected], usable=False, ejected=True, state="ejected")
        reports.append(replace(it, snapshot=replace(it.snapshot, backends=tuple(views))))
    whole = together(balancer().snapshot(9.0), "pure", reports, left_by(reports[0]))
    assert [view.usable for view in whole.snapshot.backends] == [True, True]
    assert [view.state for view in whole.snapshot.backends] == ["ejected", "ejected"]
    assert health(whole.snapshot)[0] == 200
