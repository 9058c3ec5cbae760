"""Several worker processes as one balancer, from outside."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lb.recording.parts import pieces
from lb.recording.replay import replay
from tests.cli.conftest import LIMIT, Serving, lb
from tests.cli.conftest import start as start
from tests.cli.test_serve import Held
from tests.cli.test_serve import backend as backend

FILE = """
algorithm = "round_robin"
[server]
listen = "127.0.0.1:{port}"
workers = {workers}
[health]
interval = "{interval}"
fast_interval = "100ms"
"""


def written(file: Path, *backends: str, port: int = 0, workers: int = 2, more: str = "") -> Path:
    rows = "".join(f'[[backend]]\naddress = "{it}"\n' for it in backends)
    file.write_text(FILE.format(port=port, workers=workers, interval="30s") + more + rows)
    return file


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def stats(serving: Serving) -> dict[str, Any]:
    status, said = serving.get("/lb-stats")
    assert status == 200
    assert isinstance(said, dict)
    return said


def pids(serving: Serving) -> list[int]:
    return [worker["pid"] for worker in stats(serving)["workers"]]


@pytest.fixture
def clients() -> Iterator[list[HTTPConnection]]:
    """Closed in the end."""
    opened: list[HTTPConnection] = []
    yield opened
    for client in opened:
        client.close()


def connected(serving: Serving, clients: list[HTTPConnection], count: int) -> None:
    """So many keep-alive clients that have asked once."""
    for _ in range(count):
        client = HTTPConnection(serving.address, timeout=LIMIT)
        clients.append(client)
        client.request("GET", "/")
        assert client.getresponse().read() == b"true"


def test_connections_are_spread_evenly_and_every_count_is_one(
    start: Any, backend: Held, clients: list[HTTPConnection], tmp_path: Path
) -> None:
    backend.go_on.set()
    serving = start(Serving, "-c", written(tmp_path / "lb.toml", backend.address))
    connected(serving, clients, 6)
    for _ in range(3):  # whichever of them is asked
        said = stats(serving)
        served = [worker["requests"] for worker in said["workers"]]
        assert (said["requests"], sorted(served)) == (6, [3, 3])
        assert said["backends"][0]["checks"] == 1, "one prober for all"
        assert said["backends"][0]["succeeded"] == 6
    assert serving.process.pid not in pids(serving)
    assert serving.get("/lb-health")[1]["healthy_backends"] == 1
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0


def test_who_dies_takes_only_its_own_and_is_replaced(
    start: Any, backend: Held, clients: list[HTTPConnection], tmp_path: Path
) -> None:
    backend.go_on.set()
    serving = start(Serving, "-c", written(tmp_path / "lb.toml", backend.address))
    connected(serving, clients, 4)
    said = stats(serving)
    before = {worker["pid"] for worker in said["workers"]}
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    died = serving.until("worker died")
    assert f"worker={victim} " in died
    assert 'reason="signal SIGKILL"' in died
    serving.until("worker serves")
    lost = 0
    for client in clients:
        try:
            client.request("GET", "/")
            assert client.getresponse().read() == b"true"
        except OSError:
            lost += 1
    assert lost == 2
    after = stats(serving)
    assert len(after["workers"]) == 2
    assert victim not in {worker["pid"] for worker in after["workers"]}
    assert after["requests"] >= said["requests"] + 2, "what it had counted is not forgotten"
    assert after["backends"][0]["healthy"]


def test_a_change_is_made_everywhere_and_whoever_comes_later_has_it(
    start: Any, backend: Held, tmp_path: Path
) -> None:
    backend.go_on.set()
    place = tmp_path / "admin"
    file = written(tmp_path / "lb.toml", backend.address, "127.0.0.1:1")
    text = file.read_text().replace("[health]", f'admin = "unix:{place}"\n[health]')
    file.write_text(text)
    serving = start(Serving, "-c", file)
    done = lb("ctl", "-c", file, "drain", backend.address)
    assert done.returncode == 0, done.stderr
    assert serving.get("/")[0] == 503
    os.kill(pids(serving)[0], signal.SIGKILL)
    serving.until("worker died")
    serving.until("worker serves")
    assert stats(serving)["backends"][0]["state"] == "drain"
    for _ in range(4):  # the new one among them
        assert serving.get("/")[0] == 503
    assert lb("ctl", "-c", file, "up", backend.address).returncode == 0
    for _ in range(4):
        assert serving.get("/")[0] == 200


def test_a_reload_changes_all_and_their_number_too(
    start: Any, backend: Held, clients: list[HTTPConnection], tmp_path: Path
) -> None:
    backend.go_on.set()
    file = written(tmp_path / "lb.toml", backend.address)
    serving = start(Serving, "-c", file)
    connected(serving, clients, 4)
    written(file, backend.address, workers=3, more='[limits]\nbody = "1 KiB"\n')
    serving.tell(signal.SIGHUP)
    serving.until("event=reloaded")
    ends = time.monotonic() + LIMIT
    while len(pids(serving)) < 3:
        assert time.monotonic() < ends, "a third one comes"
    for _ in range(4):
        other = HTTPConnection(serving.address, timeout=LIMIT)
        other.request("POST", "/", b"x" * 2000)
        assert other.getresponse().status == 413
        other.close()
    for client in clients:
        client.request("GET", "/")
        assert client.getresponse().read() == b"true", "nobody has noticed"
    written(file, backend.address, workers=1)
    serving.tell(signal.SIGHUP)
    serving.until("event=reloaded")
    assert "workers: stays 3" in serving.until("not changed")
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0


class Asking(threading.Thread):
    """A keep-alive client that goes where it is told to, as long as it may."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.said: list[int | str] = []
        self.enough = threading.Event()

    def run(self) -> None:
        client = HTTPConnection(self.address, timeout=LIMIT)
        while not self.enough.is_set():
            try:
                client.request("POST", "/", b"x" * 100)
                answer = client.getresponse()
                answer.read()
                self.said.append(answer.status)
            except OSError as error:
                self.said.append(repr(error))
                client.close()
        client.close()

    def end(self) -> None:
        self.enough.set()
        self.join(LIMIT)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 2), (2, 1)])
def test_a_successor_may_have_another_number_of_them(
    start: Any, backend: Held, tmp_path: Path, before: int, after: int
) -> None:
    backend.go_on.set()
    port = free_port()
    first = start(
        Serving, "-c", written(tmp_path / "a.toml", backend.address, port=port, workers=before)
    )
    asking = [Asking(first.address) for _ in range(3)]
    for client in asking:
        client.start()
    file = written(tmp_path / "b.toml", backend.address, port=port, workers=after)
    second = start(Serving, "-c", file, "--replace")
    assert first.ended() == 0
    assert len(pids(second)) == after
    for client in asking:
        client.end()
    said = [one for client in asking for one in client.said]
    assert said
    assert set(said) == {200}


def test_each_worker_records_what_it_decides(
    start: Any, backend: Held, clients: list[HTTPConnection], tmp_path: Path
) -> None:
    file = written(
        tmp_path / "lb.toml", backend.address, backend.address.replace("127.0.0.1", "localhost")
    )
    serving = start(Serving, "-c", file, "--record", tmp_path / "all.rec")
    backend.go_on.set()
    connected(serving, clients, 12)
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0
    found = [tmp_path / "all.worker1.rec", tmp_path / "all.worker2.rec"]
    assert sorted(tmp_path.glob("*.rec")) == found
    replayed = [replay(pieces([path]), random=Random) for path in found]
    assert all(one.identical and one.complete for one in replayed)
    assert sum(one.events["admit"] for one in replayed) == 12


def test_a_number_of_workers_that_is_none(tmp_path: Path) -> None:
    assert "'some' is neither a number" in lb("serve", "--workers", "some").stderr
    done = lb("serve", "--workers", 257)
    assert (done.returncode, "257 is neither a number from 1 to 256" in done.stderr) == (2, True)
    file = tmp_path / "lb.toml"
    file.write_text('[server]\nworkers = "atuo"')
    done = lb("check", file)
    assert done.returncode == 3
    assert f"{file}:2 server.workers: " in done.stdout + done.stderr
    assert 'did you mean "auto"?' in done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
def test_workers_do_not_outlive_a_main_process_that_is_killed(
    start: Any, backend: Held, tmp_path: Path
) -> None:
    backend.go_on.set()
    serving = start(Serving, "-c", written(tmp_path / "lb.toml", backend.address))
    watching = [os.pidfd_open(pid) for pid in pids(serving)]
    serving.process.kill()
    for one in watching:
        assert select.select([one], [], [], LIMIT)[0], "it has ended"
        os.close(one)
    assert serving.process.wait(LIMIT) == -signal.SIGKILL
