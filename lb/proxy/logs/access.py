"""The access log: who is written down, and how lines leave.

Lines are gathered, and handed to a thread that may fall behind; what finds no place is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import log as logarithm
from random import Random, SystemRandom
from typing import Any

from lb.config import AccessLog as Table
from lb.config.access_log import JSON
from lb.proxy.logs.lines import Heads, facts, facts_of_none, line_of
from lb.proxy.logs.log import Log
from lb.proxy.logs.objects import Objects
from lb.proxy.logs.sinks import sink
from lb.proxy.logs.teller import Teller
from lb.proxy.logs.writing import WriterThread
from lb.system import reason

ROOM = 8 << 20
"""Bytes of lines that may wait: some 20,000 of them."""
GATHERED = 128
"""Lines that are handed on together, at most."""
PAUSE = 0.01
"""Seconds between two writes."""
QUIET = 10.0
"""Seconds between two words on lines that were dropped."""
SLOW = "not written as fast as they came"
REOPEN = b"reopen"
CLOSE = b"close"


class AccessLog(Teller):
    """Hears of requests that have ended. For one thread, the loop's."""

    def __init__(
        self,
        table: Table,
        log: Log,
        rng: Random | None = None,
        now: Callable[[], float] = time.time,
        room: int = ROOM,
    ) -> None:
        """Raises CannotWrite."""
        super().__init__()
        self.table = table
        self._log = log
        self._sink = sink(table)
        self._line = line_of(table.format)
        self._heads = Heads()
        self._objects = Objects(self._heads) if table.format == JSON else None
        self._now = now
        self._errors = table.errors
        self._sample = table.sample
        self._draw = (rng or SystemRandom()).random
        self.pass_over = self._gap()
        self._lines: list[str] = []
        self._refused = 0  # lines; only the caller's thread counts them
        self._lost = 0  # lines; this and the next belong to the writer's thread
        self._news: tuple[str, str] | None = None
        self._handed = 0  # lines to the writer's thread, which counts those it is done with
        self._done = 0
        self._told = self._lost_told = 0
        self._tell_at = 0.0
        self._writer = WriterThread("access log", self._write, room, PAUSE)

    # --- what is heard

    def ended(
        self, exchange: Any, attempt: Any, now: float, code: str, who: str, phase: str
    ) -> None:
        """See `lb.proxy.exchange.account`."""
        if self._sample < 1.0:
            if self.pass_over <= 0.0:
                self.pass_over = self._gap()
            elif not self._errors:
                self.pass_over -= 1.0
                return
        at, objects = self._now(), self._objects
        if objects is not None:
            line = objects.line(exchange, attempt, now, code, who, phase, at)
        else:
            line = self._line(facts(self._heads, exchange, attempt, now, code, who, phase, at))
        lines = self._lines
        lines.append(line)
        if len(lines) >= GATHERED:
            self._hand_on()

    def rejected(self, peer: bytes, status: int, line: bytes, seconds: float) -> None:
        """See `Teller`."""
        if self._errors or self._sample >= 1.0:
            known = facts_of_none(peer, status, line, seconds, self._now())
            self._lines.append(self._line(known))

    def _gap(self) -> float:
        """How many are passed over until one is written: each is drawn by itself."""
        if self._sample >= 1.0:
            return 0.0
        if self._sample <= 0.0:
            return float("inf")
        return logarithm(1 - self._draw()) // logarithm(1 - self._sample)

    # --- what is done now and then

    @property
    def dropped(self) -> int:
        """Lines that found no place."""
        return self._refused + self._lost

    def flush(self) -> None:
        """Hand on what was gathered, and say what went wrong. Call it on every tick."""
        if self._lines:
            self._hand_on()
        if self._news is not None:
            (level, event), self._news = self._news, None
            self._log(level, event, file=self.table.file)
        if self.dropped > self._told and self._now() >= self._tell_at:
            self._tell_at = self._now() + QUIET
            self._tell()

    def _tell(self) -> None:
        """Say how many lines were dropped of which nothing was said."""
        lost, dropped = self._lost, self.dropped
        why = self._sink.why if lost > self._lost_told else SLOW
        count, self._told, self._lost_told = dropped - self._told, dropped, lost
        file = self.table.file
        self._log("warning", "access log lines dropped", count=count, why=why, file=file)

    def reopen(self) -> None:
        """Go on in a new file of the same name. Where that cannot be, in the old one."""
        self.flush()
        self._writer.put(REOPEN)

    def close(self, within: float) -> bool:
        """Write what there is; False when that takes longer than `within` seconds.

        What is not written by then counts as dropped, unless no time was given: then it is written
        later, should the process live on.
        """
        self.flush()
        self._writer.put(CLOSE)
        in_time = self._writer.close(within)
        if not in_time and within:
            self._refused += self._handed - self._done
        self.flush()
        if self.dropped > self._told:
            self._tell()
        return in_time

    def _hand_on(self) -> None:
        lines, self._lines = self._lines, []
        if self._writer.put("".join(lines).encode("utf-8", "backslashreplace")):
            self._handed += len(lines)
        else:
            self._refused += len(lines)

    # --- on the writer's thread

    def _write(self, items: list[bytes]) -> bool:
        for item in items:
            if item is REOPEN:
                self._reopen()
            elif item is CLOSE:
                self._sink.close()
            else:
                self._lost += self._sink.write(item)
                self._done += item.count(b"\n")
        return False

    def _reopen(self) -> None:
        try:
            self._sink.reopen()
        except OSError as error:
            why = f"access log not reopened, {reason(error)}: the old file stays in use"
            self._news = "warning", why
        else:
            self._news = "info", "access log reopened"
