"""`python -m tests.soak restarts | workers | MINUTES`: operate a balancer, and count what is lost.

`restarts`: 100 reloads and 20 restarts under load, where no request may fail. `workers`: 20 times
one of two is killed; only what it had may fail. A number of minutes: everything, for so long.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any

from tests.soak.house import House
from tests.soak.traffic import Traffic, slow

RATE = 500.0
QUIET = "[timeouts]\ndrain = '10s'\n"


class Soak:
    """One house under load, and what was seen of it."""

    def __init__(self, house: House, rate: float) -> None:
        self.house = house
        urls = [f"http://127.0.0.1:{house.plain}", f"https://127.0.0.1:{house.secure}"]
        self.traffic = Traffic(urls, rate, house.trusted)
        self.sizes: list[tuple[float, float, int]] = []
        """Seconds, MiB, descriptors."""

    async def run(self, script: Callable[[Soak], Awaitable[None]]) -> bool:
        self.house.start()
        await self.house.serves()
        began = monotonic()
        load = asyncio.create_task(self.traffic.run())
        watching = asyncio.create_task(self._watch(began))
        await script(self)
        self.traffic.end()
        await load
        watching.cancel()
        await asyncio.sleep(2.5)
        return self._books(await asyncio.to_thread(self.house.ask, "/v1/snapshot"))

    async def _watch(self, began: float) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.sizes.append((monotonic() - began, *self.house.size()))

    def _books(self, told: dict[str, Any]) -> bool:
        rows: list[dict[str, int]] = [*told["backends"], told["departed"]]
        ends = ("succeeded", "failed", "gone", "cancelled", "connections")
        even = all(row["picked"] == sum(row[end] for end in ends) for row in rows)
        came = sum(told[name] for name in ("requests", "retried", "hedged"))
        went = sum(told[name] for name in ("turned_away", "left_line", "waiting"))
        even = even and came == went + sum(row["picked"] for row in rows)
        idle = not any(row["connections"] for row in rows)
        print(f"books {'balance' if even else 'DO NOT balance'}, {'none' if idle else 'SOME'} open")
        return even and idle


async def restarts(soak: Soak) -> None:
    """Five reloads, a restart, twenty times over."""
    for _ in range(20):
        for _ in range(5):
            await asyncio.sleep(0.3)
            soak.house.reload()
        await asyncio.sleep(0.3)
        soak.house.start("--replace")
        await soak.house.serves()


async def workers(soak: Soak) -> None:
    """One of two is killed, twenty times."""
    for number in range(20):
        while len(soak.house.workers()) < 2:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.5)
        before = sum(soak.traffic.seen.ends.values()) - soak.traffic.seen.ends["200"]
        soak.house.kill_a_worker()
        await asyncio.sleep(1.0)
        now = sum(soak.traffic.seen.ends.values()) - soak.traffic.seen.ends["200"]
        await asyncio.sleep(1.0)
        later = sum(soak.traffic.seen.ends.values()) - soak.traffic.seen.ends["200"]
        print(f"kill {number + 1}: {now - before} lost within a second, {later - now} after it")


def everything(minutes: float) -> Callable[[Soak], Awaitable[None]]:
    async def script(soak: Soak) -> None:
        house, enough = soak.house, asyncio.Event()
        others = [asyncio.create_task(slow("127.0.0.1", house.plain, enough)) for _ in range(5)]
        until = monotonic() + minutes * 60
        down: list[int] = []
        while monotonic() < until:
            await asyncio.sleep(random.uniform(0.5, 3))
            match random.randrange(8):
                case 0 | 1 | 2:
                    house.reload()
                case 3 | 4:
                    house.find(random.randint(0, 3))
                case 5:
                    house.start("--replace")
                    await house.serves()
                case 6 if not down:
                    down.append(random.choice(house.backends))
                    house.kill(down[0])
                case _ if down:
                    house.revive(down.pop())
                case _ if house.workers():
                    house.kill_a_worker()
        enough.set()
        await asyncio.gather(*others)
        for port in down:
            house.revive(port)

    return script


def told(soak: Soak) -> None:
    """What came of it, on standard output."""
    seen = soak.traffic.seen
    print(f"{sum(seen.ends.values()):,} requests: {dict(seen.ends)}")
    for end, examples in seen.examples.items():
        print(f"  {end}: {'; '.join(examples)}")
    step = max(1, len(soak.sizes) // 12)
    for seconds, memory, descriptors in soak.sizes[::step]:
        print(f"  {seconds:6.0f} s  {memory:6.1f} MiB  {descriptors:4d} descriptors")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("what", help="restarts, workers, or minutes")
    parser.add_argument("--rate", type=float, default=RATE, help="requests per second")
    parser.add_argument("--workers", type=int, default=0, help="processes that serve")
    options = parser.parse_args()
    strict = options.what == "restarts"
    script = {"restarts": restarts, "workers": workers}.get(options.what)
    number = options.workers or (2 if options.what == "workers" else 1)
    with tempfile.TemporaryDirectory() as place:
        house = House(Path(place), number, QUIET)
        try:
            soak = Soak(house, options.rate)
            fine = asyncio.run(soak.run(script or everything(float(options.what))))
        finally:
            statuses = house.close()
        told(soak)
        print(f"balancers ended with {sorted(set(map(str, statuses)))}")
        if not fine or set(statuses) != {0}:
            print((Path(place) / "log").read_text()[-3000:])
    return not fine or set(statuses) != {0} or (strict and set(soak.traffic.seen.ends) != {"200"})


if __name__ == "__main__":
    sys.exit(main())
