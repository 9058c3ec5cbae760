"""Recordings as what was seen: requests and attempts, what became of them, what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import isnan
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import pytest

from lb.balancing import Outcome, QueuePolicy, RetryPolicy, Settings, Setup
from lb.errors import ConfigError
from lb.recording.format import BLOCK, ENDS, HEAD, Kind
from lb.recording.logged import sealed
from lb.recording.parts import part_of
from lb.recording.writer import RecordedBalancer
from lb.traces.observed import SERVER_ERROR, UNKNOWN, Observed
from lb.traces.observing import observe
from lb.traces.recorded import observed
from tests.doubles import Request
from tests.recording.recordings import UNCHECKED

DATA = Path(__file__).parents[1] / "recording" / "data"
TWO = (Settings("10.0.0.1:80", name="a", max_in_flight=1), Settings("10.0.0.2:80", name="b"))


class Played:
    """A recorded balancer, and the files that it fills."""

    def __init__(self, folder: Path, *, share: float = 1.0, **policies: Any) -> None:
        self.file = folder / "run.rec"
        self.part: list[bytes] = []
        self.parts = [self.part]
        backends = policies.pop("backends", TWO)
        policies = {"health": UNCHECKED, "retries": RetryPolicy(max=1), **policies}
        self.balancer: RecordedBalancer[Request] = RecordedBalancer(
            Setup(backends, "round_robin", {}, **policies),
            Random(1),
            100.0,
            1,
            lambda block: self.part.append(block),
            share=share,
            draws=Random(2) if share < 1.0 else None,
        )
        self.balancer.telling = True

    def turn(self) -> None:
        self.balancer.flush()
        self.part.append(sealed(bytes([Kind.CONTINUED])))
        self.part = [self.balancer.header(len(self.parts) + 1)]
        self.parts.append(self.part)

    def written(self, *, closed: bool = True) -> Path:
        if closed:
            self.balancer.close()
        else:
            self.balancer.flush()
        for number, part in enumerate(self.parts[:-1], 1):
            part_of(self.file, number).write_bytes(b"".join(part))
        self.file.write_bytes(b"".join(self.parts[-1]))
        return self.file

    def visit(self, now: float, seconds: float = 0.02, key: bytes = b"k") -> None:
        lease = self.balancer.admit(Request(key=key), now)
        assert lease is not None
        end = now + seconds
        self.balancer.served(lease, end, Outcome.OK, end, now, 200, 0, 5)


def rows(seen: Observed, *names: str) -> list[tuple[Any, ...]]:
    return list(zip(*([*map(_tidy, getattr(seen, name))] for name in names), strict=True))


def tries(seen: Observed, *names: str) -> list[tuple[Any, ...]]:
    tried = seen.attempts
    return list(zip(*([*map(_tidy, getattr(tried, name))] for name in names), strict=True))


def _tidy(value: float) -> Any:
    return None if value != value else round(value, 6)


def test_a_request_that_went_well(tmp_path: Path) -> None:
    played = Played(tmp_path)
    lb = played.balancer
    first = lb.admit(Request(key=b"10.1.1.1"), 101.0)
    second = lb.admit(Request(key=b"10.1.1.2"), 101.5)
    assert first is not None
    assert second is not None
    lb.connected(first, 101.002)
    lb.served(second, 101.6, Outcome.OK, 101.55, 101.4, 201, 700, 5)
    lb.served(first, 101.7, Outcome.SERVER_ERROR, 101.65, 101.0, 500, 0, 2**33)
    seen = observed(str(played.written()))
    assert seen.texts == ("10.1.1.2", "10.1.1.1")
    assert rows(seen, "arrived", "ended", "outcome", "status", "key", "bytes_in", "bytes_out") == [
        (0.0, 0.7, SERVER_ERROR, 500, 1, 0, 2**33),
        (0.4, 0.6, 0, 201, 0, 700, 5),
    ]
    assert tries(seen, "request", "started", "connected", "first_byte", "ended") == [
        (0, 0.0, 0.002, 0.65, 0.7),
        (1, 0.5, 0.5, 0.55, 0.6),
    ]
    assert [seen.backends[it] for it in seen.attempts.backend] == ["a", "b"]
    assert seen.setup == lb.setup
    assert (seen.lacking, seen.remarks, seen.share) == (frozenset(), (), 1.0)


def test_a_retry_and_a_refusal_and_one_who_leaves(tmp_path: Path) -> None:
    two = (TWO[0], replace(TWO[1], max_in_flight=1))
    played = Played(tmp_path, backends=two, queue=QueuePolicy(limit=1, timeout=9.0))
    lb = played.balancer
    taken, other, waits, refused = (Request() for _ in range(4))
    lease, second = lb.admit(taken, 101.0), lb.admit(other, 101.05)
    assert lease is not None
    assert second is not None
    assert lb.admit(waits, 101.1) is None
    assert lb.admit(refused, 101.2) is None
    lb.ended(refused, None, 101.2, 101.2, "queue_full", 503, 0, 9)
    lb.out.clear()
    assert lb.abandoned(waits)
    lb.ended(waits, None, 101.4, 101.1, "client_gone", 0, 0, 0)
    lb.served(second, 101.45, Outcome.OK, 101.45, 101.05, 200, 0, 1)
    lb.failed(lease, 101.5, Outcome.CONNECT, sent=False)
    again = next(action.lease for action in lb.out if hasattr(action, "lease"))
    lb.failed(again, 101.7, Outcome.RESET, sent=True)
    lb.ended(taken, again, 101.7, 101.0, "reset", 502, 0, 7)
    seen = observed(str(played.written()))
    names = [ENDS[it] for it in seen.outcome]
    assert names == ["reset", "ok", "client_gone", "refused"]
    ends = [(0.7, 502), (0.45, 200), (0.4, UNKNOWN), (0.2, 503)]
    assert rows(seen, "ended", "status") == ends
    assert [ENDS[it] for it in seen.attempts.outcome] == ["connect", "ok", "reset"]
    assert tries(seen, "request", "started", "connected", "ended") == [
        (0, 0.0, None, 0.5),
        (1, 0.05, 0.05, 0.45),
        (0, 0.5, 0.5, 0.7),
    ]


def test_what_has_not_ended_is_there_without_an_end(tmp_path: Path) -> None:
    played = Played(tmp_path)
    played.visit(101.0)
    played.balancer.admit(Request(), 102.0)
    seen = observed(str(played.written(closed=False)))
    assert isnan(seen.ended[1])
    assert isnan(seen.attempts.ended[1])
    (remark,) = seen.remarks
    assert remark.startswith(f"{played.file}: not closed ")
    assert f"byte {played.file.stat().st_size}" in remark


def test_cut_short_within_an_event_all_before_it_is_there(tmp_path: Path) -> None:
    played = Played(tmp_path)
    for number in range(20):
        played.visit(101.0 + number)
    file = played.written()
    file.write_bytes(file.read_bytes()[:-10])
    seen = observed(str(file))
    assert len(seen) == 20
    assert seen.status[18] == 200
    assert "not closed" in seen.remarks[0]


@pytest.mark.parametrize("path", sorted(DATA.glob("*.rec")), ids=lambda path: path.stem)
def test_older_formats_say_what_they_lack(path: Path) -> None:
    seen = observed(str(path))
    assert seen.lacking == {"status", "bytes_in", "bytes_out", "attempts.connected"}
    assert len(seen) > 100
    assert set(seen.status) == {UNKNOWN}
    assert all(map(isnan, seen.attempts.connected))
    assert len(seen.attempts) > 100
    assert any("changed while it ran (" in remark for remark in seen.remarks)


# --- what makes no sense


def changed(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def forged(recording: bytes) -> bytes:
        _, version, length, _ = HEAD.unpack(recording[: HEAD.size])
        row = json.loads(recording[HEAD.size : HEAD.size + length])
        change(row)
        text = json.dumps(row).encode()
        head = HEAD.pack(recording[:8], version, len(text), crc32(text))
        return head + text + recording[HEAD.size + length :]

    return forged


def test_a_clock_that_goes_back_is_told_with_its_place(tmp_path: Path) -> None:
    played = Played(tmp_path)
    played.visit(200.0)
    played.visit(150.0)
    played.visit(151.0)
    seen = observed(str(played.written()))
    (remark,) = seen.remarks
    assert "the clock goes back by 50 s; what follows is taken to come right behind" in remark
    assert f"{played.file}: byte " in remark
    assert [round(time, 6) for time in seen.arrived] == [0.0, 0.02, 1.02]


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (lambda recording: b"GIF89a" + recording, "byte 0: this is not a recording of lb"),
        (lambda recording: recording[:20], "byte 20: the recording ends within its header"),
        (changed(lambda row: row.pop("seed")), "does not fit this version: 'seed'"),
        (lambda recording: recording + b"more", "goes on after its end"),
    ],
)
def test_files_that_make_no_sense(
    tmp_path: Path, forged: Callable[[bytes], bytes], why: str
) -> None:
    file = Played(tmp_path).written()
    file.write_bytes(forged(file.read_bytes()))
    with pytest.raises(ConfigError) as error:
        observed(str(file))
    assert str(error.value).startswith(f"{file}: byte ")
    assert why in str(error.value)


def test_an_end_of_what_never_began(tmp_path: Path) -> None:
    played = Played(tmp_path)
    played.balancer.flush()
    at = len(b"".join(played.part))
    played.part.append(sealed(bytes([Kind.ABANDONED]) + b"\x05\0\0\0"))
    with pytest.raises(ConfigError, match=f"byte {at + BLOCK.size}: call 5 is not under way"):
        observed(str(played.written(closed=False)))


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: no such file"):
        observed(str(tmp_path / "nothing.rec"))


def test_what_several_workers_recorded_is_one(tmp_path: Path) -> None:
    for number, start in ((1, 101.0), (2, 100.5)):
        played = Played(tmp_path)
        played.file = tmp_path / f"run.worker{number}.rec"
        for visit in range(3):
            played.visit(start + visit, key=b"%d" % number)
        played.written()
    seen = observed(str(tmp_path / "run.rec"))
    assert [round(time, 6) for time in seen.arrived] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert [seen.texts[key] for key in seen.key] == ["2", "1"] * 3
    assert seen.remarks == ("2 workers, each of which balanced by itself",)
    assert seen.balancers == 2
    assert list(seen.balancer) == [1, 0] * 3
    assert seen.setup is not None
    assert [row.max_in_flight for row in seen.setup.backends] == [1, None]  # of each


def test_a_recording_shows_itself(tmp_path: Path) -> None:
    played = Played(tmp_path)
    played.visit(101.0)
    assert observe(str(played.written())).bytes_out[0] == 5
