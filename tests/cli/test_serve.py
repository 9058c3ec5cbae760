"""`lb serve` from start to stop."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import LIMIT, Running, Serving, Start, lb


class Held(ThreadingHTTPServer):
    """A backend in good health that answers when it is let."""

    daemon_threads = True
    request_queue_size = 64  # all of them at once

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.arrived = threading.Event()
        self.go_on = threading.Event()
        self.address = f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Held

    def do_GET(self) -> None:
        if self.path != "/health":
            self.server.arrived.set()
            self.server.go_on.wait(LIMIT)
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"true")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def backend() -> Iterator[Held]:
    with Held() as it:
        thread = threading.Thread(target=it.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield it
        it.go_on.set()
        it.shutdown()
        thread.join(LIMIT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_what_is_in_flight(
    start: Start, backend: Held, number: signal.Signals
) -> None:
    serving = start(Serving, "-p", 0, "-b", backend.address)
    connection = HTTPConnection(serving.address, timeout=LIMIT)
    connection.request("GET", "/")
    assert backend.arrived.wait(LIMIT)
    serving.tell(number)
    serving.until("event=draining connections=1")
    backend.go_on.set()
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.read() == b"true"
    assert answer.getheader("Connection") == "close"
    assert serving.ended() == 0
    assert "event=stopped finished=True" in serving.seen[-1]
    connection.close()


def test_a_second_signal_ends_it_at_once(start: Start, backend: Held) -> None:
    serving = start(Serving, "-p", 0, "-b", backend.address)
    connection = HTTPConnection(serving.address, timeout=LIMIT)
    connection.request("GET", "/")
    assert backend.arrived.wait(LIMIT)
    serving.tell(signal.SIGTERM)
    serving.until("event=draining")
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0
    assert "level=warning event=stopped finished=False" in serving.seen[-1]
    with pytest.raises(ConnectionError):
        connection.getresponse()
    connection.close()


def test_idle_it_ends_at_once(start: Start, backend: Held) -> None:
    serving = start(Serving, "-p", 0, "-b", backend.address)
    assert serving.get("/lb-health")[0] == 200
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0


FILE = """\
algorithm = "random"
[server]
listen = "127.0.0.1:0"
stats_path = "/numbers"
[[backend]]
address = "127.0.0.1:1"
weight = 2.5
[[backend]]
address = "127.0.0.1:2"
"""


def algorithm_and_backends(serving: Serving) -> tuple[str, list[tuple[str, float]]]:
    stats = serving.get("/numbers")[1]
    return stats["algorithm"], [(row["address"], row["weight"]) for row in stats["backends"]]


def test_flags_win_over_the_environment_and_that_over_the_file(
    start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "lb.toml"
    file.write_text(FILE)
    plain = start(Serving, LB_CONFIG=str(file))
    assert algorithm_and_backends(plain) == ("random", [("127.0.0.1:1", 2.5), ("127.0.0.1:2", 1)])
    variables = {
        "LB_ALGORITHM": "least_connections",
        "LB_BACKENDS": "127.0.0.1:3*4",
        "LB_PORT": "0",
    }
    changed = start(Serving, "-c", file, **variables)
    assert algorithm_and_backends(changed) == ("least_connections", [("127.0.0.1:3", 4)])
    flags = ("-a", "p2c", "-b", "127.0.0.1:4, 127.0.0.1:5*0.5")
    both = start(Serving, "-c", file, *flags, **variables, LB_HEALTH_CHECK_INTERVAL="0.5")
    assert algorithm_and_backends(both) == ("p2c", [("127.0.0.1:4", 1), ("127.0.0.1:5", 0.5)])


def test_flags_that_contradict_the_file_end_it_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    file.write_text('[queue]\nlimit = 3\n[[backend]]\naddress = "a:1"\nmax_in_flight = 1\n')
    result = lb("serve", "-c", file, "-b", "127.0.0.1:1")
    assert result.returncode == 2
    assert f"{file}:2 queue.limit: nobody ever waits" in result.stderr


def test_a_backend_that_is_down_is_logged_with_its_reason(start: Start) -> None:
    serving = start(Serving, "-p", 0, "-b", "127.0.0.1:1")
    (down,) = [line for line in serving.seen if "backend down" in line]
    assert 'backend=127.0.0.1:1 reason="cannot connect: connection refused"' in down
    status, answer = serving.get()
    assert status == 503
    assert answer["error"] == "no_backend"


def test_health_checks_come_as_often_as_asked(start: Start, backend: Held) -> None:
    serving = start(Serving, "-p", 0, "-b", backend.address, "--health-check-interval", "0.05")
    backend.shutdown()
    backend.server_close()
    serving.until("backend down")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_first_health_answers_ends_it_at_once(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    """The backend accepts and says nothing, and may do so for an hour."""
    file = tmp_path / "lb.toml"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        file.write_text(f'[health]\ntimeout = "1h"\n[[backend]]\naddress = "{place}"\n')
        serving = start(Running, "serve", "-c", file, "-p", 0)
        probe, _ = silent.accept()
        with probe:
            assert probe.recv(1000).startswith(b"GET /health ")
            serving.tell(number)
            assert serving.ended() == 0
    assert "event=stopped finished=True" in serving.seen[-1]


def test_a_signal_loses_nobody_in_the_accept_queue(start: Start, backend: Held) -> None:
    """The process sleeps while they connect, and wakes up to a signal."""
    serving = start(Serving, "-p", 0, "-b", backend.address)
    backend.go_on.set()
    serving.tell(signal.SIGSTOP)
    clients = [HTTPConnection(serving.address, timeout=LIMIT) for _ in range(20)]
    for client in clients:
        client.request("GET", "/")
    serving.tell(signal.SIGTERM)
    serving.tell(signal.SIGCONT)
    for client in clients:
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"true")
        client.close()
    assert serving.ended() == 0


SILENT = """
import socket, sys, threading
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
from lb.cli import main
sys.argv = ["lb", "serve", *sys.argv[1:]]
main()
"""
"""`lb serve` on a machine whose name server never answers."""


def test_a_silent_name_server_holds_neither_the_start_nor_the_stop(tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    file.write_text(
        '[server]\nlisten = "127.0.0.1:0"\n[health]\ntimeout = "50ms"\n'
        '[[backend]]\naddress = "backend.test:80"\n'
    )
    with subprocess.Popen(
        [sys.executable, "-c", SILENT, "-c", file], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            down = next(line for line in lines if "backend down" in line)
            assert 'reason="name not resolved: no answer of a name server within 0.05 s"' in down
            assert any("event=listening" in line for line in lines)
            process.terminate()
            assert process.wait(LIMIT) == 0
        finally:
            process.kill()
