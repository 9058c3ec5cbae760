"""Queues fed by other arrivals than Poisson's, against their exact mean sojourn times."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize

from lb.config import Scenario
from sim import simulate
from tests.sim.scenarios import EXPONENTIAL, serves


def mean_sojourn(arrivals: str, service: str = EXPONENTIAL) -> tuple[float, float]:
    """Of one server with a mean service of 1 s, and four of its standard errors."""
    file = Scenario.parse(
        f"[traffic]\narrivals = {arrivals}\n"
        '[run]\nduration = "40000s"\nwarmup = "500s"\nreplications = 8\nseed = 20261123\n'
        f'[[backend]]\naddress = "b:1"\n[backend.model]\n{serves(service)}'
    )
    means = [float(r.after(500.0).latency.mean()) for r in simulate(file).runs[0].records]
    return float(np.mean(means)), 4 * float(np.std(means, ddof=1)) / np.sqrt(len(means))


@pytest.mark.parametrize(
    ("size", "second"), [("4", 16.0), ('{ law = "geometric", mean = 3 }', 15.0)]
)
def test_batches_before_one_exponential_server(size: str, second: float) -> None:
    """L = rho (E[X^2] + E[X]) / (2 E[X] (1 - rho)) (Gross and Harris 1998, section 3.1)."""
    mean = 4.0 if size == "4" else 3.0
    exact = (second + mean) / (2 * mean * (1 - 0.5))
    found, error = mean_sojourn(f'{{ process = "batch", rate = 0.5, size = {size} }}')
    assert error < 0.1 * exact
    assert abs(found - exact) < error


@pytest.mark.parametrize("law", ["uniform:low=0s,high=2800ms", "weibull:1400ms,shape=0.7"])
def test_renewal_arrivals_before_one_exponential_server(law: str) -> None:
    """GI/M/1: the sojourn is exponential, 1 / (1 - s), where s is the root of s = A*(1 - s)."""

    def transform(theta: float) -> float:
        if law.startswith("uniform"):
            return float((1 - np.exp(-2.8 * theta)) / (2.8 * theta))
        scale = 1.4 / float(integrate.quad(lambda x: np.exp(-(x**0.7)), 0, np.inf)[0])

        def tail(x: float) -> float:
            return float(theta * np.exp(-theta * x - (x / scale) ** 0.7))

        return 1 - float(integrate.quad(tail, 0, np.inf, limit=200)[0])

    root = optimize.brentq(lambda s: transform(1 - s) - s, 1e-6, 1 - 1e-6)
    found, error = mean_sojourn(f'{{ process = "renewal", law = "{law}" }}')
    exact = 1 / (1 - root)
    assert error < 0.1 * exact
    assert abs(found - exact) < error


def test_an_mmpp_before_one_exponential_server() -> None:
    """A quasi-birth-death process, by its rate matrix (Neuts 1981)."""
    rates, stays = np.array([0.2, 1.4]), np.array([30.0, 10.0])
    leave = 1 / stays
    up, down = np.diag(rates), np.eye(2)
    turn = np.array([[-leave[0], leave[0]], [leave[1], -leave[1]]])
    local = turn - up - down
    grows = np.zeros((2, 2))
    for _ in range(20_000):
        grows = -(up + grows @ grows @ down) @ np.linalg.inv(local)
    # The empty level has no departures; its vector solves x (turn - up + grows down) = 0.
    empty = turn - up + grows @ down
    system = np.vstack([empty.T, (np.linalg.inv(np.eye(2) - grows) @ np.ones(2))])
    start = np.linalg.lstsq(system, np.array([0, 0, 1.0]), rcond=None)[0]
    inverse = np.linalg.inv(np.eye(2) - grows)
    held = float(start @ grows @ inverse @ inverse @ np.ones(2))
    exact = held / float(rates @ stays / stays.sum())
    found, error = mean_sojourn('{ process = "mmpp", rates = [0.2, 1.4], dwell = ["30s", "10s"] }')
    assert error < 0.1 * exact
    assert abs(found - exact) < error


def test_bounded_pareto_work_by_pollaczek_and_khinchine() -> None:
    law = "{ law = 'bounded_pareto', mean = '1s', alpha = 2.2, ratio = 100 }"
    file = Scenario.parse(f'[[backend]]\naddress = "b:1"\n[backend.model]\n{serves(law)}')
    squared = file.modelled()[0][1].service.squared_cv
    exact = 1 + 0.6 / 0.4 * (1 + squared) / 2
    found, error = mean_sojourn('{ process = "poisson", rate = 0.6 }', law)
    assert error < 0.1 * exact
    assert abs(found - exact) < error
