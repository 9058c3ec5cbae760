"""The schedule: everything about a run's requests, drawn ahead.

Both sides of a comparison use the same schedule: two algorithms in the simulator (common random
numbers), or a live run and its prediction.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lb import wire
from lb.config import DEFAULT_REQUESTS, Law, Scenario, Trace
from lb.errors import ConfigError
from lb.system import reason
from sim.model.keys import key_factors, zipf_chances, zipf_keys
from sim.model.laws import Floats, draw, draw_shape, shape
from sim.model.processes import arrival_times, times_before
from sim.model.traced import traced

BLOCK = 256
"""Further attempts whose ways are drawn at a time."""


@dataclass(frozen=True)
class Schedule:
    """Times, sizes, keys, patience and ways in of n requests."""

    times: Floats
    """Intended arrivals in seconds from the start, ascending; shape (n,)."""
    shapes: tuple[str, ...]
    """Names of the size laws, see `sim.model.laws.shape`."""
    sizes: Floats
    """Work relative to a backend's mean service; shape (len(shapes), n)."""
    keys: NDArray[np.int64] | None = None
    """By number, what hash strategies see; shape (n,)."""
    patience: Floats | None = None
    """Seconds from its arrival after which a client leaves; shape (n,)."""
    texts: tuple[str, ...] | None = None
    """What each key reads; None where it is its number."""
    balancers: NDArray[np.int64] | None = None
    """Which of several each request comes to, from 0 on; None where that is to be drawn."""
    before: int = 0
    """Picks that a single balancer has made before the first of them: where its turns stand."""

    def __len__(self) -> int:
        return len(self.times)

    @property
    def rate(self) -> float:
        """Requests per second, from the start to the last one."""
        return len(self) / float(self.times[-1]) if len(self) and self.times[-1] > 0 else math.inf

    @classmethod
    def draw(cls, scenario: Scenario, replication: int = 0) -> Schedule:
        """The schedule of one replication, a function of the scenario's seed alone.

        Raises ConfigError where users stand in place of arrivals.
        """
        process, traffic, run = scenario.arrivals(), scenario.offered(), scenario.run
        arrivals, keys, *_ = streams(run.seed, replication)
        given = None
        if isinstance(process, Trace):
            # Of all that is random it is this alone that replications share: it stands for a fact.
            seconds = streams(run.seed, 0, "within a second")[0]
            given = traced(process, scenario.key, run, seconds)
            times = given.times
        elif run.duration is None:
            times = arrival_times(process, arrivals, run.requests or DEFAULT_REQUESTS)
        else:
            times = times_before(process, lambda: streams(run.seed, replication)[0], run.duration)
        n = len(times)
        drawn, texts = None, None
        if given is not None and given.keys is not None:
            drawn, texts = given.keys, given.texts
        elif traffic.keys is not None:
            drawn = zipf_keys(traffic.keys, keys, n)
        shapes = tuple(_shapes(scenario))
        if given is not None and given.sizes is not None:
            sizes = np.broadcast_to(given.sizes, (len(shapes), n)).copy()
        else:
            sizes = _sizes(scenario, replication, n, drawn)
        patience = None
        if traffic.patience is not None:
            patience = draw(traffic.patience, streams(run.seed, replication, "patience")[0], n)
        routes = None if given is None else given.balancers
        return cls(times, shapes, sizes, drawn, patience, texts, routes)

    def check(self, scenario: Scenario) -> None:
        """Raise ConfigError unless the schedule can drive `scenario`."""
        if not len(self):
            raise ConfigError(["the schedule holds no request"])
        if self.patience is None and scenario.offered().patience is not None:
            raise ConfigError(["the schedule does not say how patient its clients are"])
        for row, model in scenario.modelled():
            if shape(model.service) not in self.shapes:
                why = (
                    f"the schedule has no sizes for backend {row.label}, which needs "
                    f"{shape(model.service)}; it was drawn for {', '.join(self.shapes)}"
                )
                raise ConfigError([why])

    def reworked(self, scenario: Scenario, replication: int) -> Schedule:
        """The same requests before backends that do not heed sizes: the work is another draw.

        Sizes that a trace gives are no draw, and stay.
        """
        process = scenario.arrivals()
        if isinstance(process, Trace) and process.keyed_by(scenario.key).sizes is not None:
            return self
        sizes = _sizes(scenario, replication, len(self), self.keys)
        return replace(self, shapes=tuple(_shapes(scenario)), sizes=sizes)

    def jostled(self, rng: np.random.Generator, seconds: float) -> Schedule:
        """The same times, where requests within about `seconds` of each other may change places:
        whoever sends first need not be there first.
        """
        order = np.argsort(self.times + rng.exponential(seconds, len(self)), kind="stable")
        return replace(self.only(order), times=self.times)

    def head(self, n: int) -> Schedule:
        """The first `n` requests."""
        return self.only(slice(n))

    def only(self, rows: slice | NDArray[np.int64]) -> Schedule:
        """Some of the requests."""
        return replace(
            self,
            times=self.times[rows],
            sizes=self.sizes[:, rows],
            keys=None if self.keys is None else self.keys[rows],
            patience=None if self.patience is None else self.patience[rows],
            balancers=None if self.balancers is None else self.balancers[rows],
        )

    def key(self, index: int) -> str:
        """What the key of request `index` reads; empty where there are none."""
        if self.keys is None:
            return ""
        number = int(self.keys[index])
        return str(number) if self.texts is None else self.texts[number]

    def all_keys(self) -> list[bytes]:
        """What hash strategies see of each request; empty where there are no keys."""
        if self.keys is None:
            return []
        if self.texts is None:
            if int(self.keys.max(initial=0)) > len(self):
                return [b"%d" % key for key in self.keys.tolist()]
            texts = [b"%d" % key for key in range(int(self.keys.max(initial=0)) + 1)]
        else:
            texts = [text.encode() for text in self.texts]
        read: list[bytes] = np.array(texts, dtype=object)[self.keys].tolist()
        return read

    def fields(self, index: int) -> dict[str, str]:
        """The header fields that carry request `index`'s work and key to a live backend."""
        work = dict(zip(self.shapes, self.sizes[:, index].tolist(), strict=True))
        fields = {wire.SIZE: wire.write_size(work)}
        if self.keys is not None:
            fields[wire.KEY] = self.key(index)
        return fields

    def save(self, path: Path) -> None:
        """Write an .npz archive of plain arrays."""
        arrays: dict[str, NDArray[Any]] = {"times": self.times, "sizes": self.sizes}
        if self.keys is not None:
            arrays["keys"] = self.keys
        if self.patience is not None:
            arrays["patience"] = self.patience
        if self.balancers is not None:
            arrays["balancers"] = self.balancers
        said = {"schema": 1, "shapes": self.shapes, "texts": self.texts}
        header = np.frombuffer(json.dumps(said).encode(), np.uint8)
        with path.open("wb") as file:  # under this very name; numpy would append a suffix
            np.savez_compressed(file, allow_pickle=False, header=header, **arrays)

    @classmethod
    def load(cls, path: Path) -> Schedule:
        """Read what `save` wrote. Raises ConfigError."""
        try:
            with path.open("rb") as file:  # numpy leaves it open when it is no archive
                archive = np.load(file, allow_pickle=False)
                header = json.loads(archive["header"].tobytes())
                times, sizes = archive["times"], archive["sizes"]
                keys, patience = archive.get("keys"), archive.get("patience")
                shapes, texts = tuple(header["shapes"]), header.get("texts")
                read = None if texts is None else tuple(texts)
                balancers = archive.get("balancers")
                return cls(times, shapes, sizes, keys, patience, read, balancers)
        except OSError as error:
            raise ConfigError([f"{path}: cannot be read: {reason(error)}"]) from None
        except (
            EOFError,
            LookupError,
            RuntimeError,
            TypeError,
            ValueError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise ConfigError([f"{path}: not a schedule: {error}"]) from None


def _shapes(scenario: Scenario) -> dict[str, Law]:
    return {shape(model.service): model.service for _, model in scenario.modelled()}


def _sizes(scenario: Scenario, replication: int, n: int, keys: NDArray[np.int64] | None) -> Floats:
    """One row for each shape. Raises ConfigError where keys decide and there are none."""
    traffic, seed, laws = scenario.offered(), scenario.run.seed, _shapes(scenario)
    # A stream of its own for each shape: adding a backend changes nobody else's sizes.
    rows = [draw_shape(law, streams(seed, replication, name)[0], n) for name, law in laws.items()]
    sizes = np.array(rows).reshape(len(laws), n)
    if traffic.work_by_key is not None:
        if keys is None:
            raise ConfigError(scenario.keyless([]))
        if traffic.keys is None:
            chances = np.bincount(keys) / max(n, 1)
        else:
            chances = zipf_chances(traffic.keys)
        rng = streams(seed, replication, "work by key")[0]
        sizes *= key_factors(traffic.work_by_key, chances, rng)[keys]
    return sizes


def streams(seed: int, replication: int, purpose: str = "") -> list[np.random.Generator]:
    """Independent generators: arrivals, keys, strategy, network; all from one seed.

    No two of (seed, replication, purpose) share theirs, however long the seed.
    """
    low, high = seed % 2**32, seed >> 32
    # NumPy cuts a long number into words and forgets where it ended: 256 is in no purpose.
    entropy = [low, replication, *purpose.encode(), *([256, high] if high else [])]
    return [np.random.default_rng(child) for child in np.random.SeedSequence(entropy).spawn(4)]


def network_delays(scenario: Scenario, rng: np.random.Generator, n: int) -> Floats | None:
    """One-way delays there and back in seconds, shape (2, n); None when there is no network."""
    law = scenario.offered().network
    return None if law is None else np.stack([draw(law, rng, n), draw(law, rng, n)])


def further_delays(scenario: Scenario, replication: int) -> Iterator[tuple[float, float]]:
    """The same for attempts that are not their request's first, one after another, without end."""
    law = scenario.offered().network
    rng = streams(scenario.run.seed, replication, "attempts")[0]
    while law is not None:
        yield from zip(*draw(law, rng, 2 * BLOCK).reshape(2, BLOCK).tolist(), strict=True)
