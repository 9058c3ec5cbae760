"""Random scenarios full of trouble: every kind of fault, every algorithm, policies within reason.

A trial is a file. The last of its faults ends at half time, and its backends can do twice what is
asked of them: whoever handles trouble well is calm again when it ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

from lb.config import Scenario
from lb.errors import ConfigError

RATE = 20
"""Requests per second."""
RECURRING: dict[str, Callable[[Random], str]] = {
    "slow": lambda rng: f"factor = {rng.choice([2, 5, 20, 50])}",
    "pause": lambda _: "",
    "cold_start": lambda rng: f"factor = {rng.choice([2, 8, 20])}{_warming(rng)}",
    "down": lambda _: "",
    "black_hole": lambda _: "",
    "fail_fast": lambda _: "",
    "errors": lambda rng: f"rate = {rng.choice([0.1, 0.3, 0.9])}",
    "reset": lambda rng: f"rate = {rng.choice([0.1, 0.5, 1.0])}",
    "health_lost": lambda _: "",
}
"""Kinds of faults that may come and go at random too, each with the keys of its own."""
FAULTS = 5
"""At most, in one trial."""
ATTEMPTS = 30
"""To find a fault that goes with those there are."""


def trial(seed: int, algorithms: Sequence[str], seconds: float) -> str:
    """The file of one trial, a function of what is given; `algorithms` take turns by `seed`."""
    rng = Random(f"trial {seed}")
    backends = rng.randint(2, 6)
    rows = [line for number in range(backends) for line in _backend(rng, number, backends)]
    limited = any(line.startswith("max_in_flight") for line in rows)
    lines = [
        f'algorithm = "{algorithms[seed % len(algorithms)]}"',
        *_server(rng),
        *_policies(rng, limited=limited),
        *rows,
        *_traffic(rng),
        f'[run]\nduration = "{seconds:g}s"\nseed = {seed}\nwarmup = "0s"\nreplications = 1',
    ]
    text = "\n".join(lines) + "\n"
    wanted = rng.randint(1, FAULTS)
    for number in range(wanted):
        text = _with_fault(rng, text, backends, seconds / 2, last=number == 0)
    return text


def _server(rng: Random) -> list[str]:
    lines = ['[server]\nlisten = "127.0.0.1:8080"', "[timeouts]"]
    lines.append(f'response = "{rng.choice(["1s", "2s", "5s", "20s"])}"')
    if rng.random() < 0.3:
        lines.append(f'total = "{rng.choice(["4s", "30s"])}"')
    if rng.random() < 0.3:
        lines.append(f'attempt = "{rng.choice(["500ms", "900ms"])}"')
    return lines


def _policies(rng: Random, *, limited: bool) -> list[str]:
    some = rng.choice
    health = [f'interval = "{some(["1s", "2s", "5s", "30s"])}"', f"rise = {some([1, 2, 3])}"]
    health += [f"fall = {some([1, 2, 3])}", f'timeout = "{some(["500ms", "2s"])}"']
    outliers = ['max_eject = "30s"', f'eject = "{some(["2s", "10s"])}"']
    outliers += [f"consecutive_failures = {some([3, 5, 10])}", f"max_share = {some([0.3, 0.5, 1])}"]
    retries = [f"max = {some([0, 1, 1, 2, 3])}", f"min_per_second = {some([0.1, 1, 10])}"]
    if rng.random() < 0.3:
        retries.append('on = ["connect", "reset", "timeout", 503]')
    tables = {
        "health": health,
        "outliers": outliers,
        "panic": [f"threshold = {some([0.0, 0.3, 0.5])}"],
        "slow_start": [f'duration = "{some(["0s", "5s", "20s"])}"'],
        "retries": retries,
    }
    if rng.random() < 0.4:
        tables["hedging"] = [f'after = "{some(["p95", "100ms", "300ms"])}"']
    if limited and rng.random() < 0.7:
        discipline = some(["fifo", "adaptive"])
        tables["queue"] = [f'limit = {some([5, 100])}\ntimeout = "{some(["500ms", "3s"])}"']
        tables["queue"].append(f'discipline = "{discipline}"')
    return [line for name, rows in tables.items() for line in (f"[{name}]", *rows)]


def _backend(rng: Random, number: int, backends: int) -> list[str]:
    """One that can do its share of twice the traffic, and one at a time more.

    No queue of its own making may last as long as the time limits: that would be trouble too.
    """
    mean = rng.choice([0.005, 0.01, 0.02])
    workers = math.ceil(2 * RATE / backends * mean) + rng.randint(1, 2)
    law = rng.choice(['law = "exponential"', 'law = "lognormal", cv = 1.5', 'law = "constant"'])
    lines = [f'[[backend]]\naddress = "127.0.0.1:{3001 + number}"\nname = "b{number}"']
    lines.append(f"weight = {rng.choice([1, 1, 2])}")
    limit = rng.choice(["", "", "8", "30", '"adaptive"'])
    if limit:
        lines.append(f"max_in_flight = {limit}")
    if number and rng.random() < 0.1:
        lines.append("priority = 1")
    lines += ["[backend.model]", f'service = {{ {law}, mean = "{mean * 1e3:g}ms" }}']
    return [*lines, f"workers = {workers}", f'discipline = "{rng.choice(["fifo", "ps"])}"']


def _traffic(rng: Random) -> list[str]:
    lines = ["[traffic]", f'arrivals = {{ process = "poisson", rate = {RATE} }}']
    lines.append('keys = { law = "zipf", count = 1000, s = 0.8 }')
    if rng.random() < 0.5:
        lines.append('network = { law = "lognormal", mean = "1ms", cv = 1.0 }')
    if rng.random() < 0.4:
        lines.append(f'patience = {{ law = "exponential", mean = "{rng.choice([1, 5])}s" }}')
        lines.append(f"cancels = {rng.choice(['true', 'false'])}")
    if rng.random() < 0.3:
        lines.append(f"client_retries = {rng.choice([1, 2])}")
    return lines


def _with_fault(rng: Random, text: str, backends: int, end: float, *, last: bool) -> str:
    """`text` with one fault more, if there is room for one; the `last` one ends at `end`."""
    for _ in range(ATTEMPTS):
        more = text + "\n".join(_fault(rng, backends, end, last=last)) + "\n"
        try:
            Scenario.parse(more)
        except ConfigError:
            continue  # it would be at one time with another of the same place
        return more
    return text


def _fault(rng: Random, backends: int, end: float, *, last: bool) -> Sequence[str]:
    since = rng.uniform(1.0, end - 2.0)
    until = end if last else min(end, since + 1.0 + rng.expovariate(6 / end))
    struck = rng.sample(range(backends), rng.choice([1, 1, 1, 2, backends]))
    lines = ["[[fault]]", f"backend = {[f'b{number}' for number in struck]}".replace("'", '"')]
    lines += [f'from = "{since:.3f}s"', f'to = "{until:.3f}s"']
    kind = rng.choice([*RECURRING, "flapping"])
    lines.append(f'kind = "{kind}"')
    if kind == "flapping":
        return [*lines, f'period = "{rng.uniform(0.5, 1.9) * (until - since):.3f}s"']
    lines.append(RECURRING[kind](rng))
    if rng.random() < 0.25:
        lines.append(f'mttf = "{rng.choice([2, 10])}s"\nmttr = "{rng.choice([1, 5])}s"')
    return lines


def _warming(rng: Random) -> str:
    return rng.choice(["", "\nrequests = 50", '\ndown = "1s"'])
