"""What a request costs beside its service on this machine: loopback, HTTP, timers, event loops.

The files say a millisecond each way, which is a guess. A short run against backends that never
queue, and whose service is known to the microsecond, tells; what is predicted afterwards has it as
the delay of its network.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lb.config import Lognormal, Scenario, effective_text
from lb.errors import LbError
from sim.fidelity.cases import Target
from sim.live import punctual
from sim.live.load import play
from sim.live.system import LiveSystem, relocated
from sim.model.arrivals import Schedule
from sim.model.laws import Floats

SERVICE = 0.02
PROBE = f"""
[server]
listen = "127.0.0.1:8080"
[[backend]]
address = "127.0.0.1:3001"
model = {{ service = "deterministic:{SERVICE}s", workers = 1000 }}
[[backend]]
address = "127.0.0.1:3002"
model = {{ service = "deterministic:{SERVICE}s", workers = 1000 }}
[traffic]
arrivals = {{ process = "poisson", rate = 150 }}
[run]
duration = "10s"
"""
STRETCH, CALM = 0.25, 1.5
"""Seconds; and times the median of all stretches that one takes at most unless something stalls."""
COLD = 1.0
"""Seconds from the start that are left out: connections are being opened."""


@dataclass(frozen=True)
class Overhead:
    """Seconds of a request there and back, beside its service."""

    mean: float
    cv: float
    """Of the whole of it."""

    @property
    def law(self) -> Lognormal:
        """One way of it; two ways that are independent have this mean and this spread together."""
        return Lognormal(law="lognormal", mean=self.mean / 2, cv=max(self.cv * 2**0.5, 0.01))

    def on(self, scenario: Scenario) -> Scenario:
        """With this in place of the file's guess."""
        traffic = scenario.offered().model_copy(update={"network": self.law})
        return scenario.model_copy(update={"traffic": traffic})


def measure(target: Target) -> Overhead:
    """Ten seconds of this machine. Raises LbError."""
    scenario = Scenario.parse(relocated(PROBE), "the probe of this machine")
    schedule = Schedule.draw(scenario)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "probe.toml"
        file.write_text(effective_text(scenario), encoding="utf-8")
        with LiveSystem(file, Path(directory), target=target.name) as system:
            measured = punctual.run(play(scenario, schedule, system.url))
    assert measured.sojourn is not None
    took = measured.ended - schedule.times - measured.sojourn
    known = np.isfinite(took) & (schedule.times >= COLD)
    if np.count_nonzero(known) < len(schedule) / 2:
        count = np.count_nonzero(known)
        raise LbError(f"{target.name} answered {count} of {len(schedule)} requests of a probe")
    return _of(schedule.times[known], took[known])


def _of(times: Floats, took: Floats) -> Overhead:
    """A stall of the machine is no cost of requests: it is seen by all who come meanwhile."""
    stretches = (times // STRETCH).astype(int)
    means = np.bincount(stretches, took) / np.maximum(np.bincount(stretches), 1)
    calm = means <= CALM * np.median(means[np.unique(stretches)])
    took = np.sort(took[calm[stretches]])
    took = took[: int(0.99 * len(took))]
    return Overhead(float(took.mean()), float(took.std() / took.mean()))
