"""`lb serve` reads its file again, and hands over to a successor, under load."""

from __future__ import annotations

import os
import signal
import socket
import threading
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cli.conftest import LIMIT, Running, Serving, Start
from tests.cli.test_serve import Held, backend

__all__ = ["backend"]


def written(file: Path, *lines: str, backends: str) -> Path:
    rows = "".join(f'[[backend]]\naddress = "{it}"\n' for it in backends.split(","))
    file.write_text("\n".join(lines) + "\n" + rows)
    return file


class Asking(threading.Thread):
    """A client that asks over one connection as long as it may, and over others after that."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.statuses: list[int | str] = []
        self.connections = 0
        self.enough = threading.Event()

    def run(self) -> None:
        connection = None
        while not self.enough.is_set():
            if connection is None:
                connection = HTTPConnection(self.address, timeout=LIMIT)
                self.connections += 1
            try:
                method, body = ("POST", b"x" * 3000) if len(self.statuses) % 3 else ("GET", None)
                connection.request(method, "/", body)
                answer = connection.getresponse()
                answer.read()
                self.statuses.append(answer.status)
                if answer.getheader("Connection") == "close":
                    connection = connection.close()
            except OSError as error:
                self.statuses.append(repr(error))
                connection = connection.close()
        if connection is not None:
            connection.close()

    def end(self) -> None:
        self.enough.set()
        self.join(LIMIT)


def test_a_file_that_is_read_again_is_in_force(start: Start, backend: Held, tmp_path: Path) -> None:
    file = written(tmp_path / "lb.toml", 'algorithm = "round_robin"', backends=backend.address)
    serving = start(Serving, "-c", file, "-p", 0)
    slow = HTTPConnection(serving.address, timeout=LIMIT)
    slow.request("GET", "/")
    assert backend.arrived.wait(LIMIT)
    limits = '[limits]\nbody = "1 KiB"\n[timeouts]\nresponse = "50ms"'
    written(file, 'algorithm = "p2c"', limits, backends=f"{backend.address},127.0.0.1:1")
    serving.tell(signal.SIGHUP)
    assert 'who="signal SIGHUP" algorithm=p2c' in serving.until("event=reloaded")
    status, stats = serving.get("/lb-stats")
    assert (status, stats["algorithm"], len(stats["backends"])) == (200, "p2c", 2)
    assert stats["backends"][0]["connections"] == 1
    other = HTTPConnection(serving.address, timeout=LIMIT)
    other.request("POST", "/", b"x" * 2000)
    assert other.getresponse().status == 413
    other.close()
    backend.go_on.set()
    assert slow.getresponse().status == 200, "with the time limit that it began with"
    slow.close()


def test_a_wrong_file_changes_nothing_and_says_why(
    start: Start, backend: Held, tmp_path: Path
) -> None:
    listen = '[server]\nlisten = "127.0.0.1:0"'
    file = written(tmp_path / "lb.toml", 'algorithm = "p2c"', listen, backends=backend.address)
    serving = start(Serving, "-c", file)
    written(file, 'algorithm = "p2d"', "[retries]\nmax = -1", backends=backend.address)
    serving.tell(signal.SIGHUP)
    assert f"{file}:1 algorithm.name: unknown algorithm 'p2d'" in serving.until("not reloaded")
    assert f"{file}:3 retries.max: " in serving.until("not reloaded")
    assert serving.get("/lb-stats")[1]["algorithm"] == "p2c"
    listen = listen.replace("127.0.0.1:0", "127.0.0.2:0")
    written(file, 'algorithm = "random"', listen, backends="127.0.0.1:2")
    serving.tell(signal.SIGHUP)
    serving.until("event=reloaded")
    assert f"{file}:3 server.listen: stays 127.0.0.1:0" in serving.until("not changed while")
    assert serving.get("/lb-stats")[1]["backends"][0]["address"] == "127.0.0.1:2"


@pytest.mark.parametrize("way", ["replace", "signal"])
def test_a_successor_takes_over_without_a_lost_request(
    start: Start, backend: Held, tmp_path: Path, way: str
) -> None:
    backend.go_on.set()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = written(
        tmp_path / "lb.toml", f'[server]\nlisten = "127.0.0.1:{port}"', backends=backend.address
    )
    first = start(Serving, "-c", file)
    clients = [Asking(first.address) for _ in range(4)]
    idle = HTTPConnection(first.address, timeout=LIMIT)
    idle.request("GET", "/")
    assert idle.getresponse().read() == b"true"
    for client in clients:
        client.start()
    if way == "replace":
        start(Serving, "-c", file, "--replace")
        first.until("event=succeeded")
    else:
        first.tell(signal.SIGUSR2)
        pid = int(first.until('event="successor started"').rpartition("pid=")[2])
        first.until("event=succeeded")
    first.until("event=draining")
    before = [client.connections for client in clients]
    while any(client.connections == n for client, n in zip(clients, before, strict=True)):
        assert all(client.is_alive() for client in clients)
    idle.request("GET", "/")  # the old one has not closed it
    answer = idle.getresponse()
    assert (answer.status, answer.getheader("Connection")) == (200, "close")
    answer.read()
    assert first.process.wait(LIMIT) == 0
    for client in clients:
        client.end()
        assert set(client.statuses) == {200}
        assert client.connections == 2
    if way == "signal":
        os.kill(pid, signal.SIGTERM)
        first.until("event=stopped")


def test_who_has_nobody_to_replace_starts_as_usual(
    start: Start, backend: Held, tmp_path: Path
) -> None:
    serving = start(Serving, "-p", 0, "-b", backend.address, "--replace")
    assert serving.get("/lb-health")[0] == 200


def test_a_successor_that_ends_before_it_serves_leaves_everything_as_it_was(
    start: Start, backend: Held, tmp_path: Path
) -> None:
    """Its Unix sockets, too, which a process that stops removes else."""
    backend.go_on.set()
    place, admin = tmp_path / "lb.sock", tmp_path / "admin.sock"
    server = f'[server]\nlisten = ["127.0.0.1:0", "unix:{place}"]\nadmin = "unix:{admin}"'
    file = written(tmp_path / "lb.toml", server, backends=backend.address)
    serving = start(Serving, "-c", file)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        health = '[health]\ntimeout = "1h"'
        written(file, server, health, backends=f"127.0.0.1:{silent.getsockname()[1]}")
        for workers in (1, 2):
            successor = start(Running, "serve", "-c", file, "--replace", "--workers", workers)
            probe, _ = silent.accept()
            successor.tell(signal.SIGTERM)
            assert successor.ended() == 0
            probe.close()
            assert place.exists()
            assert admin.exists()
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(LIMIT)
                client.connect(str(place))
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(99).startswith(b"HTTP/1.1 200 OK")
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0
    assert not place.exists()
    assert not admin.exists()
