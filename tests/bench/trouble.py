"""Backends in trouble, live: `lb serve` before `lb backend`s that are killed, frozen or faulty.

Each crisis is a file of the proxy, a plan of requests, and what is done to whom when.
"""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import psutil

from tests.bench.open_loop import Asked, evenly, offer
from tests.bench.processes import free_ports, running

RATE = 500.0
Act = tuple[float, str, int]
"""When (seconds), what (kill, start, freeze), and to which backend."""
BACKEND = """
[[backend]]
address = "127.0.0.1:{port}"
{more}[backend.model]
service = {{ law = "exponential", mean = "10ms" }}
workers = 8
"""


@dataclass(frozen=True)
class Crisis:
    """What happens, and how it is judged."""

    name: str
    file: str = ""
    """Tables of the proxy's file, and faults of `{0}`, `{1}`, `{2}`, the backends' addresses."""
    acts: Sequence[Act] = ()
    seconds: float = 12.0
    algorithm: str = "round_robin"
    more: str = ""
    """Further keys of each backend."""


FAILS_FAST = '[[fault]]\nbackend = "{0}"\nkind = "fail_fast"\nfrom = "3s"\nto = "60s"\n'
EVERY_30 = '[health]\ninterval = "30s"\n'
ONE_SECOND = '[health]\ninterval = "1s"\n'
CRISES = [
    Crisis("one of three killed, checks every 30 s", EVERY_30, [(3, "kill", 0)]),
    Crisis("one of three killed, checks every 1 s", ONE_SECOND, [(3, "kill", 0)]),
    Crisis("two of three killed", EVERY_30, [(3, "kill", 0), (3, "kill", 1)], 13.0),
    Crisis(
        "rolling restart",
        ONE_SECOND,
        [(2, "kill", 0), (4, "start", 0), (17, "kill", 1), (19, "start", 1), (32, "kill", 2)],
        36.0,
    ),
    Crisis("one frozen, response 5 s", '[timeouts]\nresponse = "5s"\n', [(3, "freeze", 0)], 20.0),
    Crisis("one frozen, attempt 500 ms", '[timeouts]\nattempt = "500ms"\n', [(3, "freeze", 0)]),
    *(
        Crisis(f"one fails fast, {name}", FAILS_FAST, algorithm=name)
        for name in ("round_robin", "least_connections", "p2c", "peak_ewma", "least_response_time")
    ),
    Crisis(
        "one fails 30 %",
        '[[fault]]\nbackend = "{0}"\nkind = "errors"\nrate = 0.3\nfrom = "3s"\nto = "60s"\n',
        seconds=15.0,
    ),
]


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Every crisis once, or the short ones; figures by name."""
    found = {}
    for crisis in CRISES:
        if not quick or crisis.seconds <= 13:
            say(crisis.name)
            found[crisis.name] = _suffer(crisis)
    return found


def _suffer(crisis: Crisis) -> dict[str, Any]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="lb-bench-")))
        port, *backends = free_ports(4)
        places = [f"127.0.0.1:{one}" for one in backends]
        file = directory / "lb.toml"
        rows = "".join(BACKEND.format(port=one, more=crisis.more) for one in backends)
        file.write_text(
            f'algorithm = "{crisis.algorithm}"\n{crisis.file.format(*places)}{rows}[traffic]\n'
            f'arrivals = {{ process = "deterministic", rate = {RATE} }}\n'
        )
        lb = [sys.executable, "-m", "lb"]
        alive: dict[int, psutil.Popen] = {}

        def start(number: int) -> None:
            command = [*lb, "backend", "-c", str(file), "-p", str(backends[number])]
            log = directory / f"backend{number}.log"
            alive[number] = stack.enter_context(running(command, [], None, log))

        for number in range(len(backends)):
            start(number)
        command = [*lb, "serve", "-c", str(file), "-p", str(port)]
        log = directory / "serve.log"
        stack.enter_context(running(command, [port], None, log))

        def act(what: str, number: int) -> None:
            if what == "start":
                start(number)
            else:
                alive[number].send_signal(signal.SIGKILL if what == "kill" else signal.SIGSTOP)

        asked = asyncio.run(_play(port, crisis, act))
        with urlopen(f"http://127.0.0.1:{port}/lb-stats", timeout=5) as answer:
            stats = json.load(answer)
        if "traceback" in log.read_text().lower():
            print(log.read_text())
    told = {name: stats[name] for name in ("retried", "retry_refused", "refused")}
    return {**_figures(asked, crisis, places), **told}


async def _play(port: int, crisis: Crisis, act: Callable[[str, int], None]) -> list[Asked]:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(1.0)  # checks have come back
    for at, what, number in crisis.acts:
        loop.call_later(0.2 + at, act, what, number)
    return await offer(port, evenly(RATE, crisis.seconds))


def _figures(asked: list[Asked], crisis: Crisis, places: list[str]) -> dict[str, Any]:
    lost = [one for one in asked if one.status != 200]
    begins = min((at for at, *_ in crisis.acts), default=3.0)
    sick = places[0]
    drawn = [
        sum(one.backend == sick for one in asked if since <= one.at < since + 1) / RATE
        for since in (begins + second for second in range(int(crisis.seconds - begins)))
    ]
    good = [one.seconds for one in asked if one.status == 200]
    return {
        "requests": len(asked),
        "lost": len(lost),
        "statuses": dict(Counter(one.status for one in lost)),
        "last_lost_after": max((one.at for one in lost), default=begins) - begins,
        "p50": statistics.median(good),
        "slowest": max(good),
        "share_of_the_sick": [round(share, 3) for share in drawn],
    }


if __name__ == "__main__":
    for crisis in CRISES:
        if all(word in crisis.name for word in sys.argv[1:]):
            print(crisis.name, _suffer(crisis), flush=True)
