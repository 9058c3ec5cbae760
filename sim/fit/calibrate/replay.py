"""How well a model replays its own recording: the same arrivals and keys, its own services."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lb.config import Scenario
from sim.analysis.record import Record
from sim.analysis.statistics import FIGURES, Estimate, prediction
from sim.experiment import simulate
from sim.fit.calibrate.model import Fitted
from sim.fit.sample import MOST, measured, modelled, window_of
from sim.fit.stood import steady
from sim.model.arrivals import Schedule, streams
from sim.model.laws import Floats, draw, draw_shape, shape


@dataclass(frozen=True)
class Replayed:
    """The recording beside its replays."""

    recorded: dict[str, float]
    """Latencies in seconds: mean, p50, p95, p99."""
    replayed: dict[str, Estimate]
    """The mean of the replays, with the interval for one more of them."""
    shares: tuple[tuple[str, float, float], ...]
    """Of each backend: its name, and its share of the good answers, recorded and replayed."""
    failed: tuple[float, float]
    """The share of requests without a good answer, recorded and replayed."""
    latencies: tuple[Floats, Floats]
    """Recorded, and of all replays together; sorted."""
    each: tuple[Floats, ...] = ()
    """Of one replay after the other."""

    @property
    def error(self) -> dict[str, float]:
        """Replayed over recorded, less one, by figure."""
        return {
            name: self.replayed[name].value / value - 1
            for name, value in self.recorded.items()
            if value > 0 and np.isfinite(self.replayed[name].value)
        }

    @property
    def share_error(self) -> float:
        """The largest difference of a backend's shares."""
        return max((abs(b - a) for _, a, b in self.shares), default=0.0)


def schedule(fitted: Fitted, file: Scenario, number: int) -> Schedule:
    """See `Calibration.schedule`; `file` is the scenario of `fitted`."""
    seen = steady(fitted.seen)
    n = len(seen)
    laws = {shape(model.service): model.service for _, model in file.modelled()}
    sizes = np.empty((len(laws), n))
    for row, (name, law) in enumerate(laws.items()):
        sizes[row] = draw_shape(law, streams(file.run.seed, number, name)[0], n)
    keys = None
    if len(seen.observed.texts) and (seen.key >= 0).all():
        keys = seen.key
        if fitted.factors is not None:
            sizes *= fitted.factors[keys]
    patience, waits = None, file.offered().patience
    if waits is not None:
        patience = draw(waits, streams(file.run.seed, number, "patience")[0], n)
    texts = seen.observed.texts if keys is not None else None
    return Schedule(seen.arrived, tuple(laws), sizes, keys, patience, texts, seen.balancer)


def replay(fitted: Fitted, file: Scenario, replays: int) -> Replayed:
    """Simulate the recorded setup with the recorded arrivals, so many times."""
    seen, names = steady(fitted.seen), [row.name for row in fitted.backends]
    window, _ = window_of(seen, None)
    own = measured(seen, window, [names.index(name) for name in seen.names], len(names))
    runs = [
        modelled(_once(file, schedule(fitted, file, number), number), len(names), window)
        for number in range(replays)
    ]
    shares = np.mean([run.shares for run in runs], axis=0)
    return Replayed(
        recorded=own.figures,
        replayed={name: prediction([run.figures[name] for run in runs]) for name in FIGURES},
        shares=tuple(zip(names, own.shares.tolist(), shares.tolist(), strict=True)),
        failed=(own.lost, float(np.mean([run.lost for run in runs]))),
        latencies=(own.latency, np.sort(np.concatenate([run.latency for run in runs]))),
        each=tuple(run.latency for run in runs),
    )


def _once(file: Scenario, given: Schedule, number: int) -> Record:
    once = file.with_run(replications=1, seed=file.run.seed + number)
    return simulate(once, schedule=given.head(MOST)).runs[0].records[0]
