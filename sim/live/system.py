"""The whole system as processes: modelled backends and balancers in front of them, on loopback."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from lb.config import UNIX, Run, Scenario, host_and_port
from lb.errors import LbError
from lb.native.running import environment
from sim.live.balancers import command, free_port, last_words

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end us; a terminal that closes sends the second."""
READY_WITHIN = 20.0
"""Seconds for backends and proxy to come up."""
STOPPED_WITHIN = 10.0
LOGS = ("backend.log", "serve.log")


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


def rooted(text: str, directory: Path) -> str:
    """A scenario's text that may stand elsewhere: the files that it names stay where they are."""

    def placed(found: re.Match[str]) -> str:
        path = (directory / found[2]).resolve()
        return f"{found[1]}{path}" if path.is_file() else found[0]

    return re.sub(r"""(\bfile\s*=\s*["']|\bempirical:)([^"',]+)""", placed, text)


def with_run(text: str, run: Run) -> str:
    """A scenario's text with `run` in place of its [run]; the rest of it stays as it is written.

    Raises LbError where the text hides its [run] too well.
    """
    lines: list[str] = []
    table, placed = "", False
    for line in text.splitlines():
        if header := re.match(r"\s*\[+\s*([^\]]*?)\s*\]", line):
            table = header[1]
            if table == "run":
                lines += _lines_of(run)
                placed = True
                continue
        mine = r"\s*[^#\s]" if table == "run" else r"\s*run\s*[.=]"
        if table not in ("", "run") or not re.match(mine, line):
            lines.append(line)
    if not placed:
        lines += ["", *_lines_of(run)]
    moved = "\n".join(lines) + "\n"
    if Scenario.parse(moved).run != run:
        raise LbError("the table [run] of this file cannot be replaced; write it as a table")
    return moved


def _lines_of(run: Run) -> list[str]:
    """The table as a file writes it; a duration is a number and a unit."""
    rows = run.model_dump(exclude_none=True)
    for name in ("duration", "warmup"):
        if name in rows:
            rows[name] = f"{Decimal(repr(rows[name])):f}s"
    return ["[run]", *(f"{name} = {json.dumps(value)}" for name, value in rows.items())]


def _url(file: Scenario) -> str:
    """Where load can be offered. Raises LbError where that cannot be."""
    for listener in file.listening():
        plain = listener.tls is None and not listener.proxy_protocol
        if plain and not listener.address.startswith(UNIX):
            return f"http://{listener.address}"
    raise LbError("load is offered over plain HTTP; listen on a port for it, without TLS")


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True


class LiveSystem:
    """Runs `lb backend` and `lb serve` on one file; logs go to `directory`.

    `backends` is the file the backends really follow, when that is another one. `target` is what
    balances: lb, haproxy or nginx, set up as the file says; `balancers` are so many of it, the
    first where the file listens and the others at ports of their own. Raises LbError when the
    system does not come up.
    """

    def __init__(
        self,
        scenario: Path,
        directory: Path,
        backends: Path | None = None,
        target: str = "lb",
        balancers: int = 1,
    ) -> None:
        file = Scenario.load(scenario)
        self.url = _url(file)
        further = [f"http://127.0.0.1:{free_port()}" for _ in range(balancers - 1)]
        self.urls = (self.url, *further)
        self._backends = [host_and_port(row.address) for row in file.backends]
        ours = [sys.executable, "-m", "lb"]
        self._commands = {"backend": [*ours, "backend", "-c", str(backends or scenario)]}
        self._balancers = {
            "serve" if not at else f"serve_{at + 1}": url for at, url in enumerate(self.urls)
        }
        for name, url in self._balancers.items():
            self._commands[name] = command(target, scenario, url, directory)
        self._target, self._ours = target, target == "lb"
        self._directory = directory
        # The files say it all: LB_PORT is meant for whoever runs this, and so is a web proxy.
        self._environment = environment()
        self._ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        if not self._ours:  # who take their time to say so, while somebody else answers there
            self._are_free()
        # Ended from outside, we still stop what we have started.
        for name in ENDING:
            if signal.getsignal(name) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(name, lambda number, _: sys.exit(128 + number))
        try:
            self._start("backend")
            self._wait(self._backends_listen, "the backends did not start")
            for name in self._balancers:  # only now, or first checks would fail and be logged
                self._start(name)
            self._wait(self._ready, "the backends did not become healthy")
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
        for name in ENDING:
            if signal.getsignal(name) is not signal.SIG_IGN:
                signal.signal(name, signal.SIG_DFL)

    def _start(self, name: str) -> None:
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                self._commands[name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )

    def _wait(self, ready: Callable[[], bool], trouble: str) -> None:
        ends = time.monotonic() + READY_WITHIN
        while time.monotonic() < ends:
            for name, process in self._running.items():
                if process.poll() is not None:
                    said = last_words(self._log(name).read_text(encoding="utf-8"))
                    what = f"lb {name}" if self._ours or name == "backend" else self._target
                    raise LbError(f"{what} stopped: {said}")
            if ready():
                return
            time.sleep(0.05)
        raise LbError(f"{trouble} within {READY_WITHIN:g} s")

    def _backends_listen(self) -> bool:
        return all(_listens(*place) for place in self._backends)

    def _are_free(self) -> None:
        for url in self.urls:
            if self._healthy(url):
                place = urlsplit(url).netloc
                raise LbError(f"{self._target} cannot listen on {place}: somebody else does")

    def _ready(self) -> bool:
        return all(map(self._healthy, self.urls))

    def _healthy(self, url: str) -> bool:
        if not self._ours:  # which take backends to be up before they know
            place = urlsplit(url)
            return _listens(place.hostname or "", place.port or 80)
        try:
            with self._ask(f"{url}/lb-health", timeout=1) as answer:
                health = json.load(answer)
        except (OSError, urllib.error.URLError):
            return False
        return bool(health["healthy_backends"] == health["total_backends"])

    def _stop(self) -> None:
        for process in reversed(self._running.values()):  # the proxy first: no backend is missed
            process.terminate()
            try:
                process.wait(STOPPED_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"
