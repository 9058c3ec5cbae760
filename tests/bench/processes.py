"""Processes of a benchmark: pinned to a core, measured, and ended whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

START_SECONDS = 15.0
END_SECONDS = 2.0
ROOT = Path(__file__).parents[2]


class BenchError(Exception):
    """The benchmark itself broke; a slow result is not an error."""


def _two_cores() -> tuple[int | None, int | None]:
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


PROXY_CORE, LOAD_CORE = _two_cores()
"""What is measured has a core to itself; all else shares the other. None: no pinning."""


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Run on one core, and so do processes started meanwhile."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listened on a moment ago."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@contextmanager
def running(
    command: Sequence[str],
    ports: Sequence[int],
    core: int | None,
    log: Path,
    cwd: Path = ROOT,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[psutil.Popen]:
    """A process that listens on `ports`, and its end. Raises BenchError when it does not start."""
    with pinned(core), log.open("wb") as output:
        process = psutil.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its children end with it
        )
    try:
        _wait_for(process, ports, command[0], log)
        yield process
    finally:
        with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            process.terminate()  # nginx ends and collects its worker
            process.wait(END_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def cpu_seconds(process: psutil.Popen) -> float:
    """User and system time so far of a process and its living children, all threads together.

    To the nanosecond where Linux keeps it so: a tick of its other clock is 10 ms.
    """
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        threads = list(Path(f"/proc/{one.pid}/task").glob("*/schedstat"))
        if threads:
            total += sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
        else:
            times = one.cpu_times()
            total += times.user + times.system
    return total


def _wait_for(process: psutil.Popen, ports: Sequence[int], name: str, log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    for port in ports:
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > ends:
                raise BenchError(f"{name} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.02)
