"""What-ifs: each change of a scenario, alone and together."""

from __future__ import annotations

import re

import pytest

from lb.config import Scenario, changed
from lb.errors import UsageError
from sim import Loss, WhatIf
from sim.fit.predict.current import current
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

FAULT = """
[[fault]]
backend = ["b:0", "b:1"]
kind = "slow"
from = "1s"
to = "2s"
factor = 2
"""


@pytest.fixture
def file() -> Scenario:
    return scenario(
        serves(EXPONENTIAL),
        serves(EXPONENTIAL, workers=2),
        rate=1.5,
        backend=['name = "a"', 'name = "b"'],
        more='algorithm = { name = "p2c", choices = 3 }' + FAULT,
    )


def test_nothing_asked_changes_nothing(file: Scenario) -> None:
    assert WhatIf().applied(file) == file
    assert str(WhatIf()) == "as it is"


def test_an_algorithm_with_parameters(file: Scenario) -> None:
    assert WhatIf("random").applied(file).algorithm.name == "random"
    assert WhatIf("p2c:choices=4").applied(file).algorithm.settings == {"choices": "4"}


def test_the_name_alone_of_the_one_there_is_keeps_its_parameters(file: Scenario) -> None:
    assert WhatIf("p2c").applied(file).algorithm.settings == {"choices": 3}


def test_a_backend_may_be_named_in_a_key(file: Scenario) -> None:
    there = WhatIf(keys={"backend.b.model.workers": 5, "queue.timeout": "9s"}).applied(file)
    assert [model.workers for _, model in there.modelled()] == [1, 5]
    assert there.queue.timeout == 9


def test_weights(file: Scenario) -> None:
    assert [row.weight for row in WhatIf(weights={"b": 3}).applied(file).backends] == [1, 3]


def test_one_more_like_another_has_its_model_and_none_of_its_faults(file: Scenario) -> None:
    there = WhatIf(more=("b", "b")).applied(file)
    assert [row.label for row in there.backends] == ["a", "b", "b-2", "b-3"]
    assert [model.workers for _, model in there.modelled()] == [1, 2, 2, 2]
    assert not any(fault.strikes(row) for fault in there.faults for row in there.backends[2:])


def test_one_less_takes_its_faults_along(file: Scenario) -> None:
    there = WhatIf(without=("a",)).applied(file)
    assert [row.label for row in there.backends] == ["b"]
    assert [fault.backends for fault in there.faults] == [("b:1",)]


def test_a_loss_is_a_fault_and_one_for_good_leaves_nothing_of_its_backend(file: Scenario) -> None:
    lost = WhatIf(lost=(Loss("b", 5.0, 7.0),)).applied(file)
    assert [(it.kind, it.since, it.until) for it in lost.faults][1:] == [("down", 5.0, 7.0)]
    for_good = WhatIf(lost=(Loss("b", 5.0),))
    assert [row.label for row in for_good.left(for_good.applied(file)).backends] == ["a"]
    assert len(lost.backends) == len(for_good.applied(file).backends) == 2


def test_times_the_traffic(file: Scenario) -> None:
    assert WhatIf(rate_times=1.5).applied(file).rate == pytest.approx(2.25)


def test_workers_of_the_proxy_are_balancers(file: Scenario) -> None:
    there = WhatIf(keys={"server.workers": 4}).applied(file)
    assert (there.run.balancers, there.server.workers) == (4, 4)


def test_limits_that_do_not_divide_among_workers_are_told(file: Scenario) -> None:
    there = changed(file, {"backend.0.max_in_flight": 5, "backend.1.max_in_flight": 8})
    four = WhatIf(keys={"server.workers": 4})
    applied = four.applied(there)
    assert [row.max_in_flight for row in applied.backends] == [1, 2]  # 5 live, not 8
    assert applied.queue.limit == there.queue.limit == 0
    (told,) = four.remarks(there)
    assert told == (
        "max_in_flight of a: 5 does not divide among 4 balancers; each is modelled with 1"
    )
    two = WhatIf(keys={"server.workers": 2, "backend.a.max_in_flight": 1}).applied(there)
    assert [row.max_in_flight for row in two.backends] == [1, 4]
    assert not WhatIf().remarks(there)


def test_several_at_once_and_their_name(file: Scenario) -> None:
    asked = WhatIf("random", {"retries.max": 0}, {"a": 2}, ("a",), ("b",), (Loss("a-2", 3),), 2, 3)
    there = asked.applied(file)
    assert [row.label for row in there.backends] == ["a", "a-2"]
    assert (there.run.balancers, there.retries.max, there.rate) == (3, 0, 3.0)
    assert str(asked) == (
        "random, retries.max = 0, weight of a = 2, one more like a, without b, a-2 lost from 3 s "
        "on, rate x 2, balancers = 3"
    )


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (WhatIf("p2d"), "unknown algorithm 'p2d': did you mean 'p2c'?"),
        (WhatIf(keys={"queue.limt": 3}), "queue.limt=3: queue.limt: unknown key; did you mean"),
        (WhatIf(keys={"backend.7.weight": 3}), "backend.7.weight: there are 2, counted from 0"),
        (WhatIf(keys={"run.seed": 3}), "run.seed: all settings are simulated over the same run"),
        (WhatIf(weights={"c": 1}), "no backend is named 'c'; known: a, b, b:0, b:1"),
        (WhatIf(weights={"a": -1}), "a weight is a number above zero, not -1"),
        (WhatIf(without=("a", "b")), "without b no backend is left"),
        (WhatIf(without=("aa",)), "no backend is named 'aa'"),
        (WhatIf(lost=(Loss("a", 5.0, 1.0),)), "1 s is not after the beginning, 5 s"),
    ],
)
def test_what_cannot_be_is_told(file: Scenario, asked: WhatIf, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        asked.applied(file)


def test_as_many_workers_as_the_file_says_change_nothing(file: Scenario) -> None:
    served = changed(file, {"server.workers": 4, "queue.limit": 8, "backend.0.max_in_flight": 8})
    now = current(served, None).scenario
    assert (now.run.balancers, now.queue.limit, now.backends[0].max_in_flight) == (4, 2, 2)
    assert WhatIf(keys={"server.workers": 4}).applied(now) == now
