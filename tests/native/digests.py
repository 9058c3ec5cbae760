"""`python -m tests.native.digests`: what simulations give, in a few letters each, as JSON.

Of each shipped scenario, of every algorithm under trouble, and of the route that only counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from lb.config import Scenario
from lb.strategies import REGISTRY
from sim import simulate
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

SHIPPED = Path(__file__).parents[2] / "loadtests" / "scenarios"
TROUBLE = """
[queue]
limit = 20
timeout = "5s"
[retries]
max = 1
[hedging]
after = "8s"
[slow_start]
duration = "20s"
[[fault]]
backend = "b:0"
kind = "fail_fast"
from = "100s"
to = "150s"
[[fault]]
backend = "b:1"
kind = "down"
from = "300s"
to = "350s"
"""
PLAIN = {
    "fifo": serves(EXPONENTIAL, workers=2),
    "shared": serves(CONSTANT, discipline="ps"),
    "spread": serves('{ law = "hyperexponential", mean = "1s", cv = 3 }'),
}


def digests() -> dict[str, str]:
    """By case."""
    return {name: digest(it) for name, it in results()}


def results() -> Iterator[tuple[str, object]]:
    for path in sorted(SHIPPED.glob("*.toml")):
        file = Scenario.load(path)
        yield path.stem, simulate(one_run(file))[file.algorithm.name].records
    keys = 'keys = { law = "zipf", count = 500, s = 1.0 }\npatience = "exponential:20s"'
    troubled = scenario(
        *(serves(EXPONENTIAL, workers=2, queue=9) for _ in range(4)),
        rate=6.0,
        traffic=keys,
        run="requests = 3000\nreplications = 1",
        backend=["weight = 2", "max_in_flight = 8"],
        more=TROUBLE,
    )
    for name in sorted(REGISTRY):
        yield f"trouble, {name}", simulate(troubled, [name])[name].records
    for name, model in PLAIN.items():
        plain = scenario(*[model] * 3, rate=2.0, traffic=keys.split("\n")[0], run="requests = 3000")
        for algorithm in ("round_robin", "least_connections", "p2c", "random", "maglev"):
            (counted,) = simulate(plain, [algorithm], trace=False).runs
            yield f"{name}, {algorithm}", (counted.latency, counted.backends)


def one_run(file: Scenario) -> Scenario:
    return file.model_copy(update={"run": file.run.model_copy(update={"replications": 1})})


def digest(value: Any) -> str:
    """Of every bit of it."""
    hashed = sha256()
    for part in parts(value):
        hashed.update(part)
    return hashed.hexdigest()[:16]


def parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, np.ndarray):
        yield value.tobytes()
    elif is_dataclass(value):
        for field in fields(value):
            yield field.name.encode()
            yield from parts(getattr(value, field.name))
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield str(key).encode()
            yield from parts(value[key])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from parts(each)
    else:
        yield repr(value).encode()


if __name__ == "__main__":
    print(json.dumps(digests()))
