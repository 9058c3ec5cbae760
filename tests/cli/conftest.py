"""Commands as a user runs them: in processes of their own."""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from http.client import HTTPConnection
from typing import Any
from unittest import mock

import pytest

from lb.cli import main
from lb.native import running

LIMIT = 20.0
"""Seconds that nothing here may take."""


def environment(given: dict[str, str]) -> dict[str, str]:
    return {**running.environment(), "COLUMNS": "100", **given}


def lb(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, here and now: a process each would take most of a second."""
    given = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["lb", *given]),
        mock.patch.dict(os.environ, environment(variables), clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as exit_,
    ):
        main()
    status = exit_.value.code
    assert isinstance(status, int)
    return subprocess.CompletedProcess(given, status, out.getvalue(), err.getvalue())


def lb_process(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "lb", *map(str, arguments)],
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_a_terminal(columns: int, *arguments: object) -> str:
    """What a command shows on a terminal of that many columns, here and now."""
    screen = Terminal()
    with (
        mock.patch.object(sys, "argv", ["lb", *map(str, arguments)]),
        mock.patch.dict(os.environ, environment({"COLUMNS": str(columns)}), clear=True),
        redirect_stdout(screen),
        redirect_stderr(screen),
        pytest.raises(SystemExit),
    ):
        main()
    return screen.getvalue()


class Running:
    """A command that runs until it is told to stop."""

    command = (sys.executable, "-m", "lb")

    def __init__(self, *arguments: object, **variables: str) -> None:
        self.process = subprocess.Popen(
            [*self.command, *map(str, arguments)],
            env=environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.seen: list[str] = []

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))

    def until(self, text: str) -> str:
        """The next line that holds `text`."""
        while True:
            self.seen.append(self._lines.get(timeout=LIMIT))
            if text in self.seen[-1]:
                return self.seen[-1]

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Its exit status."""
        status = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        while not self._lines.empty():
            self.seen.append(self._lines.get())
        assert not any("Traceback" in line for line in self.seen)
        return status


class Serving(Running):
    """`lb serve` on a port the system chose."""

    def __init__(self, *arguments: object, **variables: str) -> None:
        super().__init__("serve", *arguments, **variables)
        self.listening = self.until("event=listening")
        fields = dict(part.split("=", 1) for part in self.listening.split())
        self.address = fields["address"]

    def get(self, path: str = "/", **fields: str) -> tuple[int, Any]:
        return get(self.address, path, **fields)


def get(address: str, path: str = "/", **fields: str) -> tuple[int, Any]:
    """Status and JSON of one GET; the underscores of field names are hyphens."""
    connection = HTTPConnection(address, timeout=LIMIT)
    try:
        connection.request(
            "GET", path, headers={name.replace("_", "-"): value for name, value in fields.items()}
        )
        answer = connection.getresponse()
        return answer.status, json.load(answer)
    finally:
        connection.close()


Start = Callable[..., Any]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes that do not outlive the test."""
    started: list[Running] = []

    def one(kind: type[Running], *arguments: object, **variables: str) -> Running:
        started.append(kind(*arguments, **variables))
        return started[-1]

    yield one
    for it in started:
        if it.process.poll() is None:
            it.process.kill()
        it.ended()
