"""Recordings in parts, of which some are gone, and samples."""

from __future__ import annotations

from math import isnan
from pathlib import Path

import pytest

from lb.balancing import Outcome, QueuePolicy
from lb.errors import ConfigError
from lb.recording.parts import part_of, parts
from lb.traces.reading import read
from lb.traces.recorded import observed
from tests.doubles import Request
from tests.traces.test_recorded import DATA, TWO, Played

# --- parts


def in_parts(folder: Path, count: int = 4) -> Played:
    played = Played(folder)
    for number in range(count * 3):
        played.visit(101.0 + number)
        if number % 3 == 1 and number < count * 3 - 3:
            lease = played.balancer.admit(Request(), 101.5 + number)
            assert lease is not None
            played.turn()
            end = 101.6 + number
            played.balancer.served(lease, end, Outcome.OK, end, end - 0.1, 200, 0, 0)
    played.written()
    return played


def test_all_parts_are_one(tmp_path: Path) -> None:
    played = in_parts(tmp_path)
    names = ["run.part1.rec", "run.part2.rec", "run.part3.rec", "run.rec"]
    for name in names:
        found = parts(tmp_path / name)
        assert [path.name for path in found] == names
        seen = observed(str(tmp_path / name))
        assert len(seen) == 12 + 3
        assert not any(map(isnan, seen.ended))
        assert seen.remarks == ()
    assert len(read(str(played.file)).times) == 15


def test_those_of_another_recording_are_no_parts_of_it(tmp_path: Path) -> None:
    played = in_parts(tmp_path)
    other = part_of(played.file, 9)
    other.write_bytes((DATA / "format1-p2c.rec").read_bytes())
    part_of(played.file, 10).write_text("no recording at all")
    assert len(parts(played.file)) == 4
    assert parts(other) == [other]


def test_without_the_first_parts_the_rest_is_read(tmp_path: Path) -> None:
    played = in_parts(tmp_path)
    for number in (1, 2):
        part_of(played.file, number).unlink()
    seen = observed(str(played.file))
    assert len(seen) == 3 + 1 + 4
    assert not any(map(isnan, seen.ended))
    (remark,) = seen.remarks
    assert "run.part3.rec: begins with part 3 " in remark
    assert "1 attempts were under way" in remark


def test_a_part_that_is_missing_in_the_middle_is_told_with_its_place(tmp_path: Path) -> None:
    played = in_parts(tmp_path)
    part_of(played.file, 2).unlink()
    seen = observed(str(played.file))
    assert len(seen) == 15 - 4
    assert seen.remarks == (
        f"{part_of(played.file, 3)}: part 2 before it missing, and what came then",
    )
    with pytest.raises(ConfigError, match="part 2 of the recording is missing"):
        read(str(played.file))


# --- samples


def test_a_sample_says_so_and_how_many_were_in_flight(tmp_path: Path) -> None:
    played = Played(tmp_path, share=0.25, backends=TWO[1:])
    lb = played.balancer
    open_leases = []
    for number in range(1200):
        lease = lb.admit(Request(key=b"%d" % number), 101.0 + number / 100)
        assert lease is not None
        open_leases.append((number, lease))
        if len(open_leases) > 3:
            arrived, first = open_leases.pop(0)
            at = 101.0 + arrived / 100
            lb.served(first, at + 0.035, Outcome.OK, at + 0.03, at, 200, 0, 1)
    seen = observed(str(played.written()))
    assert seen.share == 0.25
    # Binomial of 1200 and 0.25: five standard deviations of 15.
    assert abs(len(seen) - 300) < 75
    assert "a sample of 0.25 of the requests" in seen.remarks[0]
    assert set(seen.attempts.in_flight[5:]) == {3}
    first = int(seen.texts[0])
    arrived = [(int(text) - first) / 100 for text in seen.texts]
    assert [round(time, 6) for time in seen.arrived] == arrived
    with pytest.raises(ConfigError, match=r"a sample of 0\.25 of the requests does not tell"):
        read(str(played.file))


def test_what_waits_in_a_sample_starts_with_its_number(tmp_path: Path) -> None:
    policies = {"queue": QueuePolicy(limit=400, timeout=1e6), "backends": TWO[:1]}
    played = Played(tmp_path, share=0.3, **policies)
    lb = played.balancer
    lease = lb.admit(Request(key=b"first"), 101.0)
    for number in range(1, 200):
        assert lb.admit(Request(key=b"%d" % number), 101.0 + number) is None
    for number in range(199):
        assert lease is not None
        lease.done(400.0 + number)
        lease = next(action.lease for action in lb.out if hasattr(action, "lease"))
        lb.out.clear()
    seen = observed(str(played.written()))
    assert 30 < len(seen) < 90
    for text, wait, row in zip(
        seen.texts, seen.attempts.started, seen.attempts.request, strict=True
    ):
        if text != "first":  # it starts when the one before it ends
            started = seen.arrived[row] + 400.0 + int(text) - 1 - (101.0 + int(text))
            assert wait == pytest.approx(started)
