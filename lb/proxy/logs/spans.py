"""Spans of requests and of attempts at them, for a collector of OpenTelemetry.

Only those are told that are sampled. All but the gathering is done on a thread, the import of
OpenTelemetry too; a collector that is slow or gone costs spans, which are counted, and no more.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from threading import Event, Thread
from typing import Any

from lb.config import Tracing
from lb.errors import LbError
from lb.proxy.logs.log import Log
from lb.proxy.logs.served import Export, Served, Tried
from lb.proxy.logs.teller import Teller

ROOM = 4096
"""Requests that may wait."""
AT_ONCE = 256
"""Requests that are handed over together, at most."""
PAUSE = 1.0
"""Seconds between two hand-overs, while there are few."""
EXPORTER = "opentelemetry.exporter.otlp.proto.http"
SDK = "opentelemetry.sdk.trace"


class Spans(Teller):
    """Hears of requests that have ended. For one thread, the loop's."""

    def __init__(self, table: Tracing, log: Log, start: Callable[[Tracing], Export]) -> None:
        """`start` is called on a thread, and may take its time."""
        super().__init__()
        self.table = table
        self._log = log
        self._start = start
        self._waiting: deque[Served] = deque()
        self._refused = 0  # requests; only the caller's thread counts them
        self._lost = 0  # requests; this and the next belong to the other thread
        self._handed = 0  # requests to the other thread, which counts those it is done with
        self._done = 0
        self._taken = True
        self._told = True
        self._closing = Event()
        self._many = Event()
        self._thread = Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    # --- what is heard

    def ended(
        self, exchange: Any, attempt: Any, now: float, code: str, who: str, phase: str
    ) -> None:
        """See `lb.proxy.exchange.account`."""
        trace = exchange.trace
        if len(self._waiting) >= ROOM:
            self._refused += 1
            return
        since = time.time() - now
        request = exchange.request
        secure = exchange.client.transport.get_extra_info("ssl_object") is not None
        self._handed += 1
        self._waiting.append(
            Served(
                *(trace.trace_id, trace.span, trace.parent),
                *(exchange.arrived_at + since, now + since),
                *(request.method.decode(), request.target.decode("utf-8", "replace")),
                *(request.minor, request.host.decode("utf-8", "replace")),
                exchange.client.peer.decode(),
                secure,
                *(exchange.status, code),
                tuple(
                    Tried(
                        *(one.span, one.lease.backend.address, one.site.secure),
                        *(one.lease.started_at + since, at + since, outcome, status),
                    )
                    for one, at, outcome, status in trace.tried
                ),
            )
        )
        if len(self._waiting) >= AT_ONCE:
            self._many.set()

    # --- what is done now and then

    @property
    def dropped(self) -> int:
        """Requests that no collector has heard of."""
        return self._refused + self._lost

    def flush(self) -> None:
        """Say when the collector takes no spans any more, or takes them again.

        How many it was not told of is said at the end.
        """
        if self._taken != self._told:
            self._told = self._taken
            event = "spans are taken again" if self._taken else "spans are not taken"
            self._log("info" if self._taken else "warning", event, collector=self.table.otlp)

    def hasten(self) -> None:
        """Tell what there is at once; no more comes."""
        self._closing.set()
        self._many.set()

    def close(self, within: float) -> bool:
        """Tell what there is; False when that takes longer than `within` seconds.

        What the collector has not taken by then counts as dropped, unless no time was given.
        """
        self.hasten()
        self._thread.join(within)
        in_time = not self._thread.is_alive()
        self.flush()
        lost = self.dropped + (self._handed - self._done if within else 0)
        if lost:
            self._log("warning", "spans dropped", requests=lost, collector=self.table.otlp)
        return in_time

    # --- on a thread

    def _run(self) -> None:
        export = self._start(self.table)
        while True:
            self._many.wait(PAUSE)
            self._many.clear()
            closing = self._closing.is_set()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                self._taken = export(batch)
                self._done += len(batch)
                if not self._taken:
                    self._lost += len(batch)
                    if closing:
                        break
            if closing:
                return


class NoOpenTelemetry(LbError):
    """The extra is not installed."""

    code = "no_opentelemetry"


def spans(table: Tracing, log: Log) -> Spans:
    """What tells the collector of `table`. Raises NoOpenTelemetry."""
    try:
        there = find_spec(SDK) is not None and find_spec(EXPORTER) is not None
    except ModuleNotFoundError:  # of a package above
        there = False
    if not there:
        raise NoOpenTelemetry("OpenTelemetry is not installed: pip install 'lb-twin[otel]'")
    return Spans(table, log, _to_collector)


def _to_collector(table: Tracing) -> Export:
    from lb.proxy.logs.otlp import exporter  # it takes a while, and is optional

    return exporter(table)
