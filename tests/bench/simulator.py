"""What a simulated request costs, beside the same model written in plain SimPy.

CPU time on one core of `simulate`, drawing and statistics included, as multiples of the plain
model: so many times as many requests in the same time. Every round runs everything once.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import simpy

from lb.config import Scenario
from lb.strategies import REGISTRY
from sim import simulate
from sim.model.arrivals import Schedule
from tests.bench.processes import PROXY_CORE, pinned

SERVICE, BACKENDS, LOAD, ROUNDS = 0.010, 10, 0.8, 5
MANY, MANY_TARGET = 1_000, 1.5
"""So many backends, and what they may cost for each request beside ten of them."""
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
FIVE = ("round_robin", "random", "p2c", "join_idle_queue", "ip_hash", "consistent_hash", "maglev")
TARGETS = dict.fromkeys(REGISTRY, 3.5) | dict.fromkeys(FIVE, 5.0)
TARGETS |= {"rendezvous": 1.5, "prequal": 1.0}


class Case(NamedTuple):
    """One algorithm before backends of one kind."""

    algorithm: str
    target: float
    """Multiple of the plain model."""
    policies: str = OFF
    discipline: str = "fifo"
    traffic: str = ""
    backends: int = BACKENDS

    def scenario(self, requests: int) -> Scenario:
        """At the same load, however many there are."""
        rate = LOAD * self.backends / SERVICE
        model = f'service = {{ law = "exponential", mean = "{SERVICE}s" }}'
        rows = [
            f'[[backend]]\naddress = "127.0.0.1:{3001 + index}"\n'
            f'[backend.model]\n{model}\ndiscipline = "{self.discipline}"'
            for index in range(self.backends)
        ]
        traffic = f'[traffic]\narrivals = {{ process = "poisson", rate = {rate} }}\n{self.traffic}'
        run = f"[run]\nrequests = {requests}\nreplications = 1"
        return Scenario.parse("\n".join([self.policies, traffic, run, *rows]), "the benchmark's")


CASES = {
    **{
        name: Case(name, target, traffic=KEYS if "key" in REGISTRY[name].needs else "")
        for name, target in TARGETS.items()
    },
    "p2c, processor sharing": Case("p2c", 3.5, discipline="ps"),
    "round_robin, network delay": Case("round_robin", 3.0, traffic=NETWORK),
    "round_robin, the proxy's defaults": Case("round_robin", 2.5, policies=""),
}


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """CPU microseconds for a request, round by round."""
    requests = 60_000 if quick else 300_000
    rounds = 3 if quick else ROUNDS
    files = {name: case.scenario(requests) for name, case in CASES.items()}
    wide = CASES["round_robin"]._replace(backends=MANY).scenario(requests)
    schedule = Schedule.draw(files["round_robin"])
    costs: dict[str, list[float]] = {name: [] for name in ("plain", *CASES, "many")}
    with pinned(PROXY_CORE):
        for turn in range(rounds):
            for name, row in costs.items():
                say(f"simulating {name}, round {turn + 1} of {rounds}")
                started = time.process_time()
                if name == "plain":
                    plain(schedule)
                elif name == "many":
                    simulate(wide, "round_robin")
                else:
                    simulate(files[name], CASES[name].algorithm)
                row.append((time.process_time() - started) / requests * 1e6)
    beside = costs.pop("plain")
    many = costs.pop("many")
    return {
        "scenario": f"{BACKENDS} exponential FIFO backends of one worker, load {LOAD}",
        "requests": requests,
        "rounds": rounds,
        "plain_us": statistics.median(beside),
        "cases": {
            name: {
                "us": statistics.median(row),
                "multiple": _median_ratio(beside, row),
                "target": CASES[name].target,
            }
            for name, row in costs.items()
        },
        "many": {
            "backends": MANY,
            "ratio": _median_ratio(many, costs["round_robin"]),
            "target": MANY_TARGET,
        },
    }


def plain(schedule: Schedule) -> list[float]:
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
        sizes = (schedule.sizes[0] * SERVICE).tolist()
        for index, (at, work) in enumerate(zip(schedule.times.tolist(), sizes, strict=True)):
            yield env.timeout(at - env.now)
            env.process(request(servers[index % BACKENDS], work))

    env.process(source())
    env.run()
    return latencies


def _median_ratio(over: list[float], under: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(over, under, strict=True))
