"""Open-loop load: each request leaves at its scheduled time, whatever became of those before it.

Latency counts from the scheduled time, so a stall shows in every request it delays.
"""

from __future__ import annotations

import asyncio
import gc

import aiohttp

from lb.config import Scenario
from sim.live.verdict import Measurement
from sim.model.arrivals import Schedule

LEAD = 0.5
"""Seconds before the first request, for the generator to be ready."""
PATIENCE = 30.0
"""Seconds after which a request counts as failed."""


async def play(scenario: Scenario, schedule: Schedule, url: str) -> Measurement:
    """Send `schedule` to `url` and wait for every answer."""
    loop = asyncio.get_running_loop()
    measured = Measurement.blank(len(schedule))
    places = {row.address: order for order, row in enumerate(scenario.backends)}
    times = schedule.times.tolist()
    fields = [schedule.fields(i) for i in range(len(schedule))]
    under_way: set[asyncio.Task[None]] = set()

    async def send(index: int, start: float) -> None:
        measured.sent[index] = loop.time() - start
        try:
            async with session.get(url, headers=fields[index], allow_redirects=False) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return
        measured.backend[index] = places.get(answer.headers.get("X-Backend-Server", ""), -1)
        if answer.status == 200:
            measured.ended[index] = loop.time() - start

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=PATIENCE),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        gc.collect()
        gc.freeze()  # a full collection in the middle would make the generator late
        start = loop.time() + LEAD
        for index, at in enumerate(times):
            delay = start + at - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            task = loop.create_task(send(index, start))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
    return measured
