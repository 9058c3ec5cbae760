"""What a service manager hears and gives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lb.workers import notify
from lb.workers.sockets import activated
from tests.cli.conftest import LIMIT, Serving, Start, environment, start

__all__ = ["start"]

HERE = str(os.getpid())


class Manager:
    """Hears what is said to `NOTIFY_SOCKET`."""

    def __init__(self, name: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        self.socket.settimeout(LIMIT)
        self.environment = {"NOTIFY_SOCKET": name}

    def heard(self) -> list[str]:
        return self.socket.recv(4096).decode().split("\n")

    def until(self, line: str) -> list[str]:
        """What was said in the message that holds `line`; all before it is forgotten."""
        while line not in (said := self.heard()):
            pass
        return said


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    it = Manager(str(tmp_path / "n") if request.param == "file" else f"@lb-test-{HERE}")
    yield it
    it.socket.close()


def test_it_is_told_in_one_message(manager: Manager) -> None:
    notify.tell("READY=1", "STATUS=fine", environment=manager.environment)
    assert manager.heard() == ["READY=1", "STATUS=fine"]


@pytest.mark.parametrize("place", ["", "relative", "/nowhere/at/all", "@nobody-is-here"])
def test_without_a_manager_nothing_happens(place: str) -> None:
    notify.tell("READY=1", environment={"NOTIFY_SOCKET": place})
    notify.tell("READY=1", environment={})


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": HERE}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_it_may_want_signs_of_life(given: dict[str, str], seconds: float | None) -> None:
    assert notify.watchdog(given) == seconds


def test_sockets_meant_for_another_process_are_not_ours() -> None:
    given = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "http"}
    assert notify.passed(given) == []
    assert given == {}, "and no child takes them for its own"


def test_sockets_go_where_they_listen_and_the_rest_in_order() -> None:
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
        port = b.getsockname()[1]
        wanted = ["unix:/run/lb.sock", f"0.0.0.0:{port}", "127.0.0.1:1"]
        assert activated(wanted, [a, b]) == [(wanted[1], b), (wanted[0], a)]
        assert activated(wanted[1:2], [a, b]) == [(wanted[1], b)]


def test_its_states_are_told(start: Start, manager: Manager, tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    file.write_text('[server]\nlisten = "127.0.0.1:0"\n[[backend]]\naddress = "127.0.0.1:1"\n')
    serving = start(Serving, "-c", file, **manager.environment, WATCHDOG_USEC="100000")
    said = manager.until("READY=1")
    assert f"MAINPID={serving.process.pid}" in said
    manager.until("WATCHDOG=1")
    manager.until("WATCHDOG=1")
    serving.tell(1)  # SIGHUP
    said = manager.until("RELOADING=1")
    assert any(line.startswith("MONOTONIC_USEC=") for line in said)
    manager.until("READY=1")
    serving.tell(15)
    manager.until("STOPPING=1")
    assert serving.ended() == 0


PASSES = """\
import os, socket, sys
one = socket.socket(fileno=int(sys.argv[1]))
os.dup2(one.fileno(), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "lb", "serve", *sys.argv[2:]])
"""


def test_a_socket_that_a_manager_holds_is_listened_at_and_outlives_it(tmp_path: Path) -> None:
    """Who comes while nobody serves waits in its queue, and is served by the next process."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        file = tmp_path / "lb.toml"
        listen = f'[server]\nlisten = "127.0.0.1:{port}"\n'
        file.write_text(listen + '[[backend]]\naddress = "127.0.0.1:1"\n')
        for _ in range(2):
            client = socket.create_connection(("127.0.0.1", port))
            client.settimeout(LIMIT)
            client.sendall(b"GET /lb-stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            serving = subprocess.Popen(
                [sys.executable, "-c", PASSES, str(held.fileno()), "-c", str(file)],
                pass_fds=[held.fileno()],
                env=environment({}),
                stderr=subprocess.PIPE,
            )
            assert client.recv(64).startswith(b"HTTP/1.1 200 OK")
            client.close()
            serving.terminate()
            serving.communicate(timeout=LIMIT)
            assert serving.returncode == 0
