"""Backends and proxy as processes: up when they are healthy, gone afterwards."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb import wire
from lb.config import Run, Scenario
from lb.errors import LbError
from sim.live.system import LiveSystem, relocated, with_run

TEXT = """\
algorithm = "round_robin"  # on 127.0.0.1:8080
[server]
listen = "127.0.0.1:8080"
[[backend]]
name = "one"
address = "127.0.0.1:3001"
[backend.model]
service = { law = "deterministic", mean = "10ms" }
[[backend]]
name = "two"
address = "127.0.0.1:3002"
[backend.model]
service = { law = "deterministic", mean = "10ms" }
"""


def get(url: str) -> Any:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=10) as answer:
        return json.load(answer)


def processes(system: LiveSystem) -> dict[str, subprocess.Popen[bytes]]:
    return dict(system._running)


# --- other ports


@given(st.lists(st.integers(1, 65535), max_size=20))
def test_each_loopback_port_becomes_one_free_port(ports: list[int]) -> None:
    moved = relocated(" ".join(f"127.0.0.1:{port};" for port in ports))
    new = [int(part.removeprefix("127.0.0.1:")) for part in moved.replace(";", "").split()]
    assert len(new) == len(ports)
    pairs = set(zip(ports, new, strict=True))
    assert len(pairs) == len(set(ports)) == len(set(new))


def test_nothing_else_moves() -> None:
    text = 'a = "10.0.0.1:3001"\nb = "localhost:3001"\nc = "127.0.0.1"\nrate = 3001\n'
    assert relocated(text) == text


def test_a_scenario_that_was_moved_is_the_same_scenario() -> None:
    before, after = Scenario.parse(TEXT), Scenario.parse(relocated(TEXT))
    assert after.server.listen != before.server.listen
    assert [row.model for row in after.backends] == [row.model for row in before.backends]
    for row in after.backends:
        host, _, port = row.address.partition(":")
        with socket.socket() as free:
            free.bind((host, int(port)))


# --- other lengths and seeds

OTHER = Run(duration=2.5, replications=3, warmup=1e-6, seed=7)


@pytest.mark.parametrize(
    "run",
    [
        "",
        '[run]\nrequests = 10\nseed = 3  # mine\nwarmup = "1s"\n',
        '[run] # how long\n# a note\nduration = "1m"\n\n# objectives\n[expect]\np99 = "1s"\n',
        "[ run ]\n",
    ],
)
def test_a_run_takes_the_place_of_the_files(run: str) -> None:
    moved = with_run(f"{TEXT}{run}", OTHER)
    before, after = Scenario.parse(f"{TEXT}{run}"), Scenario.parse(moved)
    assert after.run == OTHER
    assert after == before.model_copy(update={"run": OTHER})
    for line in f"{TEXT}{run}".splitlines():
        if line.startswith("#") or ("[" in line and "run" not in line):
            assert line in moved


@pytest.mark.parametrize("run", ["run = { requests = 5, seed = 2 }\n", "run.seed = 2\n"])
def test_a_run_that_is_no_table_is_replaced_too(run: str) -> None:
    after = Scenario.parse(with_run(f"{run}{TEXT}", OTHER))
    assert after == Scenario.parse(TEXT).model_copy(update={"run": OTHER})


def test_a_run_that_cannot_be_replaced_is_told() -> None:
    with pytest.raises(LbError):
        with_run(f'"run" = {{ seed = 2 }}\n{TEXT}', OTHER)


# --- processes


def test_it_is_up_inside_and_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is set outside: the files alone say what runs; and its backends may have theirs."""
    monkeypatch.setenv("LB_PORT", "1")
    monkeypatch.setenv("LB_ALGORITHM", "random")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    file, really = tmp_path / "scenario.toml", tmp_path / "backends.toml"
    text = relocated(TEXT)
    file.write_text(text)
    really.write_text(text.replace("10ms", "30ms"))
    with LiveSystem(file, tmp_path, really) as system:
        assert system.url == f"http://{Scenario.load(file).server.listen}"
        assert get(f"{system.url}/lb-health")["healthy_backends"] == 2
        assert get(f"{system.url}/lb-stats")["algorithm"] == "round_robin"
        answers = [get(system.url) for _ in range(4)]
        assert [answer["server"] for answer in answers] == ["one", "two", "one", "two"]
        assert {answer["service_ms"] for answer in answers} == {30}
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(system.url, timeout=10) as answer:
            served = wire.read_served(answer.headers[wire.SERVED])
        assert served.backend == Scenario.load(file).backends[0].address
        assert served.service == served.sojourn == 0.03
        running = processes(system)
        assert {process.poll() for process in running.values()} == {None}
    assert {name: process.returncode for name, process in running.items()} == {
        "backend": 0,
        "serve": 0,
    }
    log = (tmp_path / "serve.log").read_text()
    assert "event=listening" in log
    warnings = [line for line in log.splitlines() if "level=info" not in line]
    assert [line for line in warnings if "runs as root" not in line] == []
    assert "backend two on http://" in (tmp_path / "backend.log").read_text()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_too(tmp_path: Path, name: str) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(relocated(TEXT), encoding="utf-8")
    # Where tests run without a terminal, SIGHUP may be ignored, and that would be inherited.
    before = signal.signal(getattr(signal, name), signal.SIG_DFL)
    with pytest.raises(SystemExit) as ended, LiveSystem(file, tmp_path) as system:  # noqa: PT012
        started = list(processes(system).values())
        signal.raise_signal(getattr(signal, name))
    assert ended.value.code == 128 + getattr(signal, name)
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)
    assert signal.getsignal(getattr(signal, name)) is signal.SIG_DFL
    signal.signal(getattr(signal, name), before)


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(relocated(TEXT), encoding="utf-8")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with LiveSystem(file, tmp_path) as system:
        signal.raise_signal(signal.SIGHUP)  # as nohup has it
        assert get(f"{system.url}/lb-health")["healthy_backends"] == 2
    assert signal.signal(signal.SIGHUP, before) is signal.SIG_IGN


def test_an_error_inside_ends_it_too(tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(relocated(TEXT))
    with pytest.raises(ZeroDivisionError), LiveSystem(file, tmp_path) as system:  # noqa: PT012
        running = processes(system)
        raise ZeroDivisionError
    assert [process.returncode for process in running.values()] == [0, 0]


@pytest.mark.parametrize(("name", "which"), [("backend", 1), ("serve", None)])
def test_a_port_in_use_is_told_in_the_words_of_who_needed_it(
    tmp_path: Path, name: str, which: int | None
) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(relocated(TEXT))
    scenario = Scenario.load(file)
    place = scenario.server.listen if which is None else scenario.backends[which].address
    host, _, port = place.partition(":")
    with socket.socket() as taken:
        taken.bind((host, int(port)))
        taken.listen()
        system = LiveSystem(file, tmp_path)
        with pytest.raises(LbError) as failed, system:
            pass
    said = f"lb {name} stopped: lb: cannot listen on {place}: address already in use"
    assert str(failed.value) == said
    assert None not in {process.returncode for process in processes(system).values()}


def test_a_file_that_cannot_be_read_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(LbError, match="cannot be read"):
        LiveSystem(tmp_path / "none.toml", tmp_path)
    assert list(tmp_path.iterdir()) == []
