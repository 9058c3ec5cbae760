"""Name servers, and both event loops. Whatever escapes into the loop fails the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

from tests.discovery.nameserver import NameServer

LIMIT = 60.0
"""Seconds that no test here may take."""

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run_one(test: Coroutine[Any, Any, None]) -> None:
        escaped: list[dict[str, Any]] = []

        async def bounded() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: escaped.append(context))
            async with asyncio.timeout(LIMIT):
                await test

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(bounded())
        assert not escaped

    return run_one


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer() as it:
        yield it
