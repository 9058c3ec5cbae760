"""`lb serve` at its edges: certificates that are read again, and sockets that others hold."""

from __future__ import annotations

import json
import signal
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from lb.proxy.listening import bind
from tests.cli.conftest import LIMIT, Serving, Start, lb_process
from tests.proxy import papers

FILE = """
[server]
listen = "{listen}"
[server.tls]
certificate = "own.pem"
key = "own.key"
[health]
enabled = false
[[backend]]
address = "127.0.0.1:1"
"""


def put(folder: Path, name: str, days: int | None = None) -> None:
    """A certificate for `name` where the file has its own."""
    for path, suffix in zip(papers.written(folder, name, days=days), ("pem", "key"), strict=True):
        path.rename(folder / f"own.{suffix}")


def met(serving: Serving, name: str) -> HTTPSConnection:
    """A connection to who can show that name."""
    context = papers.trusting()
    context.check_hostname = False
    connection = HTTPSConnection(serving.address, timeout=LIMIT, context=context)
    connection.connect()
    said = connection.sock.getpeercert()
    assert ("DNS", name) in said["subjectAltName"]
    return connection


def served(connection: HTTPSConnection) -> bool:
    connection.request("GET", "/lb-stats")
    answer = connection.getresponse()
    json.loads(answer.read())
    return answer.status == 200


def test_certificates_are_read_again_and_bad_ones_change_nothing(
    start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "lb.toml"
    file.write_text(FILE.format(listen="127.0.0.1:0"))
    put(tmp_path, "old.test", days=5)
    serving = start(Serving, "-c", file)
    serving.until("certificate expires soon")
    before = met(serving, "old.test")
    put(tmp_path, "new.test")
    serving.tell(signal.SIGHUP)
    serving.until("event=reloaded")
    after = met(serving, "new.test")
    assert served(before), "who is connected stays so"
    assert served(after)
    (tmp_path / "own.key").write_text("spoilt")
    serving.tell(signal.SIGHUP)
    line = serving.until('event="not reloaded"')
    assert f"{file}:6 server.tls.key: {tmp_path / 'own.key'}: holds no private key" in line
    put(tmp_path, "newer.test")
    file.write_text(FILE.format(listen="127.0.0.2:0"))
    serving.tell(signal.SIGHUP)
    assert "stays 127.0.0.1:0" in serving.until('event="not changed while it runs"')
    last = met(serving, "new.test")
    assert served(last), "it is still TLS where the old file has it"
    for connection in (before, after, last):
        connection.close()


@pytest.mark.parametrize("what", ["expired", "other key"])
def test_a_bad_certificate_is_one_line_and_exit_status_3(tmp_path: Path, what: str) -> None:
    file = tmp_path / "lb.toml"
    file.write_text(FILE.format(listen="127.0.0.1:0"))
    put(tmp_path, "own.test", days=-3 if what == "expired" else None)
    if what == "other key":
        _, other = papers.written(tmp_path, "other.test")
        other.rename(tmp_path / "own.key")
    done = lb_process("serve", "-c", file)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    key, why = ("certificate", "expired on") if what == "expired" else ("key", "is not the key of")
    assert line.startswith(f"{file}:{5 + (key == 'key')} server.tls.{key}: ")
    assert why in line


def test_a_socket_that_is_in_use_is_exit_status_1(tmp_path: Path) -> None:
    path = tmp_path / "lb.sock"
    (taken,) = bind([f"unix:{path}"], 0)
    file = tmp_path / "lb.toml"
    file.write_text(f'[server]\nlisten = "unix:{path}"\n')
    with taken:
        done = lb_process("serve", "-c", file)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == f"lb: cannot listen on unix:{path}: address already in use"
