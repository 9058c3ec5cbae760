"""Hedges, limits of a try, and answers tried elsewhere, over sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lb.balancing import Apply, HedgePolicy, RetryPolicy
from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, Proxy, Wire, answering, get, ok, origin, post, proxy, silent

HEDGED = '[hedging]\nafter = "20ms"\n'
OK, CANCELLED, TIMEOUT = Outcome.OK, Outcome.CANCELLED, Outcome.TIMEOUT


async def stats(lb: Proxy) -> dict[str, object]:
    told: dict[str, object] = (await lb.get("/lb-stats")).json
    return told


def test_a_silent_backend_s_request_is_answered_by_another(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, origin(answering(ok(b"b"))) as b, proxy(
            a, b, toml=HEDGED
        ) as lb, lb.client() as client:  # fmt: skip
            for _ in range(2):
                client.send(get())
                answer = await client.response()
                assert (answer.status, answer.body) == (200, b"b")
                await a.left.get()
            assert lb.outcomes == [("a", CANCELLED), ("b", OK)] * 2
            told = await stats(lb)
            assert (told["hedged"], told["hedges_won"], told["retried"]) == (2, 2, 0)
            assert lb.backends[0].failed == 0

    run(test())


def test_what_is_answered_in_time_is_sent_once(run: Run) -> None:
    async def test() -> None:
        toml = HEDGED.replace("20ms", "5s")
        async with origin(answering(ok())) as a, origin(silent) as b, proxy(
            a, b, toml=toml
        ) as lb:  # fmt: skip
            assert (await lb.get()).status == 200
            assert lb.driver.dispatcher._alarm is not None
            assert not b.requests

    run(test())


def test_an_answer_whose_body_takes_long_is_not_hedged(run: Run) -> None:
    go_on = asyncio.Event()

    async def slow(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await go_on.wait()
        wire.send(b"done")

    async def test() -> None:
        async with origin(slow) as a, origin(silent) as b, proxy(a, b, toml=HEDGED) as lb:
            async with lb.client() as client:
                client.send(get())
                assert await client.head() is not None
                await asyncio.sleep(0.05)  # the time in which it would be
                go_on.set()
            assert not b.requests

    run(test())


def test_a_body_is_sent_once(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, origin(answering(ok())) as b, proxy(
            a, b, toml=HEDGED + '[timeouts]\nresponse = "100ms"\n'
        ) as lb, lb.client() as client:  # fmt: skip
            client.send(post(b"pay"))
            assert (await client.response()).status == 504
            assert not b.requests

    run(test())


@pytest.mark.parametrize(
    "request_", [get("/", method="DELETE"), get("/", "Connection: upgrade", "Upgrade: websocket")]
)
def test_what_does_something_is_done_once(run: Run, request_: bytes) -> None:
    """A DELETE may be repeated when it broke, and no sooner; a session is begun at one backend."""

    async def slow(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        await asyncio.sleep(0.05)  # the time in which it would be hedged
        wire.send(ok(b"a"))

    async def test() -> None:
        async with origin(slow) as a, origin(answering(ok(b"b"))) as b, proxy(
            a, b, toml=HEDGED
        ) as lb, lb.client() as client:  # fmt: skip
            client.send(request_)
            assert (await client.response()).body == b"a"
            assert not b.requests

    run(test())


def test_an_error_loses_against_a_slower_answer(run: Run) -> None:
    go_on = asyncio.Event()

    async def slow(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        await go_on.wait()
        await asyncio.sleep(0.02)  # the error is there first
        wire.send(ok(b"a"))

    async def fails(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
        go_on.set()

    async def test() -> None:
        async with origin(slow) as a, origin(fails) as b, proxy(
            a, b, toml=HEDGED
        ) as lb, lb.client() as client:  # fmt: skip
            client.send(get())
            answer = await client.response()
            assert (answer.status, answer.body) == (200, b"a")
            assert [outcome for _, outcome in lb.outcomes] == [Outcome.SERVER_ERROR, OK]

    run(test())


def test_a_client_that_leaves_leaves_both(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, origin(silent) as b, proxy(a, b, toml=HEDGED) as lb:
            async with lb.client() as client:
                client.send(get())
                await a.arrived.get()
                await b.arrived.get()
            for gone in (a, b):
                await gone.left.get()
            ended = sorted([await lb.ended.get() for _ in range(2)])
            assert ended == [("a", Outcome.CLIENT_GONE), ("b", Outcome.CLIENT_GONE)]

    run(test())


def test_hedging_is_switched_on_and_off_while_it_runs(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, origin(answering(ok(b"b"))) as b, proxy(
            a, b
        ) as lb, lb.client() as client:  # fmt: skip
            dispatcher = lb.driver.dispatcher
            setup = lb.driver.balancer.setup
            client.send(get())
            await a.arrived.get()
            dispatcher.perform(Apply(replace(setup, hedging=HedgePolicy(after=0.02))))
            async with lb.client() as second:
                second.send(get("/1"), get("/2"))
                for _ in range(2):
                    assert (await second.response()).body == b"b"
            dispatcher.perform(Apply(setup))
            assert dispatcher.admit == lb.driver.balancer.admit

    run(test())


# --- limits of a try


def test_a_try_that_takes_too_long_is_followed_by_another(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\nattempt = "60ms"\n'
        async with origin(silent) as a, origin(answering(ok(b"b"))) as b, proxy(
            a, b, toml=toml
        ) as lb:  # fmt: skip
            assert (await lb.get()).body == b"b"
            assert lb.outcomes == [("a", TIMEOUT), ("b", OK)]
        async with origin(silent) as a, origin(silent) as b, proxy(a, b, toml=toml) as lb:
            refusal = await lb.get()
            assert (refusal.status, refusal.json["error"]) == (504, "timeout")
            assert lb.outcomes == [("a", TIMEOUT), ("b", TIMEOUT)]

    run(test())


def test_a_try_is_not_over_while_its_answer_comes_or_its_client_sends(run: Run) -> None:
    begun = asyncio.Event()

    async def slow(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await asyncio.sleep(0.15)
        wire.send(b"done")

    async def test() -> None:
        toml = '[timeouts]\nattempt = "50ms"\n'
        async with origin(slow) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            client.send(get())
            assert (await client.response()).body == b"done"
            a.script = answering(ok(b"x"))
            async with lb.client() as other:
                other.send(post(b"pay")[:-1])
                await asyncio.sleep(0.2)  # longer than a try may take
                other.send(b"y")
                assert (await other.response()).status == 200
            begun.set()
            assert lb.outcomes == [("a", OK)] * 2

    run(test())


# --- answers that are tried elsewhere


@pytest.mark.parametrize("head_first", [True, False])
def test_a_503_is_tried_elsewhere_and_its_body_goes_nowhere(run: Run, head_first: bool) -> None:
    async def failing(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        answer = ok(b"no" * 50_000, status=b"503 No")
        if head_first:
            head, _, body = answer.partition(b"\r\n\r\n")
            wire.send(head + b"\r\n\r\n")
            await wire.sent()
            wire.send(body)
        else:
            wire.send(answer)
        await wire.reader.read()

    async def test() -> None:
        toml = "[retries]\non = [503]\n"
        async with origin(failing) as a, origin(answering(ok(b"b"))) as b, proxy(
            a, b, toml=toml
        ) as lb, lb.client() as client:  # fmt: skip
            for _ in range(3):
                client.send(get())
                answer = await client.response()
                assert (answer.status, answer.body) == (200, b"b")
            client.send(post(b"pay"))
            await client.response()
            assert lb.outcomes[:2] == [("a", Outcome.SERVER_ERROR), ("b", OK)]

    run(test())


def test_the_very_answer_is_passed_on_when_nobody_else_may_be_asked(run: Run) -> None:
    async def test() -> None:
        answer = ok(b"mine", b"X-Mine: 1", status=b"503 No")
        async with origin(answering(answer)) as a, proxy(a, toml="[retries]\non = [503]\n") as lb:
            got = await lb.get()
            assert (got.status, got.body, got["X-Mine"]) == (503, b"mine", "1")
            told = await stats(lb)
            assert told["retry_refused"]["no_backend"] == 1  # type: ignore[index]
            lb.driver.dispatcher.perform(
                Apply(replace(lb.driver.balancer.setup, retries=RetryPolicy()))
            )
            assert (await lb.get()).status == 503
            assert (await stats(lb))["retry_refused"] == told["retry_refused"]

    run(test())


# --- requests that the proxy tells no


def test_requests_that_take_too_long_or_come_back_are_counted(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\ntotal = "50ms"\n'
        async with origin(silent) as a, proxy(a, toml=toml) as lb:
            refused = (await stats(lb))["refused"]
            assert refused["too_late"] == refused["loop"] == 0  # type: ignore[index]
            assert (await lb.get()).status == 504
            assert (await lb.get("/", f"Via: 1.1 {lb.pseudonym}")).status == 508
            refused = (await stats(lb))["refused"]
            assert refused["too_late"] == refused["loop"] == 1  # type: ignore[index]

    run(test())
