"""Closed-loop load: users who think, send, wait for what becomes of it, and think again.

The k-th request of a user has the size, the key and the patience that the simulator gives it, and
the same thought comes before it. Latency counts from the end of the thought.
"""

from __future__ import annotations

import asyncio
import gc
import math

from lb import wire
from lb.config import Scenario
from sim.live import load
from sim.live.clients import Clients
from sim.live.measurement import Measurement
from sim.live.noting import Sheet
from sim.model.users import Place, Population


def population(scenario: Scenario, seed: int | None = None) -> Population:
    """The users of a live run; `seed` in place of the file's."""
    return Population(scenario if seed is None else scenario.with_run(seed=seed))


def fields_of(people: Population, key: int, sizes: list[float]) -> dict[str, str]:
    """The header fields that carry a user's request to a live backend."""
    work = dict(zip(people.sizes, sizes, strict=True))
    return {wire.SIZE: wire.write_size(work), wire.KEY: str(key)}


async def play_users(
    scenario: Scenario, url: str, *further: str, seed: int | None = None
) -> Measurement:
    """Let the users of `scenario` send to `url`, for its duration or its number of requests.

    `seed` is that of what they do, in place of the file's.
    """
    loop = asyncio.get_running_loop()
    people, sheet = population(scenario, seed), Sheet()
    ends = math.inf if people.duration is None else people.duration
    thinking: set[asyncio.Task[None]] = set()

    async def live(user: int, start: float) -> None:
        place, now = Place(people, user), people.comes(user, 0.0)
        while (due := place.due(now)) < ends and len(sheet) != people.requests:
            if not await thought(start + due):
                return
            until = None
            if people.patience is not None:
                until = start + due + people.patience(user, place.sent)
            headers = fields_of(people, *place.send())
            row = sheet.add(user, due, loop.time() - start)
            if len(sheet) == people.requests:
                for other in thinking:
                    other.cancel()
            good = await clients.request(sheet, row, headers, until)
            now = loop.time() - start
            sheet.end(row, now, good)

    async def thought(until: float) -> bool:
        """Whether there is anything to send yet."""
        me = asyncio.current_task()
        assert me is not None
        thinking.add(me)
        try:
            await asyncio.sleep(until - loop.time())
            return len(sheet) != people.requests
        except asyncio.CancelledError:
            if len(sheet) == people.requests:
                return False
            raise
        finally:
            thinking.discard(me)

    async with Clients(scenario, url, *further) as clients:
        gc.collect()
        gc.freeze()  # a full collection in the middle would make the generator late
        start = loop.time() + load.LEAD
        clients.watch(start)
        async with asyncio.TaskGroup() as group:
            for user in range(people.count):
                group.create_task(live(user, start))
    return clients.seen(sheet.measured)
