"""The shadow of a running balancer: what other algorithms would give on its requests.

It is a process of its own with the lowest priority (`lb.cli.shadow`), at whose socket those who
serve say what they do (`lb.proxy.logs.feed`). It may be slow, die or hang: nobody waits for it.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from lb.errors import CannotWrite
from lb.proxy.logs.log import Log
from lb.system import reason

COMMAND = (sys.executable, "-m", "lb.cli.shadow")
LIVES = 5
"""Times that it is started, until it has lived for `LONG`."""
LONG = 600.0
PAUSE = 2.0
"""Seconds until it is started anew."""
WORTH_A_WORD = 5.0
"""Seconds of work from which on it is told how much processor time it gets."""
BUSY = 0.5
"""The share of a processor below which that is told."""
LINE = 1 << 20
"""Bytes of one look, at most."""


class Shadow:
    """`start`, then `close`."""

    def __init__(
        self,
        algorithms: Sequence[str],
        log: Log,
        command: Sequence[str] = COMMAND,
        now: Callable[[], float] = monotonic,
        pause: float = PAUSE,
    ) -> None:
        self._algorithms = tuple(algorithms)
        self._log = log
        self._command = command
        self._now = now
        self._pause = pause
        self._told: dict[str, Any] = {"state": "starting"}
        self._told_at = now()
        self._works = True
        self._pid = 0
        self._work_then = 0.0
        self._folder = ""
        self._task: asyncio.Task[None] | None = None
        self._listening: socket.socket | None = None

    @property
    def path(self) -> str:
        """Of the socket."""
        return str(Path(self._folder) / "feed")

    def told(self) -> Mapping[str, Any]:
        """Its last look, and how long ago that was."""
        age = round(self._now() - self._told_at, 3)
        told = {"algorithms": list(self._algorithms), "age_s": age, **self._told}
        if self._works:
            told["reason"] = told.get("reason", "its process is starting") + self._starved(age)
        return told

    def _starved(self, seconds: float) -> str:
        """A word on its processor time since it last said something, where that is the reason."""
        work = worked(self._pid) - self._work_then if self._pid else math.nan
        if seconds < WORTH_A_WORD or not work < BUSY * seconds:
            return ""
        return f"; it gets little processor time: {work:.1f} s of work in {seconds:.0f} s"

    def start(self) -> None:
        """Have the process, and go on having it. Raises CannotWrite."""
        self._listening = socket.socket(socket.AF_UNIX)
        try:
            self._folder = tempfile.mkdtemp(prefix="lb-shadow-")
            self._listening.bind(self.path)
        except OSError as error:
            raise CannotWrite(tempfile.gettempdir(), reason(error)) from None
        self._listening.listen()
        self._task = asyncio.get_running_loop().create_task(self._mind())

    async def close(self) -> None:
        """Let nothing go on."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._listening is not None:
            self._listening.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _mind(self) -> None:
        lives = LIVES
        while lives:
            began = self._now()
            why = await self._live()
            lives = LIVES if self._now() - began > LONG else lives - 1
            level, event = ("warning", "shadow ended") if lives else ("error", "no more shadow")
            self._log(level, event, reason=why)
            self._hear({"state": "failed", "reason": why})
            await asyncio.sleep(self._pause)
        if self._listening is not None:
            self._listening.close()  # nobody listens any more, which those who serve notice

    async def _live(self) -> str:
        """One life of the process; how it ended."""
        assert self._listening is not None
        number = self._listening.fileno()
        pipe = asyncio.subprocess.PIPE
        try:
            child = await asyncio.create_subprocess_exec(
                *(*self._command, str(number), *self._algorithms),
                stdin=pipe,  # nothing is said: it ends when we do
                stdout=pipe,
                stderr=pipe,
                pass_fds=[number],
                start_new_session=True,
                limit=LINE,
            )
        except OSError as error:
            return reason(error)
        self._pid = child.pid
        self._hear({"state": "starting", "works": True})
        try:
            assert child.stdout is not None
            assert child.stderr is not None
            complaint = asyncio.ensure_future(child.stderr.read())
            try:
                while line := await child.stdout.readline():
                    self._hear(json.loads(line))
            except ValueError as error:  # not JSON, or too long
                child.kill()
                return f"it says what makes no sense: {error}"
            status = await child.wait()
            said = (await complaint).decode("utf-8", "replace").strip().rpartition("\n")[2]
            return said or (f"status {status}" if status >= 0 else f"signal {-status}")
        finally:
            self._pid = 0
            if child.returncode is None:
                child.kill()
                await child.wait()

    def _hear(self, told: dict[str, Any]) -> None:
        self._works = bool(told.pop("works", False))
        self._told, self._told_at = told, self._now()
        self._work_then = worked(self._pid) if self._pid else 0.0


def worked(pid: int) -> float:
    """Seconds of processor time that a process has had; NaN where that is not told."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        user, system = words.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return math.nan
