"""Recordings: the same picks again, bit for bit; what is left of a broken file; what one costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.balancing import Balancer, Outcome, ProbeResult, QueuePolicy, Settings, Setup, State
from lb.errors import BadRecording, UsageError
from lb.recording.format import BLOCK, HEAD, JSON, MAGIC, VERSION, Kind
from lb.recording.reader import NONE, Decision, Log
from lb.recording.replay import Replayed, replay
from lb.strategies import REGISTRY
from tests.doubles import Request
from tests.recording.recordings import BACKENDS, EVENTS, UNCHECKED, Player, full_policies


def again(recording: bytes, algorithm: str | None = None) -> Replayed:
    return replay(recording, algorithm, random=Random)


def snapshot(balancer: Balancer[Any]) -> dict[str, Any]:
    """Everything a balancer knows that can be compared."""
    return {
        "balancer": repr(balancer),
        "admitted": balancer.admitted,
        "wakes_at": balancer.wakes_at,
        "rng": balancer._rng.getstate(),  # type: ignore[attr-defined]
        "spent": list(balancer._budget._spent),
        "backends": [
            {
                name: getattr(backend, name)
                for name in backend.__slots__
                if name not in ("site", "health")
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
    kinds = {kind.name.lower() for kind in Kind} - {"end"}
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


PLACES = tuple(
    Settings(f"10.0.0.{number}:80", name=name, max_in_flight=2)
    for number, name in ((1, "a"), (2, "b"), (3, "c"))
)


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
            for control in ("add", "weight", "swap", "state", "remove", "applied"):
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


def header_end(recording: bytes) -> int:
    log = Log([recording])
    log.header()
    return log.end


def test_cut_short_anywhere_the_whole_events_are_replayed() -> None:
    whole = busy().close()
    full = again(whole)
    start, events = header_end(whole), 0
    for size in range(len(whole)):
        part = whole[:size]
        if size < start:
            with pytest.raises(BadRecording):
                again(part)
            continue
        replayed = again(part)
        assert replayed.identical
        assert not replayed.complete
        assert start <= replayed.end <= size
        assert list(full.recorded[: len(replayed.recorded)]) == list(replayed.recorded)
        assert replayed.events.total() >= events
        events = replayed.events.total()
    assert events == full.events.total()
    assert full.complete
    assert full.end == len(whole)


def test_any_byte_changed_is_noticed() -> None:
    whole = busy().close()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(BadRecording) as error:
            again(bytes(damaged))
        assert error.value.offset <= at or at < header_end(whole)
        assert str(error.value).startswith(f"byte {error.value.offset}: ")
        assert error.value.exit_status == 3


def sealed(*events: bytes) -> bytes:
    """A recording that holds these events, whatever they are."""
    log = b"".join(events)
    return Player().bytes + BLOCK.pack(len(log), len(log) ^ 0xFFFFFFFF, crc32(log)) + log


def control(kind: Kind, **body: object) -> bytes:
    text = json.dumps(body).encode()
    return JSON.pack(kind, 1.0, len(text)) + text


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (b"\x63", "unknown kind 99"),
        (bytes([Kind.DONE]), "cuts short"),
        (JSON.pack(Kind.ADD, 1.0, 1000), "cuts short"),
        (JSON.pack(Kind.ADD, 1.0, 2) + b"{,", "add: "),
        (JSON.pack(Kind.ADD, 1.0, 2) + b"[]", "not a JSON object"),
        (control(Kind.ADD, address="10.0.0.9:80", colour="red"), "colour"),
        (control(Kind.REMOVE, backend=7), "no backend 7"),
        (control(Kind.REMOVE), "no backend None"),
        (control(Kind.SET_STATE, backend=1, state="sideways"), "sideways"),
        (control(Kind.SWAP, algorithm="p2d", settings={}), "unknown algorithm 'p2d'"),
        (bytes([Kind.ABANDONED]) + b"\x05\0\0\0", "call 5 is not under way"),
        (bytes([Kind.END]) * 2, "goes on after its end"),
    ],
)
def test_events_that_make_no_sense(event: bytes, why: str) -> None:
    start = len(sealed())
    with pytest.raises(BadRecording, match=why) as error:
        again(sealed(event))
    assert start <= error.value.offset <= start + len(event)


def test_a_backend_that_is_removed_twice() -> None:
    twice = [control(Kind.REMOVE, backend=0)] * 2
    with pytest.raises(BadRecording, match="removed twice"):
        again(sealed(*twice))


def with_header(change: Callable[[dict[str, Any]], None], version: int = VERSION) -> bytes:
    whole = Player().bytes
    header = json.loads(whole[HEAD.size :])
    change(header)
    text = json.dumps(header).encode()
    return HEAD.pack(MAGIC, version, len(text), crc32(text)) + text


@pytest.mark.parametrize(
    ("recording", "why"),
    [
        (b"", "byte 0: this is not a recording"),
        (b"GIF89a..................", "byte 0: this is not a recording"),
        (MAGIC, "byte 8: the recording ends within its header"),
        (with_header(lambda _: None, version=9), "byte 8: format 9; this lb reads up to 2"),
        (
            with_header(lambda row: row["setup"].pop("backends")),
            "does not fit this version: 'backends'",
        ),
        (
            with_header(lambda row: row["setup"]["health"].update(moon=1)),
            "does not fit this version",
        ),
        (
            with_header(lambda row: row["setup"].update(algorithm="mine")),
            "unknown algorithm 'mine'",
        ),
    ],
)
def test_headers_that_make_no_sense(recording: bytes, why: str) -> None:
    with pytest.raises(BadRecording) as error:
        again(recording)
    assert why in str(error.value)


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
