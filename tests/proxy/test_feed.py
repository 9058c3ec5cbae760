"""What a shadow hears of a balancer: whole streams; what it misses is counted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lb.balancing import Outcome, Settings, Setup
from lb.proxy.logs.feed import Feed
from lb.proxy.logs.recorder import Recorder
from lb.recording.format import Kind
from lb.recording.header import Header
from lb.recording.reader import Log
from lb.recording.wanted import Recording
from lb.recording.writer import RecordedBalancer
from tests.doubles import Request
from tests.recording.recordings import UNCHECKED

SETUP = Setup((Settings("10.0.0.1:80", name="a"),), "round_robin", {}, health=UNCHECKED)


class Heard:
    """A shadow that writes down what it hears, stream by stream."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(self.path)
        self.listening.listen()
        self.listening.settimeout(20.0)

    def stream(self) -> tuple[Header, list[Kind]]:
        """The next one, to its end."""
        connection, _ = self.listening.accept()
        connection.settimeout(20.0)
        with connection:
            log = Log(iter(lambda: connection.recv(1 << 16), b""))
            return log.header(), [entry.kind for entry in log.events()]


@contextmanager
def heard(tmp_path: Path) -> Iterator[Heard]:
    one = Heard(tmp_path / "feed")
    try:
        yield one
    finally:
        one.listening.close()


class Fed:
    def __init__(self, path: str, **settings: Any) -> None:
        self.time = 100.0
        self.lines: list[tuple[str, str, dict[str, object]]] = []
        self.feed = Feed(path, self.log, now=lambda: self.time, **settings)
        self.recorder = Recorder(None, self.log, feed=self.feed, seed=1)
        self.balancer: RecordedBalancer[Any] = self.recorder.balancer(SETUP, 0.0)

    def log(self, level: str, event: str, **fields: object) -> None:
        self.lines.append((level, event, fields))

    def visit(self, times: int = 1) -> None:
        for _ in range(times):
            lease = self.balancer.admit(Request(), 1.0)
            assert lease is not None
            self.balancer.served(lease, 1.5, Outcome.OK, 1.4, 1.0, 200, 0, 5)
        self.recorder.flush()


def test_a_stream_begins_with_the_block_behind_its_header(tmp_path: Path) -> None:
    with heard(tmp_path) as shadow:
        fed = Fed(shadow.path)
        fed.visit(3)  # before it is known that somebody listens
        fed.visit(2)
        fed.recorder.close()
        header, kinds = shadow.stream()
    assert (header.part, header.calls, header.names) == (2, 3, ("a",))
    assert kinds == [Kind.ADMIT, Kind.DONE, Kind.SERVED] * 2
    assert fed.lines == []


def test_another_setup_is_another_stream(tmp_path: Path) -> None:
    with heard(tmp_path) as shadow:
        fed = Fed(shadow.path)
        fed.visit()
        fed.visit()
        fed.balancer.swap("p2c", now=2.0)
        fed.visit()
        fed.visit()
        fed.recorder.close()
        streams = [shadow.stream() for _ in range(2)]
    assert [header.setup.algorithm for header, _ in streams] == ["round_robin", "p2c"]
    assert [header.calls for header, _ in streams] == [1, 3]


def test_what_finds_no_room_is_counted_and_a_new_stream_follows(tmp_path: Path) -> None:
    with heard(tmp_path) as shadow:
        fed = Fed(shadow.path, room=6000)
        go_on = threading.Event()
        real = fed.feed._connect

        def connect() -> None:
            go_on.wait(20.0)
            real()

        fed.feed._connect = connect  # type: ignore[method-assign]
        for _ in range(20):
            fed.visit(30)
        assert fed.lines[0][1] == "shadow falls behind"
        assert len(fed.lines) == 1, "it is not said again at once"
        go_on.set()
        while fed.feed._fresh:
            fed.time += 20.0
            fed.visit()
        fed.visit()
        fed.recorder.close()
        streams = [shadow.stream() for _ in range(2)]
    (_, first), (header, second) = streams
    assert first.count(Kind.ADMIT) < 20 * 30 < header.calls
    assert header.calls + second.count(Kind.ADMIT) == fed.balancer.admitted
    assert {event for _, event, _ in fed.lines} == {"shadow falls behind"}
    assert all(told["dropped"] for _, _, told in fed.lines)


def test_nobody_who_listens_is_no_trouble(tmp_path: Path) -> None:
    fed = Fed(str(tmp_path / "nothing"))
    for _ in range(50):
        fed.visit(10)
        fed.time += 1.0
    fed.recorder.close()
    assert fed.lines == []
    assert fed.balancer.admitted == 500


def test_a_file_that_is_full_ends_alone(tmp_path: Path) -> None:
    with heard(tmp_path) as shadow:
        fed = Fed(shadow.path)
        recorder = Recorder(Recording(tmp_path / "run.rec", size=3000), fed.log, feed=fed.feed)
        fed.recorder, fed.balancer = recorder, recorder.balancer(SETUP, 0.0)
        for _ in range(30):
            fed.visit(10)
        assert [event for _, event, _ in fed.lines] == ["recording ends"]
        recorder.close()
        _, kinds = shadow.stream()
    assert kinds.count(Kind.ADMIT) == 29 * 10
    log = Log([(tmp_path / "run.rec").read_bytes()])
    log.header()
    assert len(list(log.events())) < 300
    assert log.complete
