"""The log: what a line looks like, and that no stderr, however bad, holds or breaks anything."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import pytest

from lb.proxy.logs.log import LineLog, Told, open_log
from lb.proxy.logs.recorder import Recorder
from lb.proxy.logs.writing import WriterThread
from lb.recording.wanted import Recording

STAMP = re.compile(r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
DROPPED = 'level=warning event="log lines dropped" count='
FULL = Path("/dev/full")


class Pipe:
    """A pipe of 4096 bytes, the smallest there is."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)

    def read(self) -> list[str]:
        """All lines until everybody has closed the writing end, without their times."""
        data = b""
        while piece := os.read(self.reader, 2**16):
            data += piece
        assert data.endswith(b"\n")
        return [STAMP.sub("", line) for line in data.decode().splitlines()]

    def fill(self) -> int:
        """Leave no room. Returns the number of lines it took."""
        os.set_blocking(self.writer, False)
        lines = 0
        with suppress(BlockingIOError):
            while True:
                lines += os.write(self.writer, b"\n")
        os.set_blocking(self.writer, True)
        return lines

    def close(self) -> None:
        for descriptor in (self.reader, self.writer):
            with suppress(OSError):
                os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    it = Pipe()
    yield it
    it.close()


def wait_for(condition: Callable[[], bool]) -> None:
    """For what another thread does; bounded."""
    pause = threading.Event()
    for _ in range(5000):
        if condition():
            return
        pause.wait(0.001)
    pytest.fail("it did not come about")


def test_a_line_is_logfmt_and_nothing_in_it_reaches_a_terminal_raw(pipe: Pipe) -> None:
    log = LineLog(pipe.writer)
    log("info", "backend up", backend="a:1", reason='say "hi"', ms=1.5, none=None)
    log("warning", "x", target="/\x1b[2J\x9b\n=", name="zoë")
    assert log.close()
    os.close(pipe.writer)
    assert pipe.read() == [
        'level=info event="backend up" backend=a:1 reason="say \\"hi\\"" ms=1.5 none=""',
        'level=warning event=x target="/\\u001b[2J\\u009b\\n=" name=zoë',
    ]


def test_lines_come_in_order_and_whole(pipe: Pipe) -> None:
    log = LineLog(pipe.writer)
    for number in range(40):
        log("info", "line", number=number, filler="x" * 200)
    reader: list[list[str]] = []
    thread = threading.Thread(target=lambda: reader.append(pipe.read()))
    thread.start()
    assert log.close(within=10.0)
    os.close(pipe.writer)
    thread.join()
    assert [line.split()[2] for line in reader[0]] == [f"number={n}" for n in range(40)]


def test_an_unread_pipe_holds_neither_the_caller_nor_the_end(pipe: Pipe) -> None:
    pipe.fill()
    log = LineLog(pipe.writer)
    for number in range(20_000):
        log("info", "line", number=number)
    assert not log.close(within=0.01)
    os.close(pipe.reader)  # the write that is stuck ends, and with it the thread
    assert log.close(within=10.0)


def test_lines_dropped_are_counted_and_said_once_there_is_room_again(pipe: Pipe) -> None:
    """Every line of the 5,000 is there, or counted."""
    fillers = pipe.fill()
    log = LineLog(pipe.writer, room=10_000)
    for number in range(5000):
        log("info", "line", number=number)
    lines: list[str] = []
    thread = threading.Thread(target=lambda: lines.extend(pipe.read()))
    thread.start()
    assert log.close(within=10.0)
    os.close(pipe.writer)
    thread.join()
    del lines[:fillers]
    kept = [line for line in lines if "event=line" in line]
    counts = [int(line.removeprefix(DROPPED)) for line in lines if "dropped" in line]
    assert sum(counts) == 5000 - len(kept)
    assert [line.split()[2] for line in kept] == [f"number={n}" for n in range(len(kept))]
    assert len(kept) < 1000


def test_what_comes_after_lines_were_dropped_comes_after_the_count(pipe: Pipe) -> None:
    pipe.fill()
    log = LineLog(pipe.writer, room=1000)
    for number in range(100):
        log("info", "line", number=number)
    seen = b""
    while b"dropped" not in seen:
        seen += os.read(pipe.reader, 4096)
    log("info", "after")
    assert log.close(within=10.0)
    os.close(pipe.writer)
    assert pipe.read()[-1] == "level=info event=after"


def test_a_pipe_that_is_closed_breaks_nothing(pipe: Pipe) -> None:
    os.close(pipe.reader)
    log = LineLog(pipe.writer)
    for _ in range(100):
        log("info", "line")
    assert log.close(within=10.0)


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is full")
def test_a_full_disk_breaks_nothing() -> None:
    descriptor = os.open(FULL, os.O_WRONLY)
    log = LineLog(descriptor)
    for _ in range(100):
        log("info", "line")
    assert log.close(within=10.0)
    os.close(descriptor)


def test_a_disk_that_has_room_again_gets_the_count_and_then_the_lines(tmp_path: Path) -> None:
    """A line that was cut in the middle by the end of the room ends where it was cut."""
    disk = (tmp_path / "log").open("wb")
    room = [70]  # bytes

    def write(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        taken = disk.write(data[: room[0]])
        disk.flush()
        room[0] -= taken
        return taken

    with mock.patch("lb.proxy.logs.log.os.write", write):
        log = LineLog(-1)
        log("info", "one")
        wait_for(lambda: disk.tell() > 0)
        log("info", "two")
        wait_for(lambda: not room[0])
        log("info", "three")
        wait_for(lambda: log._lost == 2)
        room[0] = 10_000
        wait_for(lambda: log._told == 2)  # said without another line to carry it
        log("info", "four")
        assert log.close(within=10.0)
    disk.close()
    one, cut, said, four = (tmp_path / "log").read_text().splitlines()
    assert one.endswith("event=one")
    assert cut.startswith("time=")
    assert "event" not in cut
    assert said.endswith('event="log lines dropped" count=2')
    assert four.endswith("event=four")


def test_a_stderr_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    pipe.fill()
    os.set_blocking(pipe.writer, False)
    log = LineLog(pipe.writer)
    for number in range(100):
        log("info", "line", number=number)
    lines: list[str] = []
    thread = threading.Thread(target=lambda: lines.extend(pipe.read()))
    thread.start()
    assert log.close(within=10.0)
    os.close(pipe.writer)
    thread.join()
    assert sum("event=line" in line for line in lines) == 100


def test_without_a_stderr_nothing_goes_to_whatever_has_its_number() -> None:
    with mock.patch.object(sys, "stderr", None):
        log = open_log()
    assert log._outlet.descriptor != 2
    log("info", "line")
    assert log.close(within=10.0)
    os.close(log._outlet.descriptor)


def test_what_libraries_have_to_say_is_a_line_of_the_log() -> None:
    said: list[tuple[str, str, dict[str, object]]] = []
    told = Told(lambda level, event, **fields: said.append((level, event, fields)))
    logger = logging.getLogger("library")
    logger.addHandler(told)
    logger.info("nothing to speak of")
    logger.warning("careful\nwith %s", "that")
    try:
        raise ValueError("why not")
    except ValueError:
        logger.exception("it broke")
    logger.removeHandler(told)
    assert said == [
        ("warning", "careful", {"source": "library"}),
        ("error", "it broke", {"source": "library", "reason": "ValueError: why not"}),
    ]


# --- the thread underneath


def test_what_a_writer_holds_is_bounded() -> None:
    go_on, written = threading.Event(), []

    def write(items: list[bytes]) -> bool:
        go_on.wait()
        written.extend(items)
        return False

    writer = WriterThread("test", write, limit=10)
    assert writer.put(b"12345")
    assert writer.put(b"67890")
    assert not writer.put(b"x")
    go_on.set()
    wait_for(lambda: writer.put(b"y"))
    assert writer.close(within=10.0)
    assert written == [b"12345", b"67890", b"y"]


def test_a_writer_asked_to_come_again_does_so_by_itself() -> None:
    calls = []

    def write(items: list[bytes]) -> bool:
        calls.append(list(items))
        return len(calls) == 1

    with mock.patch("lb.proxy.logs.writing.AGAIN", 0.001):
        writer = WriterThread("test", write, limit=10)
        writer.put(b"x")
        wait_for(lambda: len(calls) == 2)
        assert writer.close(within=10.0)
    assert calls == [[b"x"], []]


# --- the recorder's file


def recorder(path: Path, said: list[dict[str, object]], **settings: int) -> Recorder:
    def heard(_level: str, _event: str, **fields: object) -> None:
        said.append(fields)

    it = Recorder(Recording(path), heard, **settings)
    it.tick()  # it serves: the file is begun
    return it


def test_a_disk_that_fills_within_a_block_leaves_the_whole_ones(tmp_path: Path) -> None:
    path, said = tmp_path / "recording", list[dict[str, object]]()
    it = recorder(path, said)
    real, room = os.write, [25]

    def write(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        taken = real(descriptor, data[: room[0]])
        room[0] -= taken
        return taken

    with mock.patch("lb.proxy.logs.recorder.os.write", write):
        for _ in range(4):
            it._take(b"ten bytes.")
        it.close()
    assert path.read_bytes() == b"ten bytes." * 2
    assert said == [{"file": str(path), "reason": "no space left on device"}]


def test_a_disk_that_takes_nothing_holds_neither_the_loop_nor_the_end(tmp_path: Path) -> None:
    path, said = tmp_path / "recording", list[dict[str, object]]()
    go_on = threading.Event()

    def stuck(descriptor: int, data: bytes) -> int:
        go_on.wait()
        return len(data)

    with (
        mock.patch("lb.proxy.logs.recorder.os.write", stuck),
        mock.patch("lb.proxy.logs.recorder.LAST_BLOCKS", 0.01),
    ):
        it = recorder(path, said, behind=100)
        for _ in range(1000):
            it._take(b"ten bytes.")
        it.close()
        go_on.set()
    assert said == [{"file": str(path), "reason": "the file takes less than there is to record"}]
    assert it._file is not None
    it._file._writer.close(within=10.0)
    os.close(it._file._file)


def test_a_stop_does_not_wait_for_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    path, said = tmp_path / "recording", list[dict[str, object]]()
    go_on = threading.Event()

    def stuck(descriptor: int, data: bytes) -> int:
        go_on.wait()
        return len(data)

    with (
        mock.patch("lb.proxy.logs.recorder.os.write", stuck),
        mock.patch("lb.proxy.logs.recorder.LAST_BLOCKS", 0.01),
    ):
        it = recorder(path, said)
        it._take(b"ten bytes.")
        it.close()
        go_on.set()
    assert said == [{"file": str(path), "reason": "the file takes no more"}]
    assert it._file is not None
    it._file._writer.close(within=10.0)
    os.close(it._file._file)
