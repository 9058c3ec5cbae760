"""Recordings: the same picks again, bit for bit; what is left of a broken file; what one costs."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from lb.balancing import Balancer, Outcome, ProbeResult, Settings, State
from lb.recording.comparison import Replayed
from lb.recording.format import HEAD, JSON, TOLD, Kind
from lb.recording.reader import NONE, Decision
from lb.recording.replay import replay
from lb.strategies import REGISTRY
from tests.doubles import Request
from tests.recording.recordings import EVENTS, UNCHECKED, Player, full_policies


def again(recording: bytes, algorithm: str | None = None) -> Replayed:
    return replay(recording, algorithm, random=Random)


def snapshot(balancer: Balancer[Any]) -> dict[str, Any]:
    """Everything a balancer knows that can be compared."""
    return {
        "balancer": repr(balancer),
        "admitted": balancer.admitted,
        "wakes_at": balancer.wakes_at,
        "rng": balancer.fleet.rng.getstate(),  # type: ignore[attr-defined]
        "spent": list(balancer._budget._spent),
        "backends": [
            {
                name: getattr(backend, name)
                for name in dir(backend)
                if name not in ("site", "health") and not name.startswith("_")
                if not callable(getattr(backend, name))
            }
            | {"health": backend.health.state, "pause": backend.health.pause}
            for backend in balancer.pool.backends
        ],
    }


# --- the same picks


@pytest.mark.parametrize("algorithm", REGISTRY)
@given(events=EVENTS)
@settings(max_examples=30)
def test_the_recorded_algorithm_picks_the_same(
    algorithm: str, events: list[tuple[str, Any]]
) -> None:
    player = Player(algorithm, **full_policies())
    player.play(events)
    replayed = again(player.close())
    assert replayed.identical
    assert replayed.complete
    assert replayed.recorded == replayed.replayed
    assert NONE not in replayed.recorded
    assert snapshot(replayed.balancer) == snapshot(player.balancer)


def test_every_kind_of_event_is_replayed() -> None:
    player = busy()
    replayed = again(player.close())
    kinds = {kind.name.lower() for kind in set(Kind) - TOLD} - {
        "end",
        "continued",
        "loaded",
        "good",
    }
    assert set(replayed.events) == kinds
    assert replayed.identical
    assert snapshot(replayed.balancer) == snapshot(player.balancer)


def test_each_start_is_there_with_its_call_and_attempt() -> None:
    player = Player(health=UNCHECKED)
    player.admit(1)
    player.admit(1)
    player.failed(0)
    player.drain()
    replayed = again(player.close())
    assert list(replayed.calls) == [0, 1, 0]
    assert list(replayed.attempts) == [0, 0, 1]
    assert list(replayed.recorded) == [0, 1, 2]
    assert replayed.agreeing == 3
    assert replayed.names == ["a", "b", "c"]


def test_in_pieces_of_any_size() -> None:
    whole = busy().close()
    for size in (1, 7, 1000):
        pieces = (whole[at : at + size] for at in range(0, len(whole), size))
        replayed = replay(pieces, random=Random)
        assert replayed.identical
        assert replayed.end == len(whole)


def test_parameters_of_the_algorithm_are_kept() -> None:
    player = Player("p2c", settings={"choices": 3}, health=UNCHECKED)
    for _ in range(30):
        player.admit(1)
    replayed = again(player.close())
    assert replayed.header.setup.settings == {"choices": 3}
    assert replayed.identical
    assert not again(player.bytes, "p2c:choices=1").identical


def test_a_recording_that_is_not_of_this_seed_shows_the_first_difference() -> None:
    player = Player("random", health=UNCHECKED)
    for _ in range(50):
        player.admit(1)
    replayed = replay(player.close(), random=lambda seed: Random(seed + 1))
    assert not replayed.identical
    first = replayed.first_difference
    assert first is not None
    row = first.event - 1
    assert list(replayed.recorded[:row]) == list(replayed.replayed[:row])
    assert first.recorded == Decision(row, 0, replayed.recorded[row])
    assert first.replayed == Decision(row, 0, replayed.replayed[row])


def test_after_close_nothing_is_logged_and_everything_works() -> None:
    player = Player(health=UNCHECKED)
    player.admit(1)
    size = len(player.close())
    lease = player.admit(1)
    player.done(0)
    player.failed(0)
    player.drain()
    player.finish()
    player.add()
    player.swap(3)
    player.abandoned()
    player.balancer.close()
    player.balancer.flush()
    assert not lease.open
    assert len(player.bytes) == size
    assert again(player.bytes).complete


PLACES = tuple(
    Settings(f"10.0.0.{number}:80", name=name, max_in_flight=2)
    for number, name in ((1, "a"), (2, "b"), (3, "c"))
)


# --- files that break off


def busy() -> Player:
    """Some of everything, over several blocks."""
    player = Player("p2c", backends=PLACES, **full_policies())
    rng = Random(3)
    for step in range(70):
        kind = rng.choice(
            [
                "admit",
                "admit",
                "admit",
                "done",
                "failed",
                "declined",
                "abandoned",
                "probed",
                "reported",
                "drain",
                "passes",
            ]
        )
        if kind == "passes":
            player.passes(rng.random())
        else:
            getattr(player, kind)(rng.randrange(1000))
        if step % 20 == 0:
            player.balancer.flush()
        if step == 40:
            player.lagged(1000)
            for control in ("add", "weight", "swap", "state", "remove", "applied", "stepped"):
                getattr(player, control)(4)
    player.drain()
    for backend in player.balancer.pool.backends:
        player.balancer.set_state(backend, State.UP, player.now)
        player.balancer.observed(backend, player.now, ProbeResult(ok=True))
    for _ in range(20):
        player.admit(1)
    player.drain()
    assert len(player.balancer._line)
    for which in range(len(player.calls)):
        player.abandoned(which)
    assert not len(player.balancer._line)
    return player


def control(kind: Kind, **body: object) -> bytes:
    text = json.dumps(body).encode()
    return JSON.pack(kind, 1.0, len(text)) + text


# --- what it costs


def test_a_plain_request_takes_at_most_60_bytes() -> None:
    player = Player(health=UNCHECKED)
    before = len(player.bytes)
    for _ in range(1000):
        lease = player.balancer.admit(Request(b"255.255.255.255"), player.now)
        assert lease is not None
        lease.done(player.now + 0.01, Outcome.OK, player.now + 0.005)
    player.balancer.flush()
    assert (len(player.bytes) - before) / 1000 <= 60


def test_blocks_go_out_before_they_are_large() -> None:
    player = Player(health=UNCHECKED)
    for _ in range(5000):
        player.admit(1)
        player.finish()
    assert len(player.blocks) > 3
    assert max(map(len, player.blocks)) < 70_000


def test_calls_that_are_over_are_forgotten() -> None:
    player = busy()
    player.finish()
    assert not player.balancer._homeless


# --- what an earlier format recorded

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("path", sorted(DATA.glob("format1-*.rec")), ids=lambda path: path.stem)
def test_recordings_of_format_1_replay_to_the_same_picks(path: Path) -> None:
    """Each is 500 events: failures, a line, checks, members that come and go, exchanges."""
    recording = path.read_bytes()
    assert HEAD.unpack(recording[: HEAD.size])[1] == 1
    replayed = again(recording)
    assert replayed.complete
    assert replayed.identical
    assert len(replayed.recorded) > 120
    assert {"failed", "wake", "observed", "swap"} <= set(replayed.events)
