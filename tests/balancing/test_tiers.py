"""Tiers of a balancer: who comes first, who is spilled over to, and who keeps a home."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from scipy import stats

from lb.balancing import (
    Balancer,
    HealthPolicy,
    LoadReport,
    Outcome,
    PanicPolicy,
    Probe,
    ProbeKind,
    QueuePolicy,
    Refuse,
    RetryPolicy,
    Settings,
    Setup,
    Start,
    State,
    SubsetPolicy,
    TierPolicy,
    Why,
)
from lb.errors import UsageError
from lb.strategies import REGISTRY
from tests.balancing.test_balancer import admitted, drained
from tests.doubles import Request


def tiered(*priorities: int, algorithm: str = "round_robin", **more: Any) -> Balancer:
    """Backends a, b, .. of these priorities, all up; nobody panics."""
    zones = more.pop("zones", "." * len(priorities))
    limit = more.pop("max_in_flight", None)
    rows = tuple(
        Settings(
            f"10.0.0.{n}:80",
            name="abcdefgh"[n],
            max_in_flight=limit,
            priority=priority,
            zone=zones[n].strip("."),
        )
        for n, priority in enumerate(priorities)
    )
    more.setdefault("health", HealthPolicy(enabled=False))
    more.setdefault("panic", PanicPolicy(0.0))
    lb: Balancer = Balancer(Setup(rows, algorithm, **more), Random(1))
    lb.out.clear()
    return lb


def out(lb: Balancer, *names: str, state: State = State.MAINT) -> None:
    for backend in lb.pool.backends:
        if backend.name in names:
            lb.set_state(backend, state, 0.0)


def served(lb: Balancer, calls: int = 12, **call: Any) -> str:
    leases = [admitted(lb, **call) for _ in range(calls)]
    for lease in leases:
        lease.done(0.0)
    return "".join(lease.backend.name for lease in leases)


def who(lb: Balancer, calls: int = 12, **call: Any) -> str:
    return "".join(sorted(set(served(lb, calls, **call))))


# --- who comes first


def test_backups_are_used_when_nobody_else_can_take_it_all() -> None:
    lb = tiered(0, 0, 1, 2)
    assert who(lb) == "ab"
    out(lb, "a", "b")
    assert who(lb) == "c"
    out(lb, "c")
    assert who(lb) == "d"
    out(lb, "a", "b", "c", state=State.UP)
    assert who(lb) == "ab"


def test_of_one_priority_the_local_zone_comes_first() -> None:
    lb = tiered(0, 0, 0, 1, zones="xyxx", tiers=TierPolicy(local_zone="x"))
    assert who(lb) == "ac"
    out(lb, "a", "c")
    assert who(lb) == "b"
    out(lb, "b")
    assert who(lb) == "d"


def test_zones_mean_nothing_to_who_has_none_of_its_own() -> None:
    assert who(tiered(0, 0, 0, zones="xy.")) == "abc"


def test_the_share_that_is_missing_is_spilled_over() -> None:
    """Two of four: 1.4 times one half stays, the rest goes to the backups."""
    lb = tiered(0, 0, 0, 0, 1)
    out(lb, "a", "b")
    picks = Counter(served(lb, 20_000))
    assert set(picks) == set("cde")
    assert stats.binomtest(picks["e"], 20_000, 0.3).pvalue > 1e-3
    assert abs(picks["c"] - picks["d"]) <= 1, "inside a tier its own strategy goes on as it does"


def test_another_factor_spills_over_more() -> None:
    lb = tiered(0, 0, 0, 0, 1, tiers=TierPolicy(overprovisioning=1.0))
    out(lb, "a")
    picks = Counter(served(lb, 20_000))
    assert stats.binomtest(picks["e"], 20_000, 0.25).pvalue > 1e-3


def test_nothing_is_drawn_while_the_first_tier_takes_it_all() -> None:
    lb = tiered(0, 0, 0, 1)
    out(lb, "c")
    out(lb, "c", state=State.UP)
    state = lb.fleet.rng.getstate()  # type: ignore[attr-defined]
    assert who(lb) == "abc"
    assert lb.fleet.rng.getstate() == state  # type: ignore[attr-defined]


# --- limits, lines and retries


def test_a_tier_at_its_limits_passes_calls_on() -> None:
    lb = tiered(0, 0, 1, max_in_flight=1, queue=QueuePolicy(limit=5))
    leases = [admitted(lb) for _ in range(3)]
    assert [lease.backend.name for lease in leases] == ["a", "b", "c"]
    waits = Request()
    assert lb.admit(waits, 0.0) is None
    leases[2].done(1.0)
    (start,) = drained(lb)
    assert (start.lease.call, start.lease.backend.name) == (waits, "c")


def test_what_is_spilled_over_goes_back_where_backups_are_full() -> None:
    lb = tiered(0, 0, 1, max_in_flight=1)
    out(lb, "a", "b")
    out(lb, "a", state=State.UP)  # 0.7 of the traffic, and one call at a time
    names = {admitted(lb).backend.name for _ in range(2)}
    assert names == {"a", "c"}
    assert lb.admit(Request(), 0.0) is None


def test_a_retry_goes_to_another_tier_before_it_repeats() -> None:
    lb = tiered(0, 0, 1, retries=RetryPolicy(max=3))
    lease, names = admitted(lb), []
    for _ in range(4):
        names.append(lease.backend.name)
        lb.failed(lease, 0.0, Outcome.RESET, sent=True)
        starts = [action for action in drained(lb) if isinstance(action, Start)]
        if not starts:  # a pause, since nobody is left who has not been tried
            assert len(names) == 3
            lb.wake(lb.wakes_at)
            starts = drained(lb)
        lease = starts[0].lease
        if len(names) == 3:
            names.append(lease.backend.name)
            break
    assert sorted(names[:2]) == ["a", "b"]
    assert names[2] == "c"
    assert names[3] in "abc"


def test_a_retry_passes_a_tier_whose_only_other_one_is_at_its_limit() -> None:
    lb = tiered(0, 0, 1, max_in_flight=2, retries=RetryPolicy(max=3))
    a, b, c = lb.pool.backends
    mine, *_ = [admitted(lb) for _ in range(4)]
    assert (a.active, b.active, c.active) == (2, 2, 0)
    lb.failed(mine, 0.0, Outcome.RESET, sent=True)
    (start,) = [action for action in drained(lb) if isinstance(action, Start)]
    assert start.lease.backend is c


# --- what reaches all tiers


def test_another_algorithm_and_other_weights_reach_every_tier() -> None:
    lb = tiered(0, 0, 1, 1)
    lb.swap("weighted_round_robin")
    lb.set_weight(lb.pool.backends[0], 3, 0.0)
    lb.set_weight(lb.pool.backends[3], 3, 0.0)
    assert Counter(served(lb, 8)) == {"a": 6, "b": 2}
    out(lb, "a", "b")
    assert Counter(served(lb, 8)) == {"c": 2, "d": 6}


def test_an_algorithm_that_is_unknown_changes_nothing_in_any_tier() -> None:
    lb = tiered(0, 1)
    with pytest.raises(UsageError):
        lb.swap("nonsense")
    assert served(lb, 2) == "aa"


def test_other_ranks_hold_at_once_and_what_is_in_flight_ends_where_it_is() -> None:
    lb = tiered(0, 0, algorithm="least_connections")
    leases = [admitted(lb) for _ in range(2)]
    rows = lb.setup.backends
    lb.apply(replace(lb.setup, backends=(replace(rows[0], priority=1), rows[1])), 1.0)
    assert who(lb) == "b"
    for lease in leases:
        lease.done(2.0)
    assert [backend.active for backend in lb.pool.backends] == [0, 0]
    lb.apply(replace(lb.setup, backends=rows), 3.0)
    assert who(lb) == "ab"
    lb.apply(replace(lb.setup, tiers=TierPolicy(local_zone="x")), 4.0)
    assert who(lb) == "ab"
    zoned = (rows[0], replace(rows[1], zone="x"))
    lb.apply(replace(lb.setup, backends=zoned), 5.0)
    assert who(lb) == "b"


def test_a_tier_goes_with_its_last_backend_and_what_it_had_ends_in_peace() -> None:
    lb = tiered(0, 1, algorithm="least_connections")
    out(lb, "a")
    lease = admitted(lb)
    assert lease.backend.name == "b"
    lb.remove(lease.backend, 1.0)
    lease.done(2.0)
    assert (lease.backend.active, lease.backend.succeeded) == (0, 1)
    out(lb, "a", state=State.UP)
    assert who(lb) == "a"
    lb.remove(lb.pool.backends[0], 3.0)
    lb.add(Settings("10.0.0.9:80", name="z", priority=7), 4.0)
    assert who(lb) == "z"


def test_load_reports_and_probes_are_those_of_every_tier() -> None:
    lb = tiered(0, 0, 1, 1, algorithm="prequal")
    a, _, c, d = lb.pool.backends
    out(lb, "a", "b")
    lb.fleet.observed(c, 0.0, LoadReport(5, 0.5))
    lb.fleet.observed(d, 0.0, LoadReport(1, 0.1))
    lb.fleet.observed(a, 0.0, LoadReport(0, 0.001))  # of one that is out
    lease = admitted(lb)
    assert lease.backend is d
    asked = {
        action.backend
        for action in lb.out
        if isinstance(action, Probe) and action.kind is ProbeKind.LOAD
    }
    assert asked == {c, d}


def test_what_is_told_of_loads_reaches_the_tier_of_whom_it_is_about() -> None:
    lb = tiered(0, 0, 1, 1, algorithm="prequal")
    a, b, c, d = lb.pool.backends
    lb.pool.probed(a, 0.0, 5, 0.5)
    lb.pool.told(b, 0.0, LoadReport(1, 0.1))
    lb.remove(c, 0.0)
    lb.pool.probed(c, 0.0, 0, 0.001)  # of one that is not there any more
    assert lb.pool.pick(0.0) is b
    out(lb, "a", "b")
    lb.pool.probed(d, 0.0, 1, 0.1)
    assert lb.pool.pick(0.0) is d
    lb.swap("round_robin")
    lb.pool.probed(d, 0.0, 9, 9.0)  # which nobody has asked for


def test_a_subset_is_taken_before_tiers_are() -> None:
    lb = tiered(0, 0, 0, 1, 1, 1, subset=SubsetPolicy(4, 0))
    own = {backend.name for backend in lb.pool.backends if backend.usable}
    assert len(own) == 4
    assert set(who(lb, 40)) == own & set("abc")
    out(lb, *(own & set("abc")))
    assert set(who(lb, 40)) == own & set("def")
    out(lb, *(own & set("def")))
    assert set(who(lb, 40)) == set("abcdef") - own, "now the others are turned to"


# --- one tier


@pytest.mark.parametrize("algorithm", REGISTRY)
def test_the_path_of_one_tier_and_that_of_several_pick_alike(algorithm: str) -> None:
    """A second tier that nobody is sent to makes the other path; events and draws are the same."""
    one, several = (
        tiered(*ranks, algorithm=algorithm, max_in_flight=3) for ranks in ((0, 0, 0), (0, 0, 0, 1))
    )
    out(several, "d")
    pools = one.pool, several.pool
    assert "Spill" in repr(pools[1].index)
    assert "Spill" not in repr(pools[0].index)
    dice, open_leases, picks = Random(7), ([], []), ([], [])
    for step in range(600):
        now, key, ends = step / 100, b"%d" % dice.randrange(9), dice.random() < 0.5
        which, avoided = dice.randrange(99), dice.randrange(8)
        for lb, leases, names in zip((one, several), open_leases, picks, strict=True):
            if ends and leases:
                leases.pop(which % len(leases)).done(now)
                continue
            avoid = tuple(it for n, it in enumerate(lb.pool.backends[:3]) if avoided >> n & 1)
            lease = lb.admit(Request(key=key, tried=avoid), now)
            names.append(lease and lease.backend.name)
            if lease is not None:
                leases.append(lease)
            lb.out.clear()
    assert picks[0] == picks[1]
    assert len(set(picks[0])) > 2


# --- what has left, and nobody at all


def test_who_was_removed_from_one_of_several_tiers_ends_in_peace() -> None:
    lb = tiered(0, 0, 1, algorithm="least_connections")
    lease = admitted(lb)
    lb.remove(lease.backend, 1.0)
    lb.fleet.observed(lease.backend, 1.5, LoadReport(9, 9.0))
    lease.done(2.0)
    assert (lease.backend.active, lease.backend.succeeded) == (0, 1)
    assert who(lb) == "b" if lease.backend.name == "a" else "a"


@pytest.mark.parametrize("key", [b"", b"ann"])
def test_when_nobody_is_left_in_any_tier_calls_are_refused(key: bytes) -> None:
    lb = tiered(0, 1, algorithm="consistent_hash")
    out(lb, "a", "b")
    call = Request(key=key)
    assert lb.admit(call, 0.0) is None
    assert drained(lb) == [Refuse(call, Why.NO_BACKEND)]


def test_reports_set_weights_in_every_tier() -> None:
    lb = tiered(0, 0, 1, 1, algorithm="weighted_feedback")
    assert lb.pool.listening
    lb.fleet.observed(lb.pool.backends[2], 0.0, LoadReport(0, 0.1, utilisation=0.5, rate=10.0))
    out(lb, "a", "b")
    assert who(lb) == "cd"
