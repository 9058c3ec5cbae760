"""What another algorithm would have done with recorded traffic."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing import Balancer, Outcome, QueuePolicy, Setup
from lb.errors import UsageError
from lb.recording.reader import NONE
from lb.strategies import REGISTRY
from tests.doubles import Request
from tests.recording.recordings import BACKENDS, EVENTS, UNCHECKED, Player, full_policies
from tests.recording.test_recording import PLACES, again

# --- another algorithm


@given(events=EVENTS, other=st.sampled_from(sorted(REGISTRY)))
def test_another_algorithm_leaves_nothing_behind(events: list[tuple[str, Any]], other: str) -> None:
    player = Player("round_robin", **full_policies())
    player.play(events)
    player.finish()
    replayed = again(player.close(), other)
    held = replayed.balancer
    assert all(backend.active == 0 for backend in held.pool.backends)
    assert all(backend.active >= 0 for backend in held.pool.backends)
    if player.balancer.pool.empty or not len(player.balancer._line):
        assert not len(held._line)
    assert len(replayed.recorded) == len(replayed.replayed) == len(replayed.calls)


def test_another_algorithm_picks_what_it_would_have() -> None:
    player = Player("round_robin", health=UNCHECKED)
    keys = [b"key-%d" % number for number in range(60)]
    for key in keys:
        player.admit(1, key)
        player.finish()
    replayed = again(player.close(), "ip_hash")
    asked = Balancer(Setup(BACKENDS, "ip_hash", health=UNCHECKED), Random(0))
    expected = []
    for key in keys:
        lease = asked.admit(Request(key), 0.0)
        assert lease is not None
        expected.append(lease.backend.order)
        lease.done(0.0)
    assert list(replayed.replayed) == expected
    assert list(replayed.recorded) == [0, 1, 2] * 20
    assert replayed.agreeing == sum(a == b for a, b in zip(expected, [0, 1, 2] * 20, strict=True))


def test_a_recorded_exchange_of_the_algorithm_counts_for_itself_only() -> None:
    player = Player("round_robin", health=UNCHECKED)
    player.balancer.swap("least_connections", now=player.now)
    for _ in range(9):
        player.admit(1)
    assert again(player.close()).identical
    assert again(player.bytes, "round_robin").identical, "the recorded one's name alone"
    held = again(player.bytes, "weighted_round_robin")
    assert held.balancer.algorithm == "weighted_round_robin"


def one_sided(algorithm: str, limit: int) -> Player:
    """Two calls in flight, then all backends but the last in order are taken away."""
    player = Player(
        algorithm, backends=PLACES[:2], health=UNCHECKED, queue=QueuePolicy(limit=limit)
    )
    for _ in range(2):
        player.admit(1, KEY)
    player.balancer.remove(player.known[0], player.now)
    for _ in range(2):
        player.admit(1, KEY)
    return player


def key_for(order: int) -> bytes:
    """A key that ip_hash leads to this one of two."""
    for number in range(1000):
        key = b"192.0.%d.1" % number
        lease = Balancer(Setup(PLACES[:2], "ip_hash", health=UNCHECKED), Random(0)).admit(
            Request(key), 0.0
        )
        if lease is not None and lease.backend.order == order:
            return key
    raise AssertionError


KEY = key_for(0)


def test_a_call_refused_there_and_picked_here_is_cancelled_at_once() -> None:
    player = one_sided("round_robin", limit=0)
    assert len(player.open) == 3
    player.finish()
    replayed = again(player.close(), "ip_hash")
    assert list(replayed.recorded) == [0, 1, 1, NONE]
    assert list(replayed.replayed) == [0, 0, 1, 1]
    assert replayed.balancer.pool.backends[0].active == 0
    assert replayed.balancer.pool.backends[0].picked == 2
    assert replayed.balancer.pool.backends[0].failed == 0


def test_a_call_that_waits_here_alone_leaves_the_line_when_it_is_over() -> None:
    player = one_sided("ip_hash", limit=1)
    assert len(player.open) == 4
    player.open.pop().done(player.now)
    replayed = again(player.close(), "round_robin")
    assert list(replayed.recorded) == [0, 0, 1, 1]
    assert list(replayed.replayed) == [0, 1, 1, NONE]
    assert not len(replayed.balancer._line)


def test_a_call_that_waits_here_alone_is_started_when_there_is_room() -> None:
    player = one_sided("ip_hash", limit=1)
    player.now += 0.5
    player.open.pop(1).done(player.now)  # which is at b here, and was at a there
    player.open.pop().done(player.now + 0.1, Outcome.OK, player.now - 0.4)
    replayed = again(player.close(), "round_robin")
    assert list(replayed.recorded) == [0, 0, 1, 1]
    assert list(replayed.replayed) == [0, 1, 1, 1]
    (b,) = replayed.balancer.pool.backends
    assert b.active == 1
    assert b.response_time is not None
    assert b.response_time >= 0, "its answer cannot have begun before it was sent"


def test_a_call_that_waits_here_alone_is_not_forgotten_by_the_clock() -> None:
    player = one_sided("ip_hash", limit=1)
    player.now += 3.0
    player.balancer.set_weight(player.known[1], 2, player.now)
    replayed = again(player.close(), "round_robin")
    assert not len(replayed.balancer._line)
    assert list(replayed.replayed) == [0, 1, 1, NONE]


def test_a_retry_made_here_alone_is_cancelled() -> None:
    """There the call failed for good, because its deadline had passed when it got its backend."""
    player = Player("round_robin", backends=PLACES, health=UNCHECKED)
    player.admit(1)
    player.balancer._budget.allows = lambda *_: False  # type: ignore[method-assign]
    player.failed(0)
    replayed = again(player.close(), "least_connections")
    assert list(replayed.recorded) == [replayed.recorded[0], NONE]
    assert list(replayed.attempts) == [0, 1]
    assert all(backend.active == 0 for backend in replayed.balancer.pool.backends)


def test_another_setup_is_another_one_for_the_traffic_but_not_for_the_other_algorithm() -> None:
    player = Player("round_robin", backends=PLACES, health=UNCHECKED)
    player.admit(1)
    setup = player.balancer.setup
    player.balancer.apply(
        replace(setup, backends=PLACES[1:], algorithm="p2c", queue=QueuePolicy(limit=7)), player.now
    )
    for _ in range(3):
        player.admit(1)
    assert again(player.close()).identical
    other = again(player.bytes, "least_connections").balancer
    assert other.algorithm == "least_connections"
    assert [backend.name for backend in other.pool.backends] == ["b", "c"]
    assert other.setup.queue.limit == 7


def test_after_its_end_nothing_is_recorded() -> None:
    player = Player("round_robin", **full_policies())
    player.balancer.close()
    whole = player.bytes
    player.play(
        [(kind, 4) for kind in ("passes", "admit", "failed", "drain", "probed", "state", "applied")]
    )
    player.balancer.flush()
    assert player.bytes == whole
    assert again(whole).complete


def test_an_unknown_algorithm() -> None:
    recording = Player().close()
    with pytest.raises(UsageError, match="did you mean 'p2c'"):
        again(recording, "p2d")
    with pytest.raises(UsageError, match="has no parameter"):
        again(recording, "p2c:choice=3")
