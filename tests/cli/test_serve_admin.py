"""`lb serve` with a control plane, from start to stop."""

from __future__ import annotations

import json
import signal
import socket
import stat
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import LIMIT, Running, Serving, Start, get, lb

FILE = """
[server]
listen = "127.0.0.1:0"
admin = "{admin}"
{more}
[health]
enabled = false
[[backend]]
address = "127.0.0.1:9"
name = "{name}"
"""


class Administered(Serving):
    """Which can be asked."""

    def __init__(self, *arguments: object, **variables: str) -> None:
        super().__init__(*arguments, **variables)
        self.admin = dict(part.split("=", 1) for part in self.listening.split())["admin"]

    def ctl(self, *words: object, **variables: str) -> Any:
        done = lb("ctl", *words, "--json", "--admin", self.admin, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def written(directory: Path, admin: str = "127.0.0.1:0", more: str = "", name: str = "a") -> Path:
    file = directory / "lb.toml"
    file.write_text(FILE.format(admin=admin, more=more, name=name))
    return file


def test_it_is_shown_and_changed_and_ends_with_streams_open(start: Start, tmp_path: Path) -> None:
    file = written(tmp_path)
    serving: Administered = start(Administered, "-c", file)
    told = serving.ctl("status")
    assert [it["pid"] for it in told["workers"]] == [serving.process.pid]
    assert serving.ctl("drain", "a")["state"] == "drain"
    assert "who=127.0.0.1:" in serving.until("change=drain")
    file.write_text(file.read_text().replace('"127.0.0.1:9"', "9"))
    done = lb("ctl", "reload", "--admin", serving.admin)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert done.stderr.startswith(f"{file}:9 backend[0].address: ")
    written(tmp_path, name="b")
    assert serving.ctl("reload")["not_changed"] == []
    assert [it["name"] for it in serving.ctl("status")["backends"]] == ["b"]
    assert get(serving.admin, "/v1/forecast") == (200, {"schema": 1, "state": "none"})
    stream = HTTPConnection(serving.admin, timeout=LIMIT)
    stream.request("GET", "/events")
    events = stream.getresponse()
    assert events.readline() == b"retry: 1000\n"
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0
    assert b"reloaded" in events.read()
    stream.close()


def test_it_stops_when_it_is_asked_to(start: Start, tmp_path: Path) -> None:
    serving: Administered = start(Administered, "-c", written(tmp_path))
    assert serving.ctl("stop") == {"schema": 1, "stopping": True}
    assert serving.ended() == 0


def test_a_token_is_read_again(start: Start, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one")
    file = written(tmp_path, more='admin_token_file = "token"')
    serving: Administered = start(Administered, "-c", file)
    status, _ = get(serving.admin, "/v1/snapshot")
    assert status == 401
    token.write_text("")
    done = lb("ctl", "reload", "--admin", serving.admin, LB_ADMIN_TOKEN="one")
    assert done.returncode == 3
    assert "server.admin_token_file" in done.stderr
    token.write_text("two")
    serving.ctl("reload", LB_ADMIN_TOKEN="one")
    serving.ctl("status", LB_ADMIN_TOKEN="two")
    assert get(serving.admin, "/v1/snapshot", Authorization="Bearer one")[0] == 401
    token.unlink()
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0
    again: Running = start(Running, "serve", "-c", file)
    assert again.ended() == 3
    (line,) = again.seen
    assert line.startswith(f"{file}:5 server.admin_token_file: {token}: ")


def test_a_unix_socket_is_for_its_owner_and_leaves_no_file(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left_over:
        left_over.bind(str(path))
    file = written(tmp_path, f"unix:{path}")
    serving: Administered = start(Administered, "-c", file)
    assert serving.admin == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    serving.ctl("drain", "a")
    assert 'who="unix pid=' in serving.until("change=drain")
    other: Running = start(Running, "serve", "-c", file)
    assert other.ended() == 1
    assert f"cannot listen on unix:{path}" in other.seen[-1]
    assert path.exists()
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0
    assert not path.exists()


def test_a_port_that_is_taken_is_exit_status_1(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        serving: Running = start(Running, "serve", "-c", written(tmp_path, address))
        assert serving.ended() == 1
        assert serving.seen[-1].startswith(f"lb: cannot listen on {address}: ")


@pytest.mark.parametrize("admin", ["port", "file"])
def test_a_successor_takes_it_over(start: Start, tmp_path: Path, admin: str) -> None:
    address = f"unix:{tmp_path}/s" if admin == "file" else "127.0.0.1:0"
    serving: Administered = start(Administered, "-c", written(tmp_path, address))
    serving.ctl("drain", "a")
    serving.tell(signal.SIGUSR2)
    serving.until("event=succeeded")
    told = serving.ctl("status")  # at the same place
    pid = told["workers"][0]["pid"]
    assert pid != serving.process.pid
    assert told["backends"][0]["state"] == "drain"
    serving.ctl("stop")
    serving.process.wait(LIMIT)
