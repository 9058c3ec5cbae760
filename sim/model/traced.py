"""A trace as a run has it: at its pace, cut to its length, spread within its seconds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lb.config import Run, Trace
from lb.errors import ConfigError
from sim.model.laws import Floats


class Traced(NamedTuple):
    """The requests of a run; arrays have one entry each."""

    times: Floats
    sizes: Floats | None
    """Work relative to a backend's mean; None where it is to be drawn."""
    keys: NDArray[np.int64] | None
    texts: tuple[str, ...]
    """What the keys read, by their number."""
    balancers: NDArray[np.int64] | None
    """Which of several each comes to."""


def traced(trace: Trace, key: str, run: Run, rng: np.random.Generator) -> Traced:
    """What comes of `trace` in `run`, by its file's `key`. Raises ConfigError.

    A log that says no more than in which second a request came leaves the rest to `rng`: given
    their number, arrivals that know nothing of each other are spread evenly. Their order stays.
    """
    rows = trace.keyed_by(key)
    times = np.array(rows.times)
    if rows.whole_seconds:
        times = np.sort(times + rng.random(len(times)))
    times /= trace.scale
    n = len(times) if run.duration is None else int(np.searchsorted(times, run.duration))
    n = min(n, run.requests or n)
    sizes, keys, balancers = rows.sizes, rows.keys, rows.balancers
    most = 1 + max(balancers[:n], default=0) if balancers else 1
    if most > run.balancers > 1:
        why = f"tells of balancer {most}, and run.balancers = {run.balancers}"
        raise ConfigError([f"{trace.file}: {why}; give {most}, or 1 for all of them together"])
    return Traced(
        times[:n],
        None if sizes is None else np.array(sizes)[:n],
        None if keys is None else np.array(keys, np.int64)[:n],
        rows.texts,
        None if balancers is None else np.array(balancers, np.int64)[:n],
    )
