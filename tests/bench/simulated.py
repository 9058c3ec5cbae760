"""One round of simulations, timed: CPU microseconds of a request for each case, as JSON.

Run by its path, with the tree to be measured on PYTHONPATH: `simulated.py REQUESTS`; or
`simulated.py plain REQUESTS`, which is the plain model and nothing else.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Iterable, Iterator
from random import Random
from typing import NamedTuple

import simpy

SERVICE, BACKENDS, LOAD = 0.010, 10, 0.8
MANY = 1_000
"""So many backends in the case of that name."""
OFF = """
[health]
enabled = false
[outliers]
enabled = false
[retries]
max = 0
"""
KEYS = 'keys = { law = "zipf", count = 100000, s = 0.5 }'
NETWORK = 'network = { law = "exponential", mean = "1ms" }'


class Case(NamedTuple):
    """One algorithm before backends of one kind."""

    algorithm: str
    policies: str = OFF
    discipline: str = "fifo"
    traffic: str = ""
    backends: int = BACKENDS

    def text(self, requests: int) -> str:
        """Its file: at the same load, however many backends there are."""
        rate = LOAD * self.backends / SERVICE
        model = f'service = {{ law = "exponential", mean = "{SERVICE}s" }}'
        rows = [
            f'[[backend]]\naddress = "127.0.0.1:{3001 + index}"\n'
            f'[backend.model]\n{model}\ndiscipline = "{self.discipline}"'
            for index in range(self.backends)
        ]
        traffic = f'[traffic]\narrivals = {{ process = "poisson", rate = {rate} }}\n{self.traffic}'
        run = f"[run]\nrequests = {requests}\nreplications = 1"
        return "\n".join([self.policies, traffic, run, *rows])


SPECIAL = {
    "p2c, processor sharing": Case("p2c", discipline="ps"),
    "round_robin, network delay": Case("round_robin", traffic=NETWORK),
    "round_robin, the proxy's defaults": Case("round_robin", policies=""),
    f"round_robin, {MANY:,} backends": Case("round_robin", backends=MANY),
}


def plain(times: Iterable[float], works: Iterable[float]) -> list[float]:
    """Latencies of round robin, as somebody would write it who knows SimPy and nothing of us."""
    env = simpy.Environment()
    servers = [simpy.Resource(env) for _ in range(BACKENDS)]
    latencies: list[float] = []

    def request(server: simpy.Resource, work: float) -> Iterator[simpy.Event]:
        came = env.now
        with server.request() as turn:
            yield turn
            yield env.timeout(work)
        latencies.append(env.now - came)

    def source() -> Iterator[simpy.Event]:
        for index, (at, work) in enumerate(zip(times, works, strict=True)):
            yield env.timeout(at - env.now)
            env.process(request(servers[index % BACKENDS], work))

    env.process(source())
    env.run()
    return latencies


def drawn(requests: int) -> tuple[list[float], list[float]]:
    """Arrivals and works of the same laws."""
    draw, now = Random(1), 0.0
    times = []
    for _ in range(requests):
        now += draw.expovariate(LOAD * BACKENDS / SERVICE)
        times.append(now)
    return times, [draw.expovariate(1 / SERVICE) for _ in range(requests)]


def _all(requests: int) -> dict[str, float]:
    from lb.config import Scenario
    from lb.strategies import REGISTRY
    from sim import simulate

    times, works = drawn(requests)
    keyed = {name: KEYS if "key" in spec.needs else "" for name, spec in REGISTRY.items()}
    cases = {name: Case(name, traffic=keys) for name, keys in keyed.items()} | SPECIAL
    files = {name: Scenario.parse(case.text(requests), "file") for name, case in cases.items()}
    simulate(Scenario.parse(cases["p2c"].text(1000), "file"), "p2c")  # the first is slow
    costs = {}
    for name in ("plain", *cases):
        gc.collect()
        began = time.process_time()
        if name == "plain":
            plain(times, works)
        else:
            simulate(files[name], cases[name].algorithm)
        costs[name] = (time.process_time() - began) / requests * 1e6
    return costs


if __name__ == "__main__":
    if sys.argv[1] == "plain":
        plain(*drawn(int(sys.argv[2])))
    else:
        print(json.dumps(_all(int(sys.argv[1]))))
