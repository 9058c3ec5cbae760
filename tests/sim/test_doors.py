"""Simulated backends behind a faulty door: what becomes of requests there, worked out by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lb.config import Scenario
from lb.strategies import REGISTRY
from sim.analysis.record import Record
from sim.engine.site import Site
from sim.engine.struck import StruckSite
from sim.engine.world import World
from sim.model.arrivals import Schedule
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves
from tests.sim.test_faults import fault
from tests.sim.test_world import counts

NO_EJECTION = "[outliers]\nenabled = false\n"
CALM = f"[health]\nenabled = false\n[retries]\nmax = 0\n{NO_EJECTION}"
"""Nobody learns and nobody tries again."""
RETRIES = CALM.replace("max = 0", "max = 1\nmin_per_second = 1000")


def replicated(file: Scenario, algorithm: str = "round_robin") -> Record:
    return World(file, Schedule.draw(file), algorithm).replicate()


def paced(*faults: str, n: int = 6, backends: int = 1, more: str = CALM, **other: str) -> Scenario:
    """A request every two seconds, at 2, 4, 6 and so on, that takes one."""
    return scenario(
        *[serves(CONSTANT)] * backends,
        rate=0.5,
        process="deterministic",
        run=f"requests = {n}",
        more=more + "".join(faults),
        **other,
    )


def test_connections_to_one_that_is_down_are_refused() -> None:
    record = replicated(paced(fault("down", "3s", "7s")))
    assert record.arrived.tolist() == [2, 8, 10, 12]
    assert counts(record) == {"completed": 4, "broken": 2}
    assert record.lost.left.tolist() == record.lost.reached.tolist() == [4, 6]


def test_a_crash_loses_what_is_in_flight() -> None:
    """The one that came at 4 is half done at 4.5, and the next finds an empty station."""
    record = replicated(paced(fault("down", "4500ms", "5s")))
    assert record.arrived.tolist() == [2, 6, 8, 10, 12]
    assert (record.lost.reached.tolist(), record.lost.left.tolist()) == ([4], [4.5])
    assert record.left.tolist() == [3, 7, 9, 11, 13]


def test_what_a_crash_loses_is_tried_again_elsewhere() -> None:
    file = paced(fault("down", "4500ms", "9s", "b:1"), backends=2, more=RETRIES)
    record = replicated(file)
    assert (record.completed, record.retried) == (6, 3)
    assert record.latency.tolist() == [1, 1.5, 1, 1, 1, 1]


def test_a_black_hole_answers_nobody_that_comes_in_it() -> None:
    """What was there before is worked off; the limit of the response is that of the proxy."""
    limit = '[timeouts]\nresponse = "2500ms"\n'
    record = replicated(paced(fault("black_hole", "4500ms", "7s"), more=CALM + limit))
    assert record.arrived.tolist() == [2, 4, 8, 10, 12]
    assert counts(record) == {"completed": 5, "timed_out": 1}
    assert record.lost.ended.tolist() == [8.5]
    assert record.lost.left.tolist() == record.lost.reached.tolist() == [6]


def test_what_a_black_hole_has_swallowed_ends_with_the_proxys_own_limit() -> None:
    record = replicated(paced(fault("black_hole", "3s", "5s"), more=CALM + "[timeouts]\n"))
    assert counts(record) == {"completed": 5, "timed_out": 1}
    assert record.lost.ended.tolist() == [64]


def test_a_crash_ends_what_a_black_hole_has_swallowed() -> None:
    record = replicated(paced(fault("black_hole", "3s", "5s"), fault("down", "5s", "5500ms")))
    assert counts(record) == {"completed": 5, "broken": 1}
    assert record.lost.ended.tolist() == [5]


def test_who_fails_fast_does_so_in_a_millisecond_and_without_work() -> None:
    record = replicated(paced(fault("fail_fast", "3s", "7s")))
    assert counts(record) == {"completed": 4, "broken": 2}
    assert record.lost.ended.tolist() == [4.001, 6.001]
    assert record.lost.left.tolist() == record.lost.reached.tolist()


def test_errors_come_after_their_work() -> None:
    record = replicated(paced(fault("errors", "3s", "7s", more="rate = 1")))
    assert counts(record) == {"completed": 4, "broken": 2}
    assert (record.lost.reached.tolist(), record.lost.left.tolist()) == ([4, 6], [5, 7])


def test_a_share_of_errors_is_that_share() -> None:
    file = scenario(
        serves(CONSTANT, workers=9),
        rate=5,
        run="requests = 4000",
        more=CALM + fault("errors", "0s", "1h", more="rate = 0.3"),
    )
    assert replicated(file).failed == pytest.approx(1200, abs=90)  # three standard deviations


def test_a_reset_of_a_kept_connection_is_tried_once_more_where_it_was() -> None:
    """As the proxy does: the first has a fresh connection, and the draws of all others two."""
    file = scenario(
        serves('{ law = "deterministic", mean = "1ms" }'),
        rate=5,
        run="requests = 4000",
        more=CALM + fault("reset", "0s", "1h", more="rate = 0.3"),
    )
    record = replicated(file)
    # From a fresh connection 0.3 break and the rest are kept; from a kept one 0.3 * 0.3 break.
    fresh = 0.09 / (0.7 + 0.09)
    assert record.failed == pytest.approx(4000 * (fresh * 0.3 + (1 - fresh) * 0.09), abs=70)


def test_a_flapping_backend_is_down_and_up_in_turns() -> None:
    record = replicated(paced(fault("flapping", "3s", "11s", more='period = "4s"')))
    assert record.arrived.tolist() == [2, 6, 10, 12]  # down from 3 to 5 and from 7 to 9


def test_a_cold_backend_gets_warm_with_time() -> None:
    """Down from 3 to 4; five times the work at 4, three times half way, at 8."""
    more = 'factor = 5\ndown = "1s"'
    record = replicated(paced(fault("cold_start", "3s", "12s", more=more)))
    assert record.left.tolist() == [3, 9, 13, 16, 18, 19]


def test_a_cold_backend_gets_warm_with_work() -> None:
    record = replicated(paced(fault("cold_start", "3s", "1h", more="factor = 3\nrequests = 2")))
    assert record.left.tolist() == [3, 7, 10, 12, 13, 14]


def test_several_backends_fail_together() -> None:
    file = paced(
        '[[fault]]\nkind = "down"\nbackend = ["b:0", "b:1"]\nfrom = "3s"\nto = "7s"\n', backends=3
    )
    record = replicated(file)
    assert record.arrived.tolist() == [2, 6, 8, 10, 12]


# --- probes

CHECKED = f'[retries]\nmax = 0\n{NO_EJECTION}[health]\njitter = 0\ninterval = "1s"\n'
CHECKED += 'fast_interval = "100ms"\ntimeout = "50ms"\n'


@pytest.mark.parametrize("kind", ["down", "black_hole", "pause", "health_lost"])
def test_checks_find_one_out_that_does_not_answer_them(kind: str) -> None:
    """Asked at 5, and faster then; from three failures on it is left alone, until two are fine."""
    file = scenario(
        *[serves('{ law = "deterministic", mean = "10ms" }')] * 2,
        rate=100,
        process="deterministic",
        run="requests = 1500",
        more=CHECKED + fault(kind, "4500ms", "8s", "b:1") + '[timeouts]\nresponse = "100s"\n',
    )
    record = replicated(file)
    sent = sorted([*record.started[record.backend == 1], *record.lost.started])
    since, until = max(pairwise(sent), key=lambda pair: pair[1] - pair[0])
    if kind == "down":  # three refused connections say so before any check
        assert since == pytest.approx(4.54, abs=0.021)
    else:
        assert since == pytest.approx(5.35, abs=0.021)  # three times 50 ms, two pauses of 100 ms
    assert 8.1 <= until <= 9.2


@pytest.mark.parametrize("kind", ["fail_fast", "errors", "reset"])
def test_checks_are_fine_where_only_requests_fail(kind: str) -> None:
    rate = "" if kind == "fail_fast" else "rate = 1"
    file = scenario(
        *[serves('{ law = "deterministic", mean = "10ms" }')] * 2,
        rate=100,
        process="deterministic",
        run="requests = 1500",
        more=CHECKED + fault(kind, "4500ms", "8s", "b:1", rate),
    )
    assert counts(replicated(file)) == {"completed": 1325, "broken": 175}


# --- in general


def test_only_a_backend_with_a_door_pays_for_one() -> None:
    file = scenario(
        *[serves(CONSTANT)] * 3,
        more=fault("slow", "1s", "2s", "b:1", "factor = 2") + fault("down", "1s", "2s", "b:2"),
    )
    sites = World(file, Schedule.draw(file), "random").sites.values()
    assert [type(site) for site in sites] == [Site, Site, StruckSite]


ANY = [
    fault("down", "10s", "20s"),
    fault("black_hole", "10s", "20s"),
    fault("fail_fast", "10s", "20s"),
    fault("errors", "10s", "50s", more="rate = 0.5"),
    fault("reset", "10s", "50s", more="rate = 0.5"),
    fault("pause", "10s", "20s"),
    fault("cold_start", "10s", "40s", more='factor = 4\ndown = "2s"'),
    fault("flapping", "10s", "40s", more='period = "5s"'),
    fault("health_lost", "10s", "30s"),
    fault("down", "5s", "50s", more='mttf = "5s"\nmttr = "2s"'),
]


@pytest.mark.parametrize("algorithm", sorted(REGISTRY))
@pytest.mark.parametrize("lines", ANY, ids=lambda text: text.split('"')[1])
def test_the_books_balance_under_every_fault(lines: str, algorithm: str) -> None:
    file = scenario(
        *[serves(EXPONENTIAL, workers=4)] * 3,
        rate=6,
        traffic=f"network = {EXPONENTIAL.replace('1s', '10ms')}",
        run="requests = 400",
        more=lines + '[timeouts]\nresponse = "3s"',
    )
    world = World(file, Schedule.draw(file), algorithm)
    record = world.replicate()
    assert sum(counts(record).values()) == record.requests == 400
    snapshot = world.dispatchers[0].balancer.snapshot(world.now)
    assert sum(backend.connections for backend in snapshot.backends) == 0
    again = World(file, Schedule.draw(file), algorithm).replicate()
    assert again.ended.tolist() == record.ended.tolist()
