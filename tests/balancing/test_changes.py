"""Every kind of change, said to a balancer as one value."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from lb.balancing import (
    Add,
    Apply,
    Change,
    Remove,
    SetState,
    Settings,
    SetWeight,
    State,
    Swap,
    perform,
)
from lb.errors import UnknownBackend, UsageError
from tests.balancing.test_balancer import balancer

HERE = ["a", "b"]


def test_each_change_does_what_it_says() -> None:
    lb = balancer(2)
    first = lb.pool.backends[0]
    assert [it.name for it in lb.pool.backends] == HERE
    perform(lb, Add(Settings("10.0.0.9:80", name="z")), 1.0)
    assert [it.name for it in lb.pool.backends] == [*HERE, "z"]
    perform(lb, Remove("z"), 2.0)
    assert [it.name for it in lb.pool.backends] == HERE
    perform(lb, SetState("a", State.DRAIN), 3.0)
    assert first.standing == "drain"
    perform(lb, SetWeight("a", 7), 4.0)
    assert first.configured_weight == 7
    perform(lb, Swap("p2c", {"choices": 3}), 5.0)
    assert (lb.algorithm, lb.setup.settings) == ("p2c", {"choices": 3})
    perform(lb, Apply(replace(lb.setup, algorithm="random", settings={})), 6.0)
    assert lb.algorithm == "random"


@pytest.mark.parametrize("change", [Remove("q"), SetState("q", State.UP), SetWeight("q", 1)])
def test_who_is_not_there_is_told_with_the_nearest_who_is(change: Change) -> None:
    lb = balancer(2)
    with pytest.raises(UnknownBackend, match="no backend is named 'q'; known: a, b"):
        perform(lb, change, 1.0)


def test_nobody_joins_twice() -> None:
    lb = balancer(2)
    with pytest.raises(UsageError, match="'a' is there already"):
        perform(lb, Add(Settings("10.0.0.9:80", name="a")), 1.0)
    assert [it.name for it in lb.pool.backends] == HERE


def test_changes_travel() -> None:
    changes = [Add(Settings("10.0.0.9:80")), SetState("a", State.MAINT), Apply(balancer(1).setup)]
    assert pickle.loads(pickle.dumps(changes)) == changes
