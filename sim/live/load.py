"""Open-loop load: each request leaves at its scheduled time, whatever became of those before it.

Latency counts from the scheduled time, so a stall shows in every request it delays. Clients leave
and come again as the file says, with the very patience that the simulator gives them.
"""

from __future__ import annotations

import asyncio
import gc

from lb.config import Scenario
from sim.live.clients import Clients
from sim.live.measurement import Measurement
from sim.live.noting import Sheet
from sim.model.arrivals import Schedule

LEAD = 0.5
"""Seconds before the first request, for the generator to be ready."""


async def play(scenario: Scenario, schedule: Schedule, url: str, *further: str) -> Measurement:
    """Send `schedule` to `url` and wait for every answer; to one of several drawn at random."""
    loop = asyncio.get_running_loop()
    sheet = Sheet(len(schedule))
    times = schedule.times.tolist()
    patience = None if schedule.patience is None else (schedule.times + schedule.patience).tolist()
    fields = [schedule.fields(i) for i in range(len(schedule))]
    under_way: set[asyncio.Task[None]] = set()

    async def send(index: int, start: float) -> None:
        sheet.open.sent[index] = loop.time() - start
        until = None if patience is None else start + patience[index]
        good = await clients.request(sheet, index, fields[index], until)
        sheet.end(index, loop.time() - start, good)

    async with Clients(scenario, url, *further) as clients:
        gc.collect()
        gc.freeze()  # a full collection in the middle would make the generator late
        start = loop.time() + LEAD
        clients.watch(start)
        for index, at in enumerate(times):
            delay = start + at - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            task = loop.create_task(send(index, start))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
    return clients.seen(sheet.measured)
