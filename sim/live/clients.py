"""Clients of balancers: each sends, waits, leaves or comes again as the file says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count
from random import Random
from typing import Self

import aiohttp

from lb.config import Scenario
from sim.engine.clients import back_off
from sim.live.machine import EVERY, Machine
from sim.live.measurement import Measurement
from sim.live.noting import Notes, Sheet
from sim.live.watch import Watch

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


class Clients:
    """All clients of one run; use with `async with`."""

    def __init__(self, scenario: Scenario, url: str, *further: str) -> None:
        """Each request goes to one of the addresses, drawn at random; the first is watched."""
        self._urls = (url, *further)
        self._dealt = Random(scenario.run.seed).random
        self._tries = 1 + scenario.offered().client_retries
        self._notes = Notes(scenario)
        self._watch = Watch(scenario, url)
        self._watching: set[asyncio.Task[None]] = set()
        self._machine = Machine()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=longest_answer(scenario)),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._watching:
            task.cancel()
        await self._session.close()

    async def request(
        self, sheet: Sheet, row: int, headers: Mapping[str, str], until: float | None
    ) -> bool:
        """Whether there is a good answer in the end; at `until` its client has no more patience.

        What is known of it otherwise is noted in `sheet`.
        """
        url = self._urls[int(self._dealt() * len(self._urls))]
        try:
            async with asyncio.timeout_at(until):
                for failures in range(self._tries):
                    if failures:
                        await asyncio.sleep(back_off(failures))
                    if await self._try(sheet, row, url, headers):
                        return True
        except TimeoutError:
            self._notes.left(sheet.open, row)
        return False

    async def _try(self, sheet: Sheet, row: int, url: str, headers: Mapping[str, str]) -> bool:
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self._notes.broken(sheet.open, row, error)
            return False
        return self._notes.answered(sheet.open, row, answer.status, answer.headers.get)

    def watch(self, start: float) -> None:
        """See from `start` on how busy this machine is, and who is in rotation if that matters."""
        loop = asyncio.get_running_loop()
        self._watching.add(loop.create_task(self._look_around(start)))
        if self._watch.url:
            self._watching.add(loop.create_task(self._look(start)))

    async def _look_around(self, start: float) -> None:
        loop = asyncio.get_running_loop()
        for seconds in count():
            await asyncio.sleep(start + seconds * EVERY - loop.time())
            self._machine.look()

    async def _look(self, start: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(start + self._watch.next_look() - loop.time())
            at, told = loop.time() - start, b""
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.get(self._watch.url) as answer:
                    told = await answer.read()
            self._watch.saw(at, told)

    def seen(self, measured: Measurement) -> Measurement:
        """With what was watched beside the requests."""
        machine = self._machine
        return replace(
            measured, rotation=self._watch.rotation, busy=machine.busy, stolen=machine.stolen
        )
