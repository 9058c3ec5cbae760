"""What is tried again, how long is waited for whom, and who waits in line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from lb.aio import Refused, TimedOut, TooLate
from lb.balancing import Outcome, SetState, State
from tests.aio.drivers import calling
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    answering,
    echo,
    ok,
    origin,
    refusing,
    resets,
    silent,
)
from tests.proxy.wires import Wire

OK, RESET, TIMEOUT = Outcome.OK, Outcome.RESET, Outcome.TIMEOUT
CONNECT, CANCELLED = Outcome.CONNECT, Outcome.CANCELLED


def test_a_refused_connection_is_tried_elsewhere_whatever_the_method(run: Run) -> None:
    async def test() -> None:
        with refusing() as taken:
            async with origin(echo) as b, calling(taken, b) as it:
                for _ in range(4):
                    assert (await it.text("POST", data=b"body")).endswith("\r\n\r\nbody")
                assert it.outcomes[:2] == [("a", CONNECT), ("b", OK)]

    run(test())


def test_a_get_that_was_broken_off_is_tried_elsewhere_and_a_post_is_not(run: Run) -> None:
    async def test() -> None:
        async with origin(resets) as a, origin(answering(ok(b"b"))) as b, calling(a, b) as it:
            assert await it.text() == "b"
            with pytest.raises(Refused, match="broke off") as broken:
                await it.text("POST", data=b"x")
            assert broken.value.code == "reset"
            assert broken.value.answer.status == 502
            assert isinstance(broken.value.__cause__, aiohttp.ClientError)
            assert it.outcomes == [("a", RESET), ("b", OK), ("a", RESET)]
            assert [request.method for request in a.requests] == ["GET", "POST"]

    run(test())


@pytest.mark.parametrize(("whole", "tries"), [(True, 2), (False, 1)])
def test_a_put_is_sent_again_while_its_body_is_still_here(
    run: Run, whole: bool, tries: int
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"body"

    async def test() -> None:
        async with origin(resets) as a, origin(resets) as b, calling(a, b) as it:
            with pytest.raises(Refused):
                await it.text("PUT", data=b"body" if whole else pieces())
            assert [request.body for request in (*a.requests, *b.requests)] == [b"body"] * tries

    run(test())


def test_a_body_that_waits_for_leave_is_sent_by_the_next_attempt(run: Run) -> None:
    async def hangs_up(wire: Wire, it: Origin) -> None:
        await wire.head()

    async def gives_leave(wire: Wire, it: Origin) -> None:
        assert await wire.head() is not None
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.send(ok(await wire.reader.readexactly(4)))
        await wire.reader.read()

    async def test() -> None:
        async with origin(hangs_up) as a, origin(gives_leave) as b, calling(a, b) as it:
            assert await it.text("PUT", data=b"body", expect100=True) == "body"
            assert it.outcomes == [("a", RESET), ("b", OK)]

    run(test())


def test_statuses_are_tried_elsewhere(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(answering(ok(status=b"503 Busy"))) as a,
            origin(answering(ok(b"b"))) as b,
            calling(a, b, toml="[retries]\non = [503]") as it,
        ):
            assert [await it.text() for _ in range(4)] == ["b"] * 4
            assert it.outcomes[:2] == [("a", Outcome.SERVER_ERROR), ("b", OK)]
            assert len(a.requests) == 4

    run(test())


def test_the_budget_ends_retries(run: Run) -> None:
    async def test() -> None:
        toml = "[retries]\nbudget = 0.0\nmin_per_second = 0.1\n[outliers]\nenabled = false"
        async with origin(resets) as a, origin(resets) as b, calling(a, b, toml=toml) as it:
            for _ in range(3):
                with pytest.raises(Refused):
                    await it.text()
            assert len(it.leases) == 4

    run(test())


def test_an_idle_connection_that_was_closed_meanwhile_is_no_failure(run: Run) -> None:
    async def once_each(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(ok(b"well"))
        await it.take(wire)  # and closes without a word

    async def test() -> None:
        async with origin(once_each) as a, calling(a) as it:
            assert [await it.text() for _ in range(3)] == ["well"] * 3
            assert it.outcomes == [("a", OK)] * 3
            with pytest.raises(Refused):
                await it.text("POST", data=b"may have been done")

    run(test())


def test_an_attempt_that_takes_too_long_goes_on_elsewhere(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\nattempt = "50ms"'
        async with (
            origin(silent) as a,
            origin(answering(ok(b"b"))) as b,
            calling(a, b, toml=toml) as it,
        ):
            assert await it.text() == "b"
            assert it.outcomes == [("a", TIMEOUT), ("b", OK)]

    run(test())


def test_a_silent_backend_is_a_timeout_for_the_caller(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\nresponse = "50ms"\n[retries]\nmax = 0'
        async with origin(silent) as a, calling(a, toml=toml) as it:
            with pytest.raises(TimedOut) as late:
                await it.text()
            assert late.value.code == "timeout"
            assert it.outcomes == [("a", TIMEOUT)]

    run(test())


def test_no_request_may_take_longer_than_the_file_says(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\ntotal = "50ms"'
        async with origin(silent) as a, calling(a, toml=toml) as it:
            with pytest.raises(TooLate):
                await it.text()
            assert it.outcomes == [("a", TIMEOUT)]

    run(test())


def test_who_owes_an_answer_is_to_blame_for_the_callers_own_limit(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, calling(a) as it:
            with pytest.raises(TimeoutError):
                await it.text(timeout=aiohttp.ClientTimeout(total=0.05))
            assert it.outcomes == [("a", TIMEOUT)]

    run(test())


def test_who_finds_all_places_taken_waits_in_line(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a:
            toml = '[queue]\nlimit = 1\ntimeout = "10s"'
            async with calling(a, toml=toml, a="max_in_flight = 1") as it:
                first = asyncio.create_task(it.text())
                await a.arrived.get()
                second = asyncio.create_task(it.text())
                while not it.driver.snapshot().waiting:
                    await asyncio.sleep(0)
                with pytest.raises(Refused, match="line is full") as full:
                    await it.text()
                assert full.value.answer.status == 503
                a.wires[0].send(ok(b"first"))
                assert await first == "first"
                await a.arrived.get()
                a.wires[-1].send(ok(b"second"))
                assert await second == "second"

    run(test())


def test_the_first_answer_of_two_wins(run: Run) -> None:
    async def test() -> None:
        toml = '[hedging]\nafter = "20ms"'
        async with (
            origin(silent) as a,
            origin(answering(ok(b"b"))) as b,
            calling(a, b, toml=toml) as it,
        ):
            assert await it.text() == "b"
            assert sorted(it.outcomes, key=str) == [("a", CANCELLED), ("b", OK)]

    run(test())


def test_nobody_is_left(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, calling(a) as it:
            it.driver.dispatcher.perform(SetState("a", State.MAINT))
            with pytest.raises(Refused) as nobody:
                await it.text()
            assert (nobody.value.code, nobody.value.answer.status) == ("no_backend", 503)

    run(test())
