"""Tests that run on an event loop: within a time, and nothing may escape into the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

Run = Callable[[Coroutine[Any, Any, None]], None]
FACTORIES = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def runner(loop: str, limit: float) -> Run:
    """Runs a test on the loop of that name, for `limit` seconds at most."""

    def run_one(test: Coroutine[Any, Any, None]) -> None:
        escaped: list[dict[str, Any]] = []

        async def bounded() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: escaped.append(context))
            async with asyncio.timeout(limit):
                await test

        with asyncio.Runner(loop_factory=FACTORIES[loop]) as it:
            it.run(bounded())
        assert not escaped

    return run_one
