"""Simulated runs as what a proxy would have recorded of them."""

from __future__ import annotations

import numpy as np

from lb.config import Scenario
from lb.traces.observed import Observed, Observing
from sim import Schedule, simulate


def recorded(text: str, noise: float = 0.0) -> Observed:
    """One replication of a scenario; `noise` is the mean of what clocks and timers add to each
    answer, in seconds, exponential.
    """
    scenario = Scenario.parse(text)
    record = simulate(scenario).runs[0].records[0]
    schedule = Schedule.draw(scenario)
    rows = np.searchsorted(schedule.times, record.arrived)
    late = np.random.default_rng(7).exponential(noise, len(rows)) if noise else np.zeros(len(rows))
    seen = Observing("made.rec")
    for n, row in enumerate(rows.tolist()):
        ended = record.ended[n] + late[n]
        key = schedule.key(row) or None
        request = seen.request(record.arrived[n], ended, key=key)
        name = scenario.backends[record.backend[n]].label
        seen.attempt(request, name, record.started[n], record.started[n], ended, ended)
    return seen.done(setup=scenario.setup())


def scenario(*models: str, rate: float, seconds: float, more: str = "", head: str = "") -> str:
    """A file of backends with these models, in one line each, and Poisson arrivals."""
    backends = "\n".join(
        f'[[backend]]\naddress = "10.0.0.{n}:80"\nname = "b{n}"\nmodel = {model}'
        for n, model in enumerate(models)
    )
    return (
        f'{head}\n{backends}\n[traffic]\narrivals = {{ process = "poisson", rate = {rate} }}\n'
        f'{more}\n[run]\nduration = "{seconds}s"\nreplications = 1\nseed = 4\n'
    )
