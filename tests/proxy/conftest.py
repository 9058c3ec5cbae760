"""Both event loops, and both scanners. Whatever escapes into the loop fails the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from lb.proxy.http.scanner import Reference
from tests.fuzz import native

LIMIT = 10.0
"""Seconds that no test of the proxy may take."""

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


@pytest.fixture(scope="session")
def native_scanner(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The scanner in C, made from the source that is here."""
    library = native.compiled(tmp_path_factory.mktemp("scan"))
    if library is None:
        pytest.skip("there is no C compiler, or Python's headers are missing")
    return native.loaded(library)


@pytest.fixture(params=["python", "c"])
def scanner_kind(request: pytest.FixtureRequest) -> Any:
    return Reference if request.param == "python" else request.getfixturevalue("native_scanner")
