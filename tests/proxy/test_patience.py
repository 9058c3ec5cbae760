"""Time limits that do not count what the process itself was late."""

from __future__ import annotations

import asyncio
import time

import pytest

from lb.proxy.patience import LATE, Patience
from tests.proxy.conftest import Run


def test_what_takes_too_long_is_ended(run: Run) -> None:
    async def test() -> None:
        with pytest.raises(TimeoutError):
            async with Patience(0.01):
                await asyncio.Event().wait()

    run(test())


def test_what_is_in_time_is_left_alone_and_no_timer_remains(run: Run) -> None:
    async def test() -> None:
        async with Patience(0.02) as nothing:
            await asyncio.sleep(0)
        assert nothing is None
        await asyncio.sleep(0.03)  # a timer that rings now would end this

    run(test())


def test_what_the_process_was_late_is_not_counted(run: Run) -> None:
    """The answer has come while the event loop stood still."""

    async def test() -> None:
        loop = asyncio.get_running_loop()
        async with Patience(0.03):
            loop.call_later(0.01, time.sleep, 0.03 + 2 * LATE)
            await asyncio.sleep(0.03 + LATE)

    run(test())


def test_a_process_that_is_always_late_waits_twice_as_long_and_no_longer(run: Run) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        stood_still, over = 0, False

        def stand_still() -> None:
            nonlocal stood_still
            if not over:
                stood_still += 1
                time.sleep(0.1)
                loop.call_soon(stand_still)

        loop.call_soon(stand_still)
        with pytest.raises(TimeoutError):
            async with Patience(0.1):
                await asyncio.Event().wait()
        over = True
        assert 1 <= stood_still <= 15

    run(test())


def test_an_error_inside_goes_through(run: Run) -> None:
    async def test() -> None:
        with pytest.raises(ZeroDivisionError):
            async with Patience(1.0):
                raise ZeroDivisionError

    run(test())
