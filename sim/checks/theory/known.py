"""Which closed form a scenario has under an algorithm, where theory knows one."""

from __future__ import annotations

from typing import NamedTuple

from lb.config import Scenario
from lb.strategies import parse
from sim.analysis.statistics import QUANTILES
from sim.checks.theory.balancing import e_n_m_1, jsq_2, power_of_d
from sim.checks.theory.single import m_m_1
from sim.checks.theory.sojourn import Sojourn

MANY = 10
"""Backends from where the limit of ever more of them is worth drawing."""
EVERYDAY = frozenset({"algorithm", "key", "server", "backends", "traffic", "run", "expect"})
STATION = frozenset({"service", "workers", "discipline", "queue", "report_every", "report_delay"})


class Known(NamedTuple):
    """A law of sojourn times, and the mean service time that it is in units of."""

    sojourn: Sojourn
    service: float
    limit: bool = False
    """Whether it holds for ever more backends only."""

    def latency(self, metric: str) -> float:
        """Seconds: the mean, or a quantile such as "p99"."""
        if metric == "mean":
            return self.sojourn.mean * self.service
        return self.sojourn.quantile(QUANTILES[metric]) * self.service


def known(scenario: Scenario, algorithm: str) -> Known | None:
    """Equal exponential backends of one worker, Poisson arrivals, nothing else in the file.

    None for whatever theory does not know; and for a load that has no steady state.
    """
    service, load, n = _service(scenario), scenario.utilisation, len(scenario.backends)
    if service is None or load >= 1:
        return None
    name, settings = parse(algorithm)
    if name in ("random", "weighted_random") or n == 1:
        return Known(m_m_1(load), service)
    if name in ("round_robin", "weighted_round_robin"):
        return Known(e_n_m_1(n, load), service)
    if n == 2 and not settings and name in ("least_connections", "p2c"):
        return Known(jsq_2(load), service)
    if name == "p2c" and n >= MANY:
        return Known(power_of_d(int(settings.get("choices", 2)), load), service, limit=True)
    return None


def _service(scenario: Scenario) -> float | None:
    """The mean service time of all of them; None where anything is out of the ordinary."""
    traffic = scenario.offered()
    arrivals = traffic.arrivals
    usual = (
        scenario.model_fields_set <= EVERYDAY
        and traffic.model_fields_set <= {"arrivals", "keys"}
        and arrivals is not None
        and arrivals.process == "poisson"
        and scenario.run.balancers == 1
    )
    means = set()
    for row, model in scenario.modelled():
        usual = (
            usual
            and model.model_fields_set <= STATION
            and (model.workers, model.discipline, model.queue) == (1, "fifo", None)
            and (row.weight, row.max_in_flight, row.priority) == (1, None, 0)
            and model.service.law == "exponential"
        )
        means.add(model.service.mean)
    return means.pop() if usual and len(means) == 1 else None
