"""Signals at moments when nothing can come of them: `lb serve` says so and goes on."""

from __future__ import annotations

import signal
import socket
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cli.conftest import LIMIT, Running, Serving, Start
from tests.cli.test_serve import Held, backend

__all__ = ["backend"]

NAMES = pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1", "SIGUSR2"])


SAYS = {"SIGHUP": "not reloaded", "SIGUSR1": "log files opened again", "SIGUSR2": "no successor"}


def noted(process: Running, name: str) -> None:
    process.tell(signal.Signals[name])
    assert f'who="signal {name}"' in process.until(f'event="{SAYS[name]}"')


@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1"])
def test_while_it_serves_without_a_file(start: Start, name: str) -> None:
    serving = start(Serving, "-p", 0, "-b", "127.0.0.1:1")
    noted(serving, name)
    assert serving.get("/lb-stats")[0] == 200
    serving.tell(signal.SIGPIPE)
    assert serving.get("/lb-stats")[0] == 200
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2"])
def test_before_the_first_health_answers(start: Start, tmp_path: Path, name: str) -> None:
    file = tmp_path / "lb.toml"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        file.write_text(f'[health]\ntimeout = "1h"\n[[backend]]\naddress = "{place}"\n')
        starting = start(Running, "serve", "-c", file, "-p", 0)
        probe, _ = silent.accept()
        with probe:
            noted(starting, name)
            starting.tell(signal.SIGTERM)
            assert starting.ended() == 0


@NAMES
def test_while_it_drains(start: Start, backend: Held, name: str) -> None:
    serving = start(Serving, "-p", 0, "-b", backend.address)
    connection = HTTPConnection(serving.address, timeout=LIMIT)
    connection.request("GET", "/")
    assert backend.arrived.wait(LIMIT)
    serving.tell(signal.SIGTERM)
    serving.until("event=draining")
    noted(serving, name)
    backend.go_on.set()
    assert connection.getresponse().status == 200
    assert serving.ended() == 0
    connection.close()
