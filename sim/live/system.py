"""The whole system as processes: modelled backends and the proxy in front of them, on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from lb.config import Scenario
from lb.errors import LbError

READY_WITHIN = 20.0
"""Seconds for backends and proxy to come up."""
STOPPED_WITHIN = 10.0


def relocated(text: str) -> str:
    """A scenario's text with a free port in place of each loopback one."""
    ports: dict[str, int] = {}
    held = []
    for port in dict.fromkeys(re.findall(r"127\.0\.0\.1:(\d+)", text)):
        holder = socket.socket()
        holder.bind(("127.0.0.1", 0))
        ports[port] = holder.getsockname()[1]
        held.append(holder)  # all at once, or two might get the same
    for holder in held:
        holder.close()
    return re.sub(r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{ports[found[1]]}", text)


class LiveSystem:
    """Runs `lb backend` and `lb serve` on one file; logs go to `directory`.

    `backends` is the file the backends really follow, when that is another one. Raises LbError when
    the system does not come up.
    """

    def __init__(self, scenario: Path, directory: Path, backends: Path | None = None) -> None:
        self.url = f"http://{Scenario.load(scenario).server.listen}"
        self._commands = {
            "backend": ["backend", "-c", str(backends or scenario)],
            "serve": ["serve", "-c", str(scenario)],
        }
        self._directory = directory
        # The files say it all: LB_PORT is meant for whoever runs this, and so is a web proxy.
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("LB_")}
        self._ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        # Ended from outside, we still stop what we have started.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        try:
            self._start("backend")
            self._start("serve")
            self._wait_until_healthy()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stop()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _start(self, name: str) -> None:
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "lb", *self._commands[name]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )

    def _wait_until_healthy(self) -> None:
        ends = time.monotonic() + READY_WITHIN
        while time.monotonic() < ends:
            for name, process in self._running.items():
                if process.poll() is not None:
                    said = self._log(name).read_text(encoding="utf-8").strip().splitlines()
                    raise LbError(f"lb {name} stopped: {said[-1] if said else 'no message'}")
            try:
                with self._ask(f"{self.url}/lb-health", timeout=1) as answer:
                    health = json.load(answer)
                if health["healthy_backends"] == health["total_backends"]:
                    return
            except (OSError, urllib.error.URLError):
                pass
            time.sleep(0.05)
        raise LbError(f"the backends did not become healthy within {READY_WITHIN:g} s")

    def _stop(self) -> None:
        for process in reversed(self._running.values()):
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(STOPPED_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"
