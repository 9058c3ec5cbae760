"""What each of several workers gets of what is meant for all."""

import pytest

from lb.balancing import Add, Apply, HealthPolicy, QueuePolicy, Setup, SetWeight
from lb.balancing.health import ELSEWHERE
from lb.balancing.settings import Settings
from lb.config import Scenario
from lb.system import cores
from lb.workers.division import (
    change_of,
    offset_of,
    scenario_of,
    settings_of,
    setup_of,
    share,
    workers,
)


@pytest.mark.parametrize(
    ("total", "count", "shares"),
    [(10, 2, [5, 5]), (10, 3, [4, 3, 3]), (2, 3, [1, 1, 1]), (1000, 1, [1000])],
)
def test_shares_add_up_and_nobody_has_less_than_one(
    total: int, count: int, shares: list[int]
) -> None:
    assert [share(total, number, count) for number in range(count)] == shares
    assert sum(shares) == max(total, count)


def test_limits_and_budgets_are_divided_and_shares_are_not() -> None:
    own = HealthPolicy(interval=3.0)
    rows = (Settings("a:1", max_in_flight=7), Settings("b:1", max_in_flight="adaptive", health=own))
    setup = Setup(rows, queue=QueuePolicy(limit=5))
    first, second = (setup_of(setup, number, 2) for number in (0, 1))
    assert [it.backends[0].max_in_flight for it in (first, second)] == [4, 3]
    assert first.backends[1].max_in_flight == "adaptive"
    assert (first.queue.limit, second.queue.limit) == (3, 2)
    assert first.retries.min_per_second == setup.retries.min_per_second / 2
    assert first.retries.budget == setup.retries.budget
    assert (first.subset.instance, second.subset.instance) == (0, 1)


def test_a_line_that_is_off_stays_off() -> None:
    assert setup_of(Setup(), 0, 2).queue.limit == 0


def test_a_worker_asks_nobody_how_he_is_at_an_interval() -> None:
    setup = setup_of(Setup((Settings("a:1", health=HealthPolicy(fast_interval=0.5)),)), 0, 2)
    assert setup.health.interval == ELSEWHERE
    own = setup.backends[0].health
    assert own is not None
    assert (own.interval, own.fast_interval) == (ELSEWHERE, 0.5)


def test_changes_are_divided_as_what_they_bring() -> None:
    settings = Settings("a:1", max_in_flight=3)
    setup = Setup((settings,))
    assert change_of(Add(settings), 1, 2) == Add(settings_of(settings, 1, 2))
    assert change_of(Apply(setup), 1, 2) == Apply(setup_of(setup, 1, 2))
    assert change_of(SetWeight("a:1", 3), 1, 2) == SetWeight("a:1", 3)


def test_clients_are_divided_and_the_rest_of_the_file_is_not() -> None:
    scenario = Scenario.parse("[limits]\nclient_connections = 101\nheader_count = 50")
    found = [scenario_of(scenario, number, 2).limits for number in (0, 1)]
    assert [it.client_connections for it in found] == [51, 50]
    assert [it.header_count for it in found] == [50, 50]


def test_workers_begin_evenly_apart() -> None:
    setup = Setup(tuple(Settings(f"b{number}:1") for number in range(6)))
    assert [offset_of(setup, number, 3) for number in range(3)] == [0, 2, 4]


def test_auto_is_a_worker_for_each_core() -> None:
    assert workers(Scenario.parse('[server]\nworkers = "auto"')) == cores() > 0
    assert workers(Scenario.parse("[server]\nworkers = 3")) == 3
    assert workers(Scenario()) == 1


def test_more_workers_than_cores_are_said_to_be_so() -> None:
    many = Scenario.parse(f"[server]\nworkers = {cores() + 1}")
    assert any("is more than the" in note for note in many.notes())
    assert not any("workers" in note for note in Scenario().notes())
