"""A successor that this process starts, of the same command line."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from lb.proxy.logs.log import Log
from lb.system import reason
from lb.workers.handover import START

PREDECESSOR = "LB_PREDECESSOR"
"""In a successor's environment: by which name the process is found that has started it."""
LOOK = 0.1
"""Seconds between two looks at whether it lives."""


def command_line() -> list[str]:
    """How this process was started."""
    return [sys.executable, *sys.orig_argv[1:]]


async def send_for(
    command: Sequence[str], log: Log, who: str, has_come: Callable[[], bool]
) -> None:
    """Start it, and wait until it `has_come`, or has failed, which the log then tells."""
    environment = {**os.environ, PREDECESSOR: f"pid {os.getpid()}"}
    environment.pop("WATCHDOG_PID", None)
    try:
        # asyncio's own would be killed with our loop.
        successor = await asyncio.to_thread(subprocess.Popen, command, env=environment)
    except OSError as error:
        log("error", "no successor", who=who, reason=reason(error))
        return
    log("info", "successor started", who=who, pid=successor.pid)
    loop = asyncio.get_running_loop()
    until = loop.time() + START
    while not has_come() and successor.poll() is None:
        if loop.time() > until:
            successor.kill()
        await asyncio.sleep(LOOK)
    if has_come():
        successor.returncode = 0  # it is nobody's child, and goes on
    else:
        log("error", "successor failed", pid=successor.pid, status=successor.returncode)
