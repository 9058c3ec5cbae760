"""`lb serve` where few files may be open: clients that are idle cost nobody his place."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cli.conftest import LIMIT, environment
from tests.cli.test_serve import Held, backend

__all__ = ["backend"]

FILES = 1024
"""Open at a time, for `lb serve`."""
IDLE, NEWCOMERS = 1100, 18


@pytest.fixture
def _room_here() -> Iterator[None]:
    """This process holds the other end of every connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * IDLE:
        pytest.skip(f"needs {2 * IDLE} open files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * IDLE), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def served(address: tuple[str, int]) -> int:
    connection = HTTPConnection(*address, timeout=LIMIT)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.usefixtures("_room_here")
@pytest.mark.parametrize("used", [False, True], ids=["silent", "used"])
def test_newcomers_are_served_beside_more_idle_clients_than_there_may_be_files(
    backend: Held, used: bool, tmp_path: Path
) -> None:
    backend.go_on.set()
    file = tmp_path / "lb.toml"
    file.write_text(
        f'[server]\nlisten = "127.0.0.1:0"\n[[backend]]\naddress = "{backend.address}"\n'
    )
    limited = f'ulimit -n {FILES} && exec "{sys.executable}" -m lb serve -c "{file}"'
    with (
        subprocess.Popen(
            ["/bin/sh", "-c", limited], env=environment({}), stderr=subprocess.PIPE, text=True
        ) as process,
        ExitStack() as stack,
    ):
        try:
            assert process.stderr is not None
            line = next(one for one in process.stderr if "event=listening" in one)
            port = int(line.split("address=127.0.0.1:")[1].split()[0])
            for number in range(IDLE):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", port), LIMIT))
                if used and number % 10 == 0:
                    client.sendall(b"GET /lb-stats HTTP/1.1\r\nHost: lb\r\n\r\n")
                    assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            assert [served(("127.0.0.1", port)) for _ in range(NEWCOMERS)] == [200] * NEWCOMERS
            process.terminate()
            assert process.wait(LIMIT) == 0
            said = process.stderr.read()
            assert said.count('event="client limit"') == 1
            assert "backend down" not in said
        finally:
            process.kill()


def test_the_soft_limit_is_raised_to_the_hard_one(tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    file.write_text(
        '[server]\nlisten = "127.0.0.1:0"\n[health]\nenabled = false\n'
        '[[backend]]\naddress = "127.0.0.1:1"\n'
    )
    limited = f'ulimit -S -n 256 && exec "{sys.executable}" -m lb serve -c "{file}"'
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with subprocess.Popen(
        ["/bin/sh", "-c", limited], env=environment({}), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert any("event=listening" in line for line in process.stderr)
            limits = Path(f"/proc/{process.pid}/limits")
            if not limits.exists():
                pytest.skip("needs /proc")
            (row,) = [one for one in limits.read_text().splitlines() if "open files" in one]
            assert int(row.split()[3]) == min(hard, 2**20)
            process.terminate()
            assert process.wait(LIMIT) == 0
        finally:
            process.kill()
