"""Who hears of requests: the access log, the collector of spans; and what requests are marked with.

All of it changes with the file, while requests run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from lb.config import Scenario
from lb.errors import CannotWrite, ConfigError
from lb.proxy.context import Context
from lb.proxy.http.tracing import Marks
from lb.proxy.logs.access import AccessLog
from lb.proxy.logs.log import Log
from lb.proxy.logs.spans import NoOpenTelemetry, Spans, spans

LAST_WORDS = 1.0
"""Seconds that files and collectors which take nothing may delay the end of the process."""
SOON = 0.01
"""Of these the seconds that are left to the last of them in any case."""


@dataclass(frozen=True)
class Hearers:
    """What one file asks for."""

    access_log: AccessLog | None = None
    collector: Spans | None = None
    marks: Marks | None = None


class Telling:
    """Those of a running proxy."""

    def __init__(self, context: Context, log: Log) -> None:
        self._context = context
        self._log = log
        self._now = Hearers()
        self._before: dict[str, int] = {}  # dropped by those who hear no more

    def prepared(self, scenario: Scenario) -> Hearers:
        """What `scenario` asks for, ready to hear. Raises ConfigError."""
        now, tracing = self._now, scenario.tracing
        marks = now.marks
        if marks is None or marks.table != tracing:
            marks = Marks(tracing) if tracing.request_id or tracing.traces else None
        collector = now.collector
        if collector is None or collector.table != tracing:
            try:
                collector = spans(tracing, self._log) if tracing.otlp else None
            except NoOpenTelemetry as error:
                raise ConfigError([f"{scenario.place('tracing', 'otlp')}: {error}"]) from None
        access_log, table = now.access_log, scenario.access_log
        if access_log is None or access_log.table != table:
            try:
                access_log = None if table is None else AccessLog(table, self._log)
            except CannotWrite as error:
                self.discard(Hearers(None, collector))
                place = scenario.place("access_log", "file")
                raise ConfigError([f"{place}: {error}"]) from None
        return Hearers(access_log, collector, marks)

    def adopt(self, hearers: Hearers) -> None:
        """Tell them from now on."""
        before, self._now = self._now, hearers
        context = self._context
        context.marks = hearers.marks
        context.teller, context.collector = hearers.access_log, hearers.collector
        self._end(before, hearers)

    def discard(self, hearers: Hearers) -> None:
        """They are not to hear anything after all."""
        self._end(hearers, self._now)

    def _end(self, some: Hearers, but: Hearers) -> None:
        for name, one, other in (
            ("access_log", some.access_log, but.access_log),
            ("spans", some.collector, but.collector),
        ):
            if one is not None and one is not other:
                one.close(within=0.0)
                self._before[name] = self._before.get(name, 0) + one.dropped

    @property
    def dropped(self) -> dict[str, int]:
        """Lines and requests that were to be told and found no room."""
        found = dict(self._before)
        for name, one in (("access_log", self._now.access_log), ("spans", self._now.collector)):
            if one is not None:
                found[name] = found.get(name, 0) + one.dropped
        return found

    def flush(self) -> None:
        """Hand on what was gathered. Call it on every tick."""
        if self._now.access_log is not None:
            self._now.access_log.flush()
        if self._now.collector is not None:
            self._now.collector.flush()

    def reopen(self) -> None:
        """Go on in a new file of the same name, should somebody have moved the access log away."""
        if self._now.access_log is not None:
            self._now.access_log.reopen()

    def close(self) -> None:
        """Tell what there is, for a second at most: one does not wait for the other."""
        access_log, collector = self._now.access_log, self._now.collector
        until = time.monotonic() + LAST_WORDS
        if collector is not None:
            collector.hasten()
        if access_log is not None:
            access_log.close(LAST_WORDS)
        if collector is not None:
            collector.close(max(SOON, until - time.monotonic()))
