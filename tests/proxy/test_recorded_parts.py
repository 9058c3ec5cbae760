"""A live recording in parts, as a sample, and what it tells of requests."""

from __future__ import annotations

from operator import le
from pathlib import Path
from random import Random

import pytest

from lb.errors import BadRecording, CannotRecord
from lb.proxy.logs.recorder import Recorder
from lb.recording.comparison import Replayed
from lb.recording.format import ENDS
from lb.recording.parts import part_of, parts, pieces
from lb.recording.replay import replay
from lb.recording.wanted import Recording
from lb.traces.recorded import observed
from tests.proxy.conftest import Run
from tests.proxy.doubles import answering, echo, get, ok, origin, post, resets
from tests.proxy.test_recorder import DATA, again, ended, recorded, visit


def all_of(path: Path, algorithm: str | None = None) -> Replayed:
    return replay(pieces(parts(path)), algorithm, random=Random)


def test_parts_in_a_row_are_one_recording(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.rec"

    async def test() -> None:
        async with (
            origin(echo) as a,
            origin(echo) as b,
            recorded(path, a, b, size=4000, keep=100) as lb,
        ):
            while not [entry for entry in lb.log if entry[1].startswith("recording goes on")][2:]:
                assert await visit(lb, 10) == [200] * 10
        replayed = all_of(path)
        assert replayed.complete
        assert replayed.identical
        assert replayed.events["admit"] == lb.driver.balancer.admitted
        seen = observed(str(path))
        assert (len(seen), set(seen.status), seen.remarks) == (replayed.events["admit"], {200}, ())

    run(test())


def test_a_part_takes_the_place_of_no_other_file(run: Run, tmp_path: Path) -> None:
    path, other = tmp_path / "run.rec", tmp_path / "run.part1.rec"
    other.write_text("notes of mine")

    async def test() -> None:
        async with origin(echo) as a, recorded(path, a, size=4000, keep=3) as lb:
            while not (told := [entry for entry in lb.log if entry[1] == "recording ends"]):
                assert await visit(lb, 10) == [200] * 10
            assert told[0][2]["reason"] == "where part 1 belongs is a file that is none"
        assert other.read_text() == "notes of mine"
        assert all_of(path).identical

    run(test())


def test_only_the_newest_parts_are_kept(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    stale = tmp_path / "run.part40.rec"
    stale.write_bytes((DATA / "format1-p2c.rec").read_bytes())
    other = tmp_path / "run.part41.rec"
    other.write_text("notes of mine")

    async def test() -> None:
        async with origin(echo) as a, recorded(path, a, size=4000, keep=3) as lb:
            assert not stale.exists()
            while not [entry for entry in lb.log if "dropped" in entry[2]][1:]:
                assert await visit(lb, 10) == [200] * 10
        told = [fields for _, event, fields in lb.log if event.startswith("recording goes on")]
        assert told[2:4] == [
            {"full": str(part_of(path, n)), "dropped": str(part_of(path, n - 2))} for n in (3, 4)
        ]
        kept = parts(path)
        assert len(kept) == 3
        assert not ended(lb)
        with pytest.raises(BadRecording, match="those before it are gone"):
            all_of(path)
        seen = observed(str(path))
        assert 0 < len(seen) < lb.driver.balancer.admitted
        assert "begins with part" in seen.remarks[0]

    run(test())
    assert other.read_text() == "notes of mine"


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs a device")
def test_what_is_no_file_has_no_parts() -> None:
    with pytest.raises(CannotRecord, match="cannot record parts to /dev/null: not a regular file"):
        Recorder(Recording(Path("/dev/null"), keep=2), lambda *_, **__: None)


def test_a_sample_of_the_requests(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.rec"

    async def test() -> None:
        async with (
            origin(echo) as a,
            origin(resets) as b,
            recorded(path, a, b, share=0.5, seed=3) as lb,
        ):
            statuses = await visit(lb, 60)
        seen = observed(str(path))
        # Binomial of 60 and a half: four standard deviations of 3.9.
        assert abs(len(seen) - 30) < 16
        assert {*seen.status} <= {*statuses}
        assert seen.share == 0.5
        assert {it for it in seen.attempts.in_flight if it >= 0} == {0}
        with pytest.raises(BadRecording, match=r"a sample, of 0\.5 of the requests"):
            again(path)

    run(test())


def test_what_became_of_requests_is_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.rec"

    async def test() -> None:
        answers = answering(ok(b"12345"), ok(b"no", status=b"500 No"), ok(b"123"))
        async with origin(answers) as a, recorded(path, a) as lb, lb.client() as client:
            for request in (get("/a"), get("/b"), post(b"seven b", target="/c")):
                client.send(request)
                await client.response()
        seen = observed(str(path))
        assert list(seen.status) == [200, 500, 200]
        assert list(seen.bytes_out) == [5, 2, 3]
        assert list(seen.bytes_in) == [0, 0, 7]
        assert [ENDS[it] for it in seen.outcome] == ["ok", "server_error", "ok"]
        tried = seen.attempts
        made = [at > since for at, since in zip(tried.connected, tried.started, strict=True)]
        assert made == [True, False, False], "the others were kept"
        assert all(map(le, tried.connected, tried.first_byte))
        assert all(map(le, tried.first_byte, tried.ended))
        assert all(map(le, tried.ended, seen.ended))

    run(test())


def test_what_no_backend_answers_is_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.rec"

    async def test() -> None:
        async with origin(resets) as a, recorded(path, a) as lb:
            assert await visit(lb, 1) == [502]
        seen = observed(str(path))
        assert list(seen.status) == [502]
        assert [ENDS[it] for it in seen.outcome] == ["reset"]
        assert {ENDS[it] for it in seen.attempts.outcome} == {"reset"}

    run(test())
