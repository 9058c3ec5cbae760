"""Requests of an open loop that are drawn as they come and forgotten as they end.

Chunk by chunk the generators give what they give a whole schedule, so times, keys and most sizes
are the same; only hyperexponential sizes and network delays, which are drawn in two passes, differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from lb.config import DEFAULT_REQUESTS, Paced, Poisson, Scenario, Zipf
from sim.model.arrivals import streams
from sim.model.keys import zipf_keys
from sim.model.laws import Floats, draw, draw_shape, shape
from sim.model.making import make
from sim.model.stations import Fifo, ProcessorSharing

BITS = 16
CHUNK = 1 << BITS
MASK = CHUNK - 1


def flows(scenario: Scenario) -> bool:
    """Whether its requests can be drawn so, and counted without more than their sizes."""
    traffic = scenario.offered()
    plain = all(
        model.plain and isinstance(make(model), Fifo | ProcessorSharing)
        for _, model in scenario.modelled()
    )
    return (
        plain
        and isinstance(traffic.arrivals, Poisson | Paced)
        and scenario.run.duration is None
        and scenario.run.balancers == 1
        and scenario.server.model is None
        and traffic.patience is None
        and traffic.work_by_key is None
        and not (scenario.faults or scenario.shared)
    )


class Column(Sequence[Any]):
    """One figure of every request by its index; of those that are forgotten it says nothing."""

    def __init__(
        self, length: int, more: Callable[[int], None], forgotten: float | None = None
    ) -> None:
        """`more` draws until a chunk is there; `forgotten` stands for what is gone, if anything."""
        self.chunks: dict[int, list[Any]] = {}
        self._length = length
        self._more = more
        self._forgotten = forgotten

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: Any) -> Any:
        chunk = self.chunks.get(index >> BITS)
        if chunk is None:
            self._more(index >> BITS)
            chunk = self.chunks.get(index >> BITS)
            if chunk is None:
                if self._forgotten is None:
                    raise LookupError(f"request {index} is forgotten")
                return self._forgotten
        return chunk[index & MASK]


class Flow:
    """The requests of one replication; an index is asked for in order, and before its end."""

    def __init__(self, scenario: Scenario, replication: int) -> None:
        traffic, run = scenario.offered(), scenario.run
        self._requests = n = run.requests or DEFAULT_REQUESTS
        self._arrivals, keys, _, network = streams(run.seed, replication)
        self._process, self._last, self._drawn = traffic.arrivals, 0.0, 0
        self.until = float("inf")
        """The last arrival, when that is known."""
        self.times: Any = Column(n, self._draw)
        self._columns: dict[Column, Callable[[int], NDArray[Any]]] = {}
        self.sizes: dict[str, Any] = {}
        for _, model in scenario.modelled():
            name = shape(model.service)
            if name not in self.sizes:
                rng = streams(run.seed, replication, name)[0]
                self.sizes[name] = self._column(partial(draw_shape, model.service, rng))
        self.keys: Any = []
        if traffic.keys is not None:
            self.keys = self._column(partial(_keys, traffic.keys, keys))
        self.ways: list[Any] = []
        """Delays there and back; none where there is no network."""
        if traffic.network is not None:
            # Work may outlast its request, and then its way back is nobody's any more.
            draws = partial(draw, traffic.network, network)
            self.ways = [self._column(draws, forgotten=0.0) for _ in range(2)]

    def __len__(self) -> int:
        return self._requests

    def forget(self, chunk: int) -> None:
        """All of this chunk have ended."""
        for column in (self.times, *self._columns):
            column.chunks.pop(chunk, None)

    def _column(
        self, draws: Callable[[int], NDArray[Any]], forgotten: float | None = None
    ) -> Column:
        column = Column(self._requests, self._draw, forgotten)
        self._columns[column] = draws
        return column

    def _draw(self, wanted: int) -> None:
        """Of everything, up to this chunk."""
        while self._drawn <= wanted << BITS and self._drawn < self._requests:
            self._draw_next()

    def _draw_next(self) -> None:
        chunk, count = self._drawn >> BITS, min(CHUNK, self._requests - self._drawn)
        times = self._next_times(count)
        self._drawn += count
        if self._drawn == self._requests:
            self.until = float(times[-1])
        self.times.chunks[chunk] = times.tolist()
        for column, draws in self._columns.items():
            column.chunks[chunk] = draws(count).tolist()

    def _next_times(self, count: int) -> Floats:
        match self._process:
            case Poisson(rate=rate):
                sums = np.cumsum(np.append(self._last, self._arrivals.standard_exponential(count)))
                self._last = float(sums[-1])
                return sums[1:] / rate
            case Paced(rate=rate):
                return np.arange(self._drawn + 1, self._drawn + count + 1) / rate
        raise AssertionError("see `flows`")


def _keys(law: Zipf, rng: np.random.Generator, count: int) -> NDArray[Any]:
    return np.array([b"%d" % key for key in zipf_keys(law, rng, count)], object)


def gathered(column: Column, rows: NDArray[np.int64]) -> Floats:
    """The figures of many requests at once."""
    found = np.empty(len(rows))
    for chunk in np.unique(rows >> BITS).tolist():
        mine = rows >> BITS == chunk
        found[mine] = np.array(column.chunks[chunk])[rows[mine] & MASK]
    return found
