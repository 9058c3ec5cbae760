"""`lb serve` with a stderr that is no good: it serves on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cli.conftest import LIMIT, environment

FULL = Path("/dev/full")


def free_port() -> int:
    with closing(socket.socket()) as it:
        it.bind(("127.0.0.1", 0))
        port = it.getsockname()[1]
    assert isinstance(port, int)
    return port


def unread_pipe() -> tuple[int, list[int]]:
    """A pipe without room, and what must be closed in the end."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 4096)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n")
    os.set_blocking(writer, True)
    return writer, [reader, writer]


def impatient_pipe() -> tuple[int, list[int]]:
    """The same, not blocking."""
    writer, both = unread_pipe()
    os.set_blocking(writer, False)
    return writer, both


def broken_pipe() -> tuple[int, list[int]]:
    reader, writer = os.pipe()
    os.close(reader)
    return writer, [writer]


def full_disk() -> tuple[int, list[int]]:
    if not FULL.exists():
        pytest.skip("needs a device that is full")
    writer = os.open(FULL, os.O_WRONLY)
    return writer, [writer]


@contextmanager
def started(stderr: int, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "lb", "serve", *map(str, arguments)],
        env=environment({}),
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(LIMIT)


def status_of(port: int) -> int:
    """Of a request, once it listens."""
    for _ in range(2000):
        connection = HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        try:
            connection.request("GET", "/lb-stats")
            return connection.getresponse().status
        except ConnectionRefusedError:
            signal.sigtimedwait([], 0.01)
        finally:
            connection.close()
    pytest.fail("it never listened")


@pytest.mark.parametrize("bad", [unread_pipe, impatient_pipe, broken_pipe, full_disk])
def test_a_bad_stderr_holds_no_start_no_request_and_no_stop(bad: object, tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "lb.toml"
    file.write_text(
        f'[server]\nlisten = "127.0.0.1:{port}"\n[access_log]\n'
        '[health]\nenabled = false\n[[backend]]\naddress = "127.0.0.1:1"\n'
    )
    assert callable(bad)
    stderr, descriptors = bad()
    try:
        with started(stderr, "-c", file) as process:
            assert [status_of(port) for _ in range(50)] == [200] * 50
            process.send_signal(signal.SIGTERM)
            assert process.wait(LIMIT) == 0
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@pytest.mark.parametrize("bad", [unread_pipe, impatient_pipe, broken_pipe, full_disk])
def test_a_bad_stderr_does_not_change_how_a_failure_ends(bad: object) -> None:
    """The port is taken, and the sentence that says so finds no place."""
    assert callable(bad)
    stderr, descriptors = bad()
    try:
        with closing(socket.socket()) as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with started(stderr, "-p", port, "-b", "127.0.0.1:1") as process:
                assert process.wait(LIMIT) == 1
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def test_a_process_without_a_stderr_serves(tmp_path: Path) -> None:
    port = free_port()
    command = f'exec "{sys.executable}" -m lb serve -p {port} -b 127.0.0.1:1 2>&-'
    process = subprocess.Popen(["/bin/sh", "-c", command], env=environment({}))
    try:
        assert status_of(port) == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 0
    finally:
        process.kill()
        process.wait(LIMIT)
