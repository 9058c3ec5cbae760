"""What other algorithms would have given on the requests that a running balancer has.

A model of its backends is calibrated from the last of them, again and again, and each algorithm
tried on them.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from lb.balancing import Setup
from lb.config import Scenario
from lb.errors import BadRecording, LbError
from lb.recording.reader import Log
from lb.traces.observed import Observed, Observing
from lb.traces.recorded import Reading
from sim.analysis.statistics import FIGURES, Estimate
from sim.fit.calibrate import FEWEST, Calibration, calibrate
from sim.fit.calibrate.replay import Replayed, replay

WINDOW = 60.0
"""Seconds of traffic that a model is made of."""
MOST = 12_000
"""Requests of it, the last ones: from there on intervals are narrow, and only the work grows."""
REPLAYS = 3
"""Of each algorithm, with services drawn anew."""
PAUSE = 15.0
"""Seconds between two looks, at least."""
OFTEN = 1.0
"""Seconds between two words on what it waits for, until there is a model."""
REST = 4.0
"""Times that the last one took: so long there is no other."""
AT_ONCE = 1 << 16


@dataclass
class Row:
    """A request that is over, and its attempts, as `Observing` takes them."""

    request: tuple[Any, ...]
    attempts: list[tuple[Any, ...]] = field(default_factory=list)


class Window:
    """The last requests of one balancer or several; streams write, one reader takes them all."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque(maxlen=MOST)  # a look may be long in coming
        self._lock = threading.Lock()
        self.setup: Setup | None = None
        """What balanced them."""
        self._balancers: set[int] = set()

    @property
    def streams(self) -> int:
        """Balancers that say what they do."""
        return len(self._balancers)

    def enter(self) -> int:
        """One more says what it does; its number: that of one that has left, where there is one."""
        with self._lock:
            number = next(it for it in count() if it not in self._balancers)
            self._balancers.add(number)
            return number

    def leave(self, number: int) -> None:
        """It says nothing more."""
        with self._lock:
            self._balancers.discard(number)

    def begin(self, setup: Setup) -> None:
        """Another stream; all begins anew where it is not balanced as the others are."""
        with self._lock:
            if self.setup is None or _balanced(setup) != _balanced(self.setup):
                self._rows.clear()
            self.setup = setup

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: Row) -> None:
        with self._lock:
            self._rows.append(row)

    def seen(self) -> Observed:
        """Those of the last seconds."""
        with self._lock:
            rows = self._rows
            newest = max((row.request[0] for row in rows), default=0.0)
            while rows and rows[0].request[0] < newest - WINDOW:
                rows.popleft()
            kept, setup = list(rows), self.setup
        observing = Observing("live")
        for row in kept:
            number = observing.request(*row.request)
            for attempt in row.attempts:
                observing.attempt(number, *attempt)
        return observing.done(setup=setup)


class Stream:
    """Takes down what one balancer says, in a thread of its own."""

    def __init__(self, connection: socket.socket, window: Window) -> None:
        self._connection = connection
        self._window = window
        self._row: Row | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # --- what `Reading` writes into

    def request(self, *told: Any) -> int:
        self._row = Row(told)
        self._window.put(self._row)
        return 0

    def attempt(self, _: int, *told: Any) -> None:
        assert self._row is not None
        self._row.attempts.append(told)

    def _run(self) -> None:
        window = self._window
        number = window.enter()
        try:
            log = Log(iter(lambda: self._connection.recv(AT_ONCE), b""))
            header = log.header()
            window.begin(header.setup)
            reading = Reading(self, number)
            reading.begin(header, "live")
            for entry in log.events():
                reading.take(entry, "live")
        except (OSError, BadRecording):
            pass  # the balancer begins another stream, if there is one
        finally:
            window.leave(number)
            self._connection.close()


def accept(listening: socket.socket, window: Window) -> None:
    """Take streams, for ever."""
    while True:
        connection, _ = listening.accept()
        Stream(connection, window)


def shadowed(window: Window, algorithms: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One document after the other, each with what is known by then.

    One that says `works` is followed by another as soon as the processor has done its work.
    """
    why = ""
    ready = False
    while True:
        began = time.monotonic()
        until = began + PAUSE
        while not ready and time.monotonic() < until:
            yield _collecting(window, waits(len(window), window.streams, why))
            time.sleep(OFTEN)
        time.sleep(max(0.0, until - time.monotonic()))
        seen = window.seen()
        if not ready and len(seen) >= FEWEST:
            doing = f"a model of the last {len(seen)} requests is being made"
            yield {**_collecting(window, doing), "works": True}
        looked = time.monotonic()
        try:
            told = compared(seen, algorithms)
            ready = True
        except LbError as error:
            why = str(error)
            told = _collecting(window, waits(len(seen), window.streams, why))
            ready = False
        told["took_s"] = round(time.monotonic() - looked, 3)
        yield {**told, "balancers": window.streams}
        time.sleep(max(0.0, REST * (time.monotonic() - looked) - (looked - began)))


def waits(requests: int, streams: int, why: str = "") -> str:
    """What a look waits for; `why` is what the last one failed of."""
    if not streams and not requests:
        return "no balancer has said yet what it does"
    if not requests:
        return "no requests yet"
    if requests < FEWEST:
        return f"has {requests} of {FEWEST} requests that a model needs"
    return why or f"has {requests} requests; the first look is after {PAUSE:g} s"


def compared(seen: Observed, algorithms: Sequence[str]) -> dict[str, Any]:
    """What was seen beside what the model says, of the algorithm that ran and of others.

    Raises LbError where no model can be made: too few requests, say.
    """
    model = calibrate(seen, quick=True)
    file = model.scenario
    own = replay(model, file, REPLAYS)
    span = seen.arrived[-1] - seen.arrived[0]
    return {
        "state": "ready",
        "running": file.algorithm.name,
        "window_s": round(span, 3),
        "requests": len(seen),
        "measured": {
            **_milliseconds({name: own.recorded[name] for name in FIGURES}),
            "failed": _finite(own.failed[0]),
            "shares": {name: _finite(was) for name, was, _ in own.shares},
        },
        "model": _told(own),
        "model_error": {name: _finite(error) for name, error in own.error.items()},
        "unknown": _unknown(model),
        "candidates": [
            {"algorithm": name, **_told(replay(model, _with(file, name), REPLAYS))}
            for name in algorithms
        ],
    }


def _collecting(window: Window, why: str) -> dict[str, Any]:
    return {"state": "collecting", "reason": why, "balancers": window.streams}


def _with(file: Scenario, algorithm: str) -> Scenario:
    return file.model_copy(update={"algorithm": file.chosen(algorithm)})


def _told(replayed: Replayed) -> dict[str, Any]:
    return {
        **_milliseconds({name: replayed.replayed[name].value for name in FIGURES}),
        "intervals_ms": {name: _interval(replayed.replayed[name]) for name in FIGURES},
        "failed": _finite(replayed.failed[1]),
        "shares": {name: _finite(share) for name, _, share in replayed.shares},
    }


def _interval(estimate: Estimate) -> list[float | None]:
    """In milliseconds; of few replays it is wide, and no latency is below none."""
    ends = estimate.low, estimate.high
    return [None if end is None else _finite(max(0.0, end) * 1e3) for end in ends]


def _milliseconds(seconds: dict[str, float]) -> dict[str, float | None]:
    return {f"{name}_ms": _finite(value * 1e3) for name, value in seconds.items()}


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _unknown(model: Calibration) -> list[str]:
    """What the last requests could not tell."""
    return [unknown.why for unknown in model.unknown]


def _balanced(setup: Setup) -> tuple[object, ...]:
    rows = tuple((row.label, row.address, row.weight, row.priority) for row in setup.backends)
    return setup.algorithm, tuple(sorted(setup.settings.items())), rows
