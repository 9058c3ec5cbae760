"""Open-loop load: each request leaves at its scheduled time, whatever became of those before it.

Latency counts from the scheduled time, so a stall shows in every request it delays. Clients leave
and come again as the file says, with the very patience that the simulator gives them.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import aiohttp

from lb.config import Scenario
from sim.engine.clients import back_off
from sim.live.measurement import Measurement
from sim.live.noting import Notes
from sim.live.watch import Watch
from sim.model.arrivals import Schedule

LEAD = 0.5
"""Seconds before the first request, for the generator to be ready."""
MARGIN = 5.0
"""Seconds more than a proxy has for its answer, before a try counts as failed."""


def longest_answer(scenario: Scenario) -> float:
    """Seconds within which a proxy has answered, if only with an error, by its own time limits.

    A generator that gave up before would lose what the simulator, which has the same limits, still
    sees answered.
    """
    limits = scenario.timeouts
    one = limits.connect + limits.response
    if limits.attempt is not None:
        one = min(one, limits.attempt)
    every = (1 + scenario.retries.max) * (scenario.queue.timeout + one)
    return MARGIN + (every if limits.total is None else min(every, limits.total))


async def play(scenario: Scenario, schedule: Schedule, url: str) -> Measurement:
    """Send `schedule` to `url` and wait for every answer."""
    loop = asyncio.get_running_loop()
    measured = Measurement.blank(len(schedule))
    notes = Notes(scenario)
    times = schedule.times.tolist()
    patience = None if schedule.patience is None else (schedule.times + schedule.patience).tolist()
    tries = 1 + scenario.offered().client_retries
    fields = [schedule.fields(i) for i in range(len(schedule))]
    under_way: set[asyncio.Task[None]] = set()

    async def send(index: int, start: float) -> None:
        measured.sent[index] = loop.time() - start
        until = None if patience is None else start + patience[index]
        try:
            async with asyncio.timeout_at(until):
                for failures in range(tries):
                    if failures:
                        await asyncio.sleep(back_off(failures))
                    if await answered(index, fields[index]):
                        measured.ended[index] = loop.time() - start
                        return
        except TimeoutError:
            notes.left(measured, index)
        measured.lost[index] = loop.time() - start

    async def answered(index: int, headers: Mapping[str, str]) -> bool:
        try:
            async with session.get(url, headers=headers, allow_redirects=False) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            notes.broken(measured, index, error)
            return False
        return notes.answered(measured, index, answer.status, answer.headers.get)

    watch = Watch(scenario, url)

    async def look(start: float) -> None:
        while True:
            await asyncio.sleep(start + watch.next_look() - loop.time())
            at, told = loop.time() - start, b""
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(watch.url) as answer:
                    told = await answer.read()
            watch.saw(at, told)

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=longest_answer(scenario)),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        gc.collect()
        gc.freeze()  # a full collection in the middle would make the generator late
        start = loop.time() + LEAD
        watching = loop.create_task(look(start)) if watch.url else None
        for index, at in enumerate(times):
            delay = start + at - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            task = loop.create_task(send(index, start))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        if watching is not None:
            watching.cancel()
    return replace(measured, rotation=watch.rotation)
