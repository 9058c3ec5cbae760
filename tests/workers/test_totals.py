"""Reports of workers that live, and of those that have died, as one."""

from dataclasses import replace
from random import Random
from typing import Any

from lb.balancing import Balancer, ProbeResult, Remove, Setup, perform
from lb.balancing.departures import total
from lb.balancing.settings import Settings
from lb.measures import Report, Series, Worker
from lb.measures.endpoints import health
from lb.measures.histogram import Histogram
from lb.workers.totals import left, left_by, together

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


def picked(whole: Report) -> tuple[int, int]:
    """Requests, and all that was picked: these must be the same."""
    snapshot = whole.snapshot
    counts = [*(view.counts for view in snapshot.backends), *snapshot.departed.values()]
    for it in counts:
        assert it.picked == it.succeeded + it.failed + it.gone + it.cancelled + it.connections
    return snapshot.requests, total(counts).picked


def test_books_balance_when_a_backend_and_a_worker_have_gone() -> None:
    """One has not heard of the removal when it tells, one has, one is killed."""
    seen = balancer()
    killed, slow = report(1, 3, 2), report(2, 2, 1)
    quick = balancer()
    leases = [quick.admit(Call(), 1.0) for _ in range(4)]
    perform(seen, Remove("a:1"), 3.0)
    perform(quick, Remove("a:1"), 3.0)
    for lease in leases[:2]:
        assert lease is not None
        lease.done(3.0)
    third = Report("pure", quick.snapshot(3.0))
    former = left(None, killed, seen.snapshot(4.0))
    whole = together(seen.snapshot(4.0), "pure", [slow, third], former)
    assert picked(whole) == (12, 12)
    departed = whole.snapshot.departed["a:1"]
    assert (departed.picked, departed.connections, departed.cancelled) == (7, 2, 1)
    assert departed.checks == 1, "those of the main process"
    assert whole.snapshot.backends[0].connections == 1
    whole = together(seen.snapshot(4.0), "pure", [], former)
    assert picked(whole) == (5, 5)


def test_a_backend_that_comes_back_finds_what_the_dead_have_counted() -> None:
    seen = balancer()
    former = left_by(report(1, 4, 0))
    live = report(2, 2, 0)
    others = tuple(view for view in live.snapshot.backends if view.name != "a:1")
    requests = sum(view.picked for view in others)
    live = replace(live, snapshot=replace(live.snapshot, backends=others, requests=requests))
    whole = together(seen.snapshot(4.0), "pure", [live], former)
    assert picked(whole) == (5, 5), "the worker has not heard of it yet"
    assert whole.snapshot.departed["a:1"].picked == 2


def test_names_that_nobody_knows_any_more_are_not_told_by_the_dead() -> None:
    former = report(1, 4, 0)
    durations = Histogram()
    durations.take([0.1])
    series = {Series(name, 200, "ok"): durations for name in ("a:1", "b:1", "c:1")}
    others = balancer(Setup((Settings("b:1"),)))
    former = left(None, replace(former, server=series, client=series), others.snapshot(4.0))
    assert former.snapshot.departed.keys() == {""}
    assert {it.backend for it in former.server} == {"b:1"}
    assert {it.backend: n.count for it, n in former.client.items()} == {"b:1": 1, "": 2}
    former = left(former, report(2, 2, 1), others.snapshot(4.0))
    assert former.snapshot.departed[""].picked == 4, "two each"
    assert picked(together(others.snapshot(4.0), "pure", [], former)) == (7, 7)
