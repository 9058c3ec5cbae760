"""A route that is a balanced proxy: its own answers, and how requests end."""

from __future__ import annotations

import pytest

from lb.balancing import Outcome
from tests.aio.drivers import served
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    closing_after,
    echo,
    get,
    ok,
    origin,
    post,
    refusing,
    resets,
    silent,
)
from tests.proxy.wires import Wire

OK, RESET, GONE = Outcome.OK, Outcome.RESET, Outcome.CLIENT_GONE


def test_refusals_are_those_of_lb_serve(run: Run) -> None:
    async def test() -> None:
        with refusing() as taken:
            async with origin(resets) as a, served(a, toml="[retries]\nmax = 0") as it:
                answer = await it.get()
                assert (answer.status, answer.json["error"]) == (502, "reset")
            async with served(taken) as it:
                answer = await it.get()
                assert (answer.status, answer.json["error"]) == (502, "connect")

    run(test())


def test_silence_is_a_504(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\nresponse = "50ms"\n[retries]\nmax = 0'
        async with origin(silent) as a, served(a, toml=toml) as it:
            late = await it.get()
            assert (late.status, late.json["error"]) == (504, "timeout")

    run(test())


def test_a_full_house_is_a_503(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(silent) as a,
            served(a, a="max_in_flight = 1") as it,
            it.client() as client,
        ):
            client.send(get())
            await a.arrived.get()
            full = await it.get()
            assert (full.status, full.json["error"]) == (503, "queue_full")
            assert full["Retry-After"] == "1"
            a.wires[0].send(ok(b"well"))
            assert (await client.response()).body == b"well"

    run(test())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/", "Via: 1.1 {pseudonym}"), 508),
        (get("/", "Content-Length: 11", method="POST") + b"eleven bytes"[:11], 413),
        (get("/" + "x" * 200), 414),
        (get("/", "Max-Forwards: 0", method="OPTIONS"), 200),
    ],
)
def test_what_lb_serve_refuses_is_refused(run: Run, request_: bytes, status: int) -> None:
    async def test() -> None:
        toml = "[limits]\nbody = 10\nrequest_line = 100"
        async with origin(echo) as a, served(a, toml=toml) as it, it.client() as client:
            client.send(request_.replace(b"{pseudonym}", it.pseudonym.encode()))
            answer = await client.response()
            assert answer.status == status
            assert not a.requests

    run(test())


def test_a_body_without_a_length_may_be_too_large_too(run: Run) -> None:
    async def test() -> None:
        toml = "[limits]\nbody = 10"
        async with origin(silent) as a, served(a, toml=toml) as it, it.client() as client:
            client.send(get("/", "Transfer-Encoding: chunked", method="POST"), b"8\r\n12345678\r\n")
            client.send(b"8\r\n12345678\r\n0\r\n\r\n")
            answer = await client.response()
            assert (answer.status, answer.json["error"]) == (413, "bad_request")
            assert it.outcomes == [("a", GONE)]

    run(test())


def test_a_post_that_was_sent_is_not_sent_again(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(resets) as a,
            origin(resets) as b,
            served(a, b) as it,
            it.client() as client,
        ):
            client.send(post(b"body"))
            assert (await client.response()).status == 502
            assert it.outcomes == [("a", RESET)]
            assert (await it.get()).status == 502
            assert [name for name, _ in it.outcomes] == ["a", "b", "a"]

    run(test())


def test_a_client_that_is_gone_frees_its_backend(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, served(a) as it, it.client() as client:
            client.send(get())
            await a.arrived.get()
            client.writer.transport.abort()
            assert await it.ended.get() == ("a", GONE)
            await a.left.get()

    run(test())


def test_a_client_that_leaves_in_its_upload_is_no_backends_fault(run: Run) -> None:
    async def begun(wire: Wire, it: Origin) -> None:
        head = await wire.head()
        assert head is not None
        it.note(head)
        await wire.reader.read()

    async def test() -> None:
        async with origin(begun) as a, served(a) as it, it.client() as client:
            client.send(get("/", "Content-Length: 100", method="PUT"), b"half")
            await a.arrived.get()
            client.writer.transport.abort()
            assert await it.ended.get() == ("a", GONE)

    run(test())


@pytest.mark.parametrize("framing", [b"Content-Length: 10\r\n\r\nhalf", b"\r\n"])
def test_an_answer_that_breaks_off_is_not_taken_for_whole(run: Run, framing: bytes) -> None:
    if framing == b"\r\n":
        framing = b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"

    async def test() -> None:
        async with (
            origin(closing_after(b"HTTP/1.1 200 OK\r\n" + framing)) as a,
            served(a) as it,
            it.client() as client,
        ):
            client.send(get())
            head = await client.head()
            assert head is not None
            rest = await client.reader.read()
            assert rest in (b"half", b"4\r\nhalf\r\n", b"")
            assert it.outcomes == [("a", RESET)]

    run(test())
