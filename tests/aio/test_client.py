"""An application's own calls: who gets them, what is tried again, and how each attempt ends."""

from __future__ import annotations

import asyncio
import doctest
import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from lb.aio import Refused, TimedOut, TooLate, balance, client
from lb.balancing import Outcome, SetState, State
from lb.errors import ConfigError, UsageError
from tests.aio.drivers import calling
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    answering,
    closing_after,
    echo,
    ok,
    origin,
    refusing,
    resets,
    silent,
)
from tests.proxy.wires import Wire

OK, RESET, TIMEOUT = Outcome.OK, Outcome.RESET, Outcome.TIMEOUT
CONNECT, GONE, CANCELLED = Outcome.CONNECT, Outcome.CLIENT_GONE, Outcome.CANCELLED
ORDERS = "http://orders/"


@pytest.mark.parametrize(
    ("algorithm", "shares"),
    [
        ("round_robin", {"a": 10, "b": 10, "c": 10}),
        ("weighted_round_robin", {"a": 5, "b": 10, "c": 15}),
    ],
)
def test_shares_are_those_of_the_algorithm(
    run: Run, algorithm: str, shares: dict[str, int]
) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            three = [
                await stack.enter_async_context(origin(answering(ok(name))))
                for name in (b"a", b"b", b"c")
            ]
            weights = {"a": "weight = 1", "b": "weight = 2", "c": "weight = 3"}
            toml = f'algorithm = "{algorithm}"'
            it = await stack.enter_async_context(calling(*three, toml=toml, **weights))
            assert Counter([await it.text() for _ in range(30)]) == shares

    run(test())


def test_a_request_arrives_as_it_was_made_but_for_its_backend(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            calling(a) as it,
            it.session.get(f"{ORDERS}path?q=1", headers={"X-Own": "1"}) as answer,
        ):
            said = await answer.text()
            assert str(answer.url) == f"{ORDERS}path?q=1"
            assert answer.request_info.headers["X-Backend-Server"] == a.address
            assert said.startswith("GET /path?q=1 HTTP/1.1\r\nHost: orders\r\n")
            assert "X-Own: 1\r\n" in said
            assert f"X-Backend-Server: {a.address}\r\n" in said

    run(test())


def test_other_hosts_pass_untouched(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            origin(echo) as other,
            calling(a) as it,
            it.session.get(f"http://{other.address}/") as answer,
        ):
            assert "X-Backend-Server" not in await answer.text()
            with pytest.raises(aiohttp.ClientConnectorError):  # another port is another service
                await it.session.get("http://orders:1/")
            assert not it.leases

    run(test())


def test_a_key_is_taken_from_a_field(run: Run) -> None:
    async def test() -> None:
        toml = 'algorithm = "consistent_hash"\nkey = "header:X-User"'
        async with (
            origin(answering(ok(b"a"))) as a,
            origin(answering(ok(b"b"))) as b,
            calling(a, b, toml=toml) as it,
        ):
            seen = {
                user: {await it.text(headers={"X-User": str(user)}) for _ in range(3)}
                for user in range(20)
            }
        assert all(len(places) == 1 for places in seen.values())
        assert set.union(*seen.values()) == {"a", "b"}

    run(test())


# --- health


def test_a_backend_that_goes_down_is_left_out_until_it_is_back(run: Run) -> None:
    async def test() -> None:
        checks = '[health]\ninterval = "20ms"\nfast_interval = "5ms"\njitter = 0.0\n'
        async with (
            origin(answering(ok(b"a"))) as a,
            origin(answering(ok(b"b"))) as b,
            calling(a, b, health=checks) as it,
        ):
            first = it.driver.balancer.pool.backends[0]

            async def until(well: bool) -> None:
                while first.healthy is not well:
                    await asyncio.sleep(0.005)

            assert {await it.text() for _ in range(4)} == {"a", "b"}
            a.script = answering(ok(status=b"500 Broken"))
            await until(well=False)
            for wire in a.wires:
                wire.writer.close()
            assert {await it.text() for _ in range(4)} == {"b"}
            a.script = answering(ok(b"a"))
            await until(well=True)
            assert {await it.text() for _ in range(4)} == {"a", "b"}
            assert ("info", "backend up") in [line[:2] for line in it.log]

    run(test())


def test_errors_eject_a_backend(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(answering(ok(status=b"500 Broken"))) as a,
            origin(answering(ok(b"b"))) as b,
            calling(a, b) as it,
        ):
            for _ in range(20):
                await it.text()
            assert len(a.requests) == 5
            assert "backend ejected" in [line[1] for line in it.log]

    run(test())


def test_a_load_report_is_heard(run: Run) -> None:
    async def test() -> None:
        loaded = answering(ok(b"a", b"X-LB-Load: in_flight=900, latency_ms=1000"))
        idle = answering(ok(b"b", b"X-LB-Load: in_flight=1, latency_ms=1"))
        async with (
            origin(loaded) as a,
            origin(idle) as b,
            calling(a, b, toml='algorithm = "least_reported"') as it,
        ):
            said = [await it.text() for _ in range(20)]
        assert said.count("b") > 12

    run(test())


# --- retries


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


# --- time limits, the line, hedges


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


# --- every end


def test_a_caller_that_leaves_takes_its_attempt_along(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, calling(a) as it:
            task = asyncio.create_task(it.text())
            await a.arrived.get()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert it.outcomes == [("a", GONE)]
            await a.left.get()

    run(test())


def test_a_caller_may_leave_at_any_step(run: Run) -> None:
    """In line, connecting, waiting, reading: nothing stays behind."""

    async def half(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async def test() -> None:
        toml = '[queue]\nlimit = 9\ntimeout = "10s"'
        async with origin(half) as a, calling(a, toml=toml, a="max_in_flight = 1") as it:
            for steps in range(40):
                tasks = [asyncio.create_task(it.text()) for _ in range(3)]
                for _ in range(steps):
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                assert not [
                    one
                    for one in await asyncio.gather(*tasks, return_exceptions=True)
                    if not isinstance(one, asyncio.CancelledError)
                ]
                assert it.driver.balancer.pool.backends[0].active == 0
                assert not it.driver.snapshot().waiting

    run(test())


def test_an_answer_that_is_not_read_to_its_end_is_its_callers_doing(run: Run) -> None:
    async def half(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async def test() -> None:
        async with origin(half) as a, calling(a) as it:
            released = await it.session.get(ORDERS)
            assert it.leases[-1].open
            released.release()
            closed = await it.session.get(ORDERS)
            closed.close()
            async with it.session.get(ORDERS):
                pass
            assert it.outcomes == [("a", GONE)] * 3

    run(test())


def test_an_answer_that_breaks_off_is_its_backends_doing(run: Run) -> None:
    half = closing_after(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async def test() -> None:
        async with origin(half) as a, calling(a) as it:
            with pytest.raises(aiohttp.ClientPayloadError):
                await it.text()
            assert it.outcomes == [("a", RESET)]

    run(test())


def test_an_answer_that_is_not_http_is_an_error_of_its_backend(run: Run) -> None:
    async def test() -> None:
        async with origin(closing_after(b"SSH-2.0-x\r\n\r\n")) as a, calling(a) as it:
            with pytest.raises(Refused) as strange:
                await it.text("POST")
            assert strange.value.code == "server_error"

    run(test())


def test_a_body_that_cannot_be_made_is_its_callers_fault(run: Run) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"some"
        raise ValueError("no more")

    async def test() -> None:
        async with origin(silent) as a, calling(a) as it:
            with pytest.raises(aiohttp.ClientConnectionError, match="no more"):
                await it.text("POST", data=pieces())
            assert it.outcomes == [("a", GONE)]

    run(test())


def test_a_session_may_be_closed_in_the_middle(run: Run) -> None:
    async def half(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            if len(it.requests) > 1:
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async def test() -> None:
        async with origin(half) as a, calling(a) as it:
            waiting = asyncio.create_task(it.text())
            await a.arrived.get()
            reading = await it.session.get(ORDERS)
            await it.session.close()
            with pytest.raises(aiohttp.ClientError):
                await waiting
            with pytest.raises((aiohttp.ClientError, RuntimeError)):
                await reading.read()
            assert it.outcomes == [("a", GONE)] * 2

    run(test())


def test_a_balancer_may_be_closed_in_the_middle(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, calling(a) as it:
            waiting = asyncio.create_task(it.text())
            await a.arrived.get()
            await it.balance.close()
            with pytest.raises(aiohttp.ClientConnectionError):
                await waiting

    run(test())


def test_bodies_are_intact_both_ways(run: Run) -> None:
    async def hashed(wire: Wire, it: Origin) -> None:
        while (request := await it.take(wire)) is not None:
            wire.send(ok(request.body[::-1]))
            await wire.sent()

    sent = bytes(range(256)) * 4096

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(sent), 50_000):
            yield sent[at : at + 50_000]

    async def test() -> None:
        async with (
            origin(hashed) as a,
            calling(a) as it,
            it.session.post(ORDERS, data=pieces()) as answer,
        ):
            digest = hashlib.sha256()
            async for piece in answer.content.iter_any():
                digest.update(piece)
            assert digest.digest() == hashlib.sha256(sent[::-1]).digest()
            assert it.outcomes == [("a", OK)]

    run(test())


def test_the_sessions_own_line_is_no_backends_fault(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\nconnect = "300ms"\n[retries]\nmax = 0'
        async with origin(silent) as a, calling(a, toml=toml) as it:
            connector = aiohttp.TCPConnector(limit=1)
            async with aiohttp.ClientSession(
                connector=connector, middlewares=[it.balance]
            ) as narrow:
                first = asyncio.create_task(narrow.post(ORDERS))
                await a.arrived.get()
                with pytest.raises(Refused):
                    await narrow.post(ORDERS)
                assert it.outcomes == [("a", CANCELLED)]
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)

    run(test())


# --- beginning and end


def test_it_begins_with_the_first_request(run: Run) -> None:
    async def test() -> None:
        async with origin(answering(ok(b"a"))) as a:
            orders = balance("orders", backends=[a.address])
            assert orders.snapshot() is None
            async with aiohttp.ClientSession(middlewares=[orders]) as session:
                answers = await asyncio.gather(*(session.get(ORDERS) for _ in range(3)))
                assert [await answer.text() for answer in answers] == ["a"] * 3
            known = orders.snapshot()
            assert known is not None
            assert known.backends[0].checks == 1
            assert known.backends[0].succeeded == 3
            await orders.close()

    run(test())


def test_it_may_serve_one_loop_after_the_other(run: Run) -> None:
    orders = balance("orders", backends=["127.0.0.1:1"], health={"enabled": False})

    async def test() -> None:
        async with orders, aiohttp.ClientSession(middlewares=[orders]) as session:
            with pytest.raises(Refused) as refused:
                await session.get(ORDERS)
            assert refused.value.code == "connect"

    run(test())
    run(test())


@pytest.mark.parametrize("name", ["", "http://orders/", "a b"])
def test_a_name_is_a_host(name: str) -> None:
    with pytest.raises(UsageError, match="is no host"):
        balance(name, backends=["127.0.0.1:1"])


def test_a_scenario_is_judged_as_a_file_is() -> None:
    with pytest.raises(ConfigError, match="did you mean 'round_robin'"):
        balance("orders", backends=["127.0.0.1:1"], algorithm="round_robbin")


def test_lb_alone_knows_no_aiohttp() -> None:
    code = "import lb, sys; assert 'aiohttp' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_example_beside_it_is_right() -> None:
    assert doctest.testmod(client) == (0, 2)
