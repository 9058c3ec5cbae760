"""Contenders before the same backends, and rounds in which they take turns.

Load takes turns (A B C, B C A, ...), so a slow minute of the machine slows everyone, and a ratio is
formed within a round. CPU time is user and system time of the proxy's process; it does not depend
on how busy the other core is, as requests per second do.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.bench.peers import Contender
from tests.bench.processes import LOAD_CORE, PROXY_CORE, free_ports, running

YARDSTICK = "haproxy"
Proxy = tuple[int, psutil.Popen]
"""Its port and its process."""
Sample = dict[str, float]
Samples = dict[str, list[Sample]]
"""By contender, one for each round."""
Say = Callable[[str], None]


@contextmanager
def started(
    found: Sequence[Contender], origin: Callable[[list[int]], list[str]], backends: int
) -> Iterator[tuple[dict[str, Proxy], list[int]]]:
    """Everybody on the measured core, the backends on the other; their ports come second."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="lb-bench-")))
        directory.chmod(0o755)  # nginx's worker is somebody else when root starts it
        origins = free_ports(backends)
        stack.enter_context(running(origin(origins), origins, LOAD_CORE, directory / "log"))
        proxies = {}
        for index, one in enumerate(found):
            home = directory / str(index)
            home.mkdir()
            (port,) = free_ports(1)
            command = one.command(port, origins, home)
            process = stack.enter_context(
                running(command, [port], PROXY_CORE, home / "log", one.cwd, one.environment)
            )
            proxies[one.name] = (port, process)
        yield proxies, origins


def alternating(
    what: str, names: Sequence[str], rounds: int, sample: Callable[[str], Sample], say: Say
) -> Samples:
    """A round more than is asked for: the first one warms up and is forgotten."""
    samples: Samples = {name: [] for name in names}
    for index in range(-1, rounds):
        first = index % len(names)  # nobody always follows the same one
        for name in (*names[first:], *names[:first]):
            say(f"{what}: {name}, round {index + 1} of {rounds}")
            taken = sample(name)
            if index >= 0:
                samples[name].append(taken)
    return samples


def summaries(samples: Samples, key: str) -> dict[str, Any]:
    """Medians over rounds, and the ratios of `key` to everybody else within each round."""
    return {name: _summary(rows, samples, key) for name, rows in samples.items()}


def _summary(rows: list[Sample], samples: Samples, key: str) -> dict[str, Any]:
    over = {
        name: [mine[key] / other[key] for mine, other in zip(rows, others, strict=True)]
        for name, others in samples.items()
    }
    ratios = over.get(YARDSTICK, [])
    return {
        **{key: statistics.median(row[key] for row in rows) for key in rows[0]},
        "ratio": statistics.median(ratios) if ratios else None,
        "ratios": ratios,
        "over": {name: _spread(row) for name, row in over.items()},
        "rounds": rows,
    }


def _spread(ratios: list[float]) -> dict[str, float]:
    """Half of the rounds lie between low and high."""
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}
