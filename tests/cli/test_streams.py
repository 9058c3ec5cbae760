"""A stdout that is full, closed, or read by nobody: one line at most, and exit status 1."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import LIMIT, Serving, Start, environment

FULL = Path("/dev/full")

COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "strategies": ["strategies"],
    "check": ["check", "loadtests/scenarios/weighted.toml"],
    "schema": ["check", "--schema"],
    "backend": ["backend", "-p", "0"],
}

# as a shell does it: `lb ... >&-`
CLOSING = "import os, sys; os.close(int(sys.argv[1])); os.execv(sys.executable, sys.argv[2:])"


def lb_closed(descriptor: int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A command that is started with a standard stream closed."""
    return subprocess.run(
        [sys.executable, "-c", CLOSING, str(descriptor), sys.executable, "-m", "lb", *arguments],
        env=environment({}),
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )


def lb_into(stdout: int, *arguments: str, stderr: int = subprocess.PIPE) -> tuple[int, bytes]:
    ran = subprocess.run(
        [sys.executable, "-m", "lb", *arguments],
        env=environment({}),
        stdout=stdout,
        stderr=stderr,
        timeout=LIMIT,
        check=False,
    )
    return ran.returncode, ran.stderr


@pytest.mark.skipif(not FULL.exists(), reason="no device that is full")
@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_full_stdout_is_one_line(arguments: list[str]) -> None:
    with FULL.open("wb") as full:
        status, told = lb_into(full.fileno(), *arguments)
        assert (status, told) == (1, b"lb: stdout: no space left on device\n")


@pytest.mark.skipif(not FULL.exists(), reason="no device that is full")
def test_with_stderr_full_as_well_the_status_tells() -> None:
    with FULL.open("wb") as full:
        assert lb_into(full.fileno(), "strategies", stderr=full.fileno())[0] == 1


@pytest.mark.skipif(not FULL.exists(), reason="no device that is full")
def test_a_full_stderr_costs_no_result() -> None:
    with FULL.open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "lb", "simulate", "--requests", "2000", "--json"],
            env=environment({}),
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=LIMIT,
            check=False,
        )
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["runs"][0]["requests"] == 2000


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_closed_stdout_is_one_line(arguments: list[str]) -> None:
    ran = lb_closed(1, *arguments)
    assert ran.returncode == 1
    assert ran.stderr.decode() == f"lb: stdout: {os.strerror(errno.EBADF).lower()}\n"


def test_a_closed_stderr_is_not_what_anyone_writes_into() -> None:
    ran = lb_closed(2, "strategies", "p2d")
    assert ran.returncode == 2
    assert ran.stdout == b""


def test_a_reader_that_has_gone_is_told_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        assert lb_into(write, "strategies") == (1, b"")
    finally:
        os.close(write)


class Closed(Serving):
    command = (sys.executable, "-c", CLOSING, "1", *Serving.command)


def test_what_writes_nothing_needs_no_stdout(start: Start) -> None:
    serving = start(Closed, "-p", 0)
    assert serving.get("/lb-health")[0] == 503
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0
