"""Load tests that cannot be: what is told, and that nothing is sent before."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest

from lb.native import running
from tests.loadtests.test_locustfile import LOADTESTS, STATUS, file, free_port, locust, verdict_in

__all__ = ["file"]


class Stats(BaseHTTPRequestHandler):
    """Says of every path what the balancer runs."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"algorithm": "least_connections", "workers": [{}, {}]}')

    def log_message(self, *_: object) -> None:
        """To nobody."""


def test_another_algorithm_than_is_judged_is_refused(file: Path, tmp_path: Path) -> None:
    file.write_text(file.read_text().replace('"3s"', '"500ms"'))
    with ThreadingHTTPServer(("127.0.0.1", 0), Stats) as server:
        threading.Thread(target=server.serve_forever).start()
        host = f"http://127.0.0.1:{server.server_port}"
        refused = locust("--host", host, "--scenario", file, where=tmp_path)
        nothing_sent = not (tmp_path / "verdict.json").exists()
        asked = {"LB_ALGORITHM": "least_connections"}
        judged = locust("--host", host, "--scenario", file, where=tmp_path, **asked)
        other = ("--target-kind", "other", "--algorithm", "p2c:choices=3")
        foreign = locust("--host", host, "--scenario", file, *other, where=tmp_path)
        server.shutdown()
    assert refused.returncode == 2
    assert refused.stdout.splitlines()[-1] == (
        f"the balancer at {host} runs least_connections and the scenario says round_robin: "
        "give --algorithm least_connections"
    )
    assert nothing_sent
    assert judged.returncode in STATUS.values()
    assert "least_connections: measured beside predicted" in judged.stdout
    assert "2 workers are there, each of which balances its own requests only." in judged.stdout
    assert "p2c: measured beside predicted" in foreign.stdout, "which nobody asks what it runs"
    assert "workers are there" not in foreign.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_stdout_ends_it_before_anything_is_sent(file: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        result = locust(
            "--host", "http://127.0.0.1:9", "--scenario", file, where=tmp_path, stdout=full
        )
    assert result.returncode == 1
    assert "lb: stdout: no space left on device" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "verdict.json").exists()


def test_where_nobody_listens_is_status_1(file: Path, tmp_path: Path) -> None:
    file.write_text(file.read_text().replace('"3s"', '"500ms"'))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = locust("--host", host, "--scenario", file, where=tmp_path)
    assert result.returncode == 1
    verdict = verdict_in(tmp_path)
    assert verdict["verdict"] == "invalid"
    assert verdict["failed"]["measured"] == verdict["requests"] > 0
    assert "INVALID: not judged." in result.stdout
    assert "is the balancer running" in result.stdout
    assert "Traceback" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--scenario", "weightd"], 2, "unknown scenario 'weightd': did you mean 'weighted'?"),
        (["--scenario", "none.toml"], 3, "none.toml: cannot be read: no such file"),
        (["--scenario", "wrong.toml"], 3, "wrong.toml:1 algorithm.name: unknown algorithm"),
        (["--host", "127.0.0.1:8080"], 2, "--host '127.0.0.1:8080': write http://host:port"),
        (["--seed", "-1"], 2, "--seed -1: "),
        (["--algorithm", "p3c"], 2, "unknown algorithm 'p3c'"),
        (["--verdict", "wrong.toml/v.json"], 1, "cannot write to wrong.toml: not a directory"),
        (["--master", "--worker"], 2, "--master and --worker are two processes; give one of them"),
        (["--steps", "9"], 2, "--steps '9': '9' is no step: how many, a colon, how long"),
        (["--junit", "verdict.json"], 2, "give each a file of its own"),
        (["--verdict", "."], 1, "cannot write to .: is a directory"),
        (["--processes", "2", "--seed", "-1"], 2, "Got quit message from master"),
        (["--verdict", "taken.json", "--quiet"], 1, "cannot write to taken.json: is a directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_end_it_before_anything_is_sent(
    arguments: list[str], status: int, words: str, tmp_path: Path
) -> None:
    (tmp_path / "wrong.toml").write_text('algorithm = "round_robbin"\n')
    (tmp_path / "taken.json").mkdir()
    host = [] if "--host" in arguments else ["--host", "http://127.0.0.1:9"]
    result = locust(*host, *arguments, where=tmp_path)
    assert result.returncode == status
    assert words in result.stdout
    assert "Traceback" not in result.stdout
    assert not (tmp_path / "verdict.json").exists()


def test_a_page_that_asks_for_what_cannot_be_is_told(file: Path, tmp_path: Path) -> None:
    """Nothing is sent, and the run is over."""
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "locust", "-f", str(LOADTESTS), "--scenario", str(file)]
    at = ["--web-host", "127.0.0.1", "--web-port", str(port), "--tags", "any"]
    with subprocess.Popen(
        [*command, *at], cwd=tmp_path, env=running.environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        told = [next(line for line in process.stderr if "Starting web interface" in line)]
        form = {"user_count": 1, "spawn_rate": 1, "seed": -4, "host": "http://127.0.0.1:9"}
        answer_of(f"{page}/swarm", urlencode(form).encode())
        while (document := json.loads(answer_of(f"{page}/prediction/data")))["verdict"] is None:
            pass
        process.terminate()
        told.append(process.stderr.read())
    assert document["verdict"] == "invalid"
    assert "This run says nothing: --seed -4: a seed is a number from zero up" in document["says"]
    assert document["says"][-1] == "INVALID: not judged."
    assert "Traceback" not in "".join(told)
    assert verdict_in(tmp_path)["requests"] == 0


def answer_of(url: str, data: bytes | None = None) -> bytes:
    """Once somebody listens there."""
    while True:
        try:
            with urllib.request.urlopen(url, data) as answer:
                body: bytes = answer.read()
            return body
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError):
                raise
