"""The load test in a process of its own: locust patches the world of whoever imports it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from lb.foreign import export
from lb.native import running
from sim import Scenario, Schedule
from sim.live.arranged import arranged
from sim.live.measurement import Measurement
from sim.live.system import LiveSystem, relocated
from sim.live.users import population

LOADTESTS = Path(__file__).parents[2] / "loadtests"
STATUS = {"passed": 0, "missed": 4, "invalid": 1}
TEXT = """\
algorithm = "round_robin"
[server]
listen = "127.0.0.1:8080"
[[backend]]
name = "one"
address = "127.0.0.1:3001"
[backend.model]
service = { law = "exponential", mean = "40ms" }
workers = 9
[[backend]]
name = "two"
address = "127.0.0.1:3002"
[backend.model]
service = { law = "exponential", mean = "40ms" }
workers = 9
[traffic]
arrivals = { process = "poisson", rate = 100 }
network = { law = "lognormal", mean = "1ms", cv = 1.0 }
[run]
duration = "3s"
seed = 4
"""


def locust(
    *arguments: object, where: Path, stdout: Any = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    clean = running.environment()
    return subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(LOADTESTS), "--headless", *map(str, arguments)],
        cwd=where,
        env={**clean, **variables},
        stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE if stdout else subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


def verdict_in(where: Path, name: str = "verdict.json") -> dict[str, Any]:
    read: dict[str, Any] = json.loads((where / name).read_text(encoding="utf-8"))
    return read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(relocated(TEXT))
    return path


def test_measured_stands_beside_predicted(file: Path, tmp_path: Path) -> None:
    with LiveSystem(file, tmp_path) as system:
        result = locust(
            *("--host", system.url, "--scenario", file),
            *("--junit", "there/junit.xml", "--summary", "there/summary.md"),
            where=tmp_path,
        )
        # The same again, for a shorter time, with other names and seed.
        stopped = locust(
            *("--host", system.url, "--run-time", "2s", "--seed", 9, "--users", 5),
            where=tmp_path,
            LB_SCENARIO=str(file),
            LB_VERDICT="there/stopped.json",
        )
    assert "Traceback" not in result.stdout
    verdict = verdict_in(tmp_path)
    assert result.returncode == STATUS[verdict["verdict"]]
    assert f"{verdict['verdict'].upper()}: " in result.stdout
    assert "verdict.json; raw times and the schedule are beside it" in result.stdout
    schedule = Schedule.load(tmp_path / "verdict.schedule.npz")
    again = Schedule.draw(Scenario.load(file))
    np.testing.assert_array_equal(schedule.times, again.times)
    assert verdict["requests"] == len(again)
    assert f"{len(again)} requests at 100/s on average" in result.stdout
    for name, row in {**verdict["latency"], **verdict["shares"]}.items():
        assert row["measured"] > 0, name
        assert row["predicted"]["value"] > 0, name
    # Round robin shares out evenly, and what exponential work of 40 ms takes is no surprise.
    assert list(verdict["shares"]) == ["one", "two"]
    assert 0.45 < verdict["shares"]["one"]["measured"] < 0.55
    assert verdict["latency"]["p50"]["measured"] > 0.02
    assert verdict["failed"]["measured"] == 0
    suites = ET.parse(tmp_path / "there" / "junit.xml").getroot()
    assert int(suites.get("tests", 0)) >= 6
    assert {case.get("classname") for case in suites.iter("testcase")} == {
        "scenario, round_robin, lb"
    }
    summary = (tmp_path / "there" / "summary.md").read_text(encoding="utf-8")
    assert f" {verdict['verdict']}\n\n| figure | predicted |" in summary

    assert "Traceback" not in stopped.stdout
    verdict = verdict_in(tmp_path / "there", "stopped.json")
    assert stopped.returncode == STATUS[verdict["verdict"]]
    whole = len(Schedule.load(tmp_path / "there" / "stopped.schedule.npz"))
    assert verdict["requests"] == whole
    assert 140 < whole < 260, "two seconds of a hundred each"
    assert verdict["failed"]["measured"] == 0, "what was sent was answered"


def test_workers_share_one_schedule_and_one_verdict(file: Path, tmp_path: Path) -> None:
    with LiveSystem(file, tmp_path) as system:
        result = locust(
            *("--host", system.url, "--scenario", file, "--processes", 2, "--run-time", "2s"),
            where=tmp_path,
            LOCUST_MASTER_BIND_PORT=(port := str(free_port())),
            LOCUST_MASTER_NODE_PORT=port,
        )
    assert "Traceback" not in result.stdout
    verdict = verdict_in(tmp_path)
    assert result.returncode == STATUS[verdict["verdict"]]
    schedule = Schedule.load(tmp_path / "verdict.schedule.npz")
    with np.load(tmp_path / "verdict.measured.npz") as measured:
        sent, ended = measured["sent"], measured["ended"]
    assert len(sent) == len(schedule)
    lost = [why for why in verdict["invalid"] if "worker" in why]
    if not lost:  # a machine may be too busy for heartbeats and clocks
        assert verdict["requests"] == len(schedule)
        assert (sent >= schedule.times - 0.05).all(), "all clocks say the same"
        assert np.isfinite(ended).all()
    # Both had a part in it, which are every other request.
    assert np.isfinite(sent[0::2]).any()
    assert np.isfinite(sent[1::2]).any()


def test_users_wait_for_their_answers(file: Path, tmp_path: Path) -> None:
    users = 'users = { count = 30, think = "exponential:200ms" }'
    text = re.sub("(?m)^arrivals = .*$", users, file.read_text())
    file.write_text(text.replace('"3s"', '"1500ms"'))
    with LiveSystem(file, tmp_path) as system:
        result = locust("--host", system.url, "--scenario", file, "--users", 6, where=tmp_path)
    assert "Traceback" not in result.stdout
    assert "6 users who wait for their answers, for about 1.5 s" in result.stdout
    verdict = verdict_in(tmp_path)
    assert result.returncode == STATUS[verdict["verdict"]]
    assert not (tmp_path / "verdict.schedule.npz").exists()
    with np.load(tmp_path / "verdict.measured.npz") as measured:
        seen = Measurement(**{name: measured[name] for name in measured.files})
    assert seen.due is not None
    assert seen.user is not None
    assert set(seen.user.tolist()) <= set(range(6))
    assert verdict["requests"] == len(seen.due) > 0
    first = [float(seen.due[seen.user == user].min()) for user in set(seen.user.tolist())]
    people = population(arranged(Scenario.load(file), users=6))
    assert set(first) <= {people.think(user, 0) for user in range(6)}
    for user in range(6):
        mine = seen.user == user
        known = np.where(np.isfinite(seen.ended), seen.ended, seen.lost)[mine]
        assert (seen.due[mine][1:] >= known[:-1]).all(), "one at a time"


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed")
def test_another_balancer_names_its_backends_or_they_do(file: Path, tmp_path: Path) -> None:
    file.write_text(file.read_text().replace('"3s"', '"1s"'))
    scenario = Scenario.load(file)
    configuration = tmp_path / "haproxy.cfg"
    # HAProxy says in words of its own when it was the first; the second one says so itself.
    unnamed = re.sub("(?m)^.*X-Backend-Server.*\n", "", export(scenario, "haproxy").text)
    naming = "http-response set-header X-By %b/%s if { srv_id 1 }"
    configuration.write_text(unnamed.replace("default-server", f"{naming}\n    default-server", 1))
    host = f"http://{scenario.server.addresses[0]}"
    with balanced_by_haproxy(configuration, file, host):
        result = locust(
            *("--host", host, "--scenario", file, "--target-kind", "haproxy"),
            *("--backend-header", "X-By", "--junit", "junit.xml"),
            where=tmp_path,
        )
    verdict = verdict_in(tmp_path)
    assert result.returncode == STATUS[verdict["verdict"]]
    assert verdict["shares"]["one"]["measured"] == pytest.approx(0.5, abs=0.02)
    assert verdict["shares"]["two"]["measured"] == pytest.approx(0.5, abs=0.02)
    assert "scenario, round_robin, haproxy" in (tmp_path / "junit.xml").read_text()


@contextmanager
def balanced_by_haproxy(configuration: Path, file: Path, host: str) -> Iterator[None]:
    """HAProxy before the modelled backends of `file`, until all of it answers."""
    backend = [sys.executable, "-m", "lb", "backend", "-c", str(file)]
    first = Scenario.load(file).backends[0].address
    # A server that HAProxy does not find at once would be looked for again in half a minute.
    with (
        running_until(backend, f"http://{first}/health"),
        running_until(["haproxy", "-f", str(configuration), "-db"], f"{host}/work"),
    ):
        yield


@contextmanager
def running_until(command: list[str], url: str) -> Iterator[None]:
    """A process, from when it answers on."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            ends = time.monotonic() + 60
            while not answers(url):
                assert process.poll() is None
                assert time.monotonic() < ends
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=1) as a:
            return bool(a.status == 200)
    except OSError:
        return False


def test_a_backend_that_is_not_as_modelled_is_status_4(file: Path, tmp_path: Path) -> None:
    """Five times as slow, and figures may be twice too large: no noise can hide or excuse it."""
    text = f"{file.read_text()}[verdict]\np50 = 1.0\np95 = 1.0\np99 = 1.0\n"
    file.write_text(text)
    really = tmp_path / "backends.toml"
    really.write_text(text.replace("40ms", "200ms", 1))
    with LiveSystem(file, tmp_path, really) as system:
        result = locust("--host", system.url, "--scenario", file, where=tmp_path)
    verdict = verdict_in(tmp_path)
    assert verdict["verdict"] == "missed"
    assert result.returncode == 4
    assert "MISSED: " in result.stdout
    p99 = verdict["latency"]["p99"]
    assert p99["ok"] is False
    assert p99["measured"] > 3 * p99["predicted"]["value"]


def test_a_quiet_run_says_nothing_and_its_status_tells(file: Path, tmp_path: Path) -> None:
    file.write_text(file.read_text().replace('"3s"', '"500ms"'))
    with LiveSystem(file, tmp_path) as system:
        said = locust("--host", system.url, "--scenario", file, "--quiet", where=tmp_path)
        unasked = locust("--host", system.url, "--scenario", file, where=tmp_path, LB_QUIET="1")
    for result in (said, unasked):
        assert result.stdout == ""
        assert result.returncode in STATUS.values()
    assert verdict_in(tmp_path)["requests"] > 0
