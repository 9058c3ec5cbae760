"""A route that is a balanced proxy: what passes, what is said for others."""

from __future__ import annotations

import doctest
import hashlib
from collections import Counter

import aiohttp
import pytest
from aiohttp import web

from lb.aio import application, proxy_application
from lb.balancing import Outcome
from tests.aio.drivers import served
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    answering,
    echo,
    get,
    ok,
    origin,
    post,
)
from tests.proxy.wires import Wire

OK, GONE = Outcome.OK, Outcome.CLIENT_GONE


def test_a_request_passes_as_through_lb_serve(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, served(a) as it, it.client() as client:
            client.send(
                get(
                    "/x/%2e?q=%41",
                    "Connection: close, X-Hop",
                    "X-Hop: 1",
                    "Keep-Alive: timeout=5",
                    "X-Forwarded-For: 10.0.0.1",
                    "X_Forwarded_Host: evil",
                    "X-Own: 1",
                )
            )
            said = (await client.response()).body.decode()
            assert said.split("\r\n") == [
                "GET /x/%2e?q=%41 HTTP/1.1",
                "Host: example.test",
                "X-Own: 1",
                "X-Forwarded-For: 127.0.0.1",
                "X-Forwarded-Proto: http",
                "X-Forwarded-Host: example.test",
                "X-Forwarded-By: lb",
                f"Via: 1.1 {it.pseudonym}",
                f"X-Backend-Server: {a.address}",
                "",
                "",
            ]

    run(test())


def test_an_answer_passes_as_through_lb_serve(run: Run) -> None:
    fields = (b"X-Own: 1", b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Connection: X-Hop")
    answer = ok(b"body", *fields, b"X-Hop: 1", b"X-LB-Load: in_flight=1, latency_ms=1")

    async def test() -> None:
        async with origin(answering(answer)) as a, served(a) as it:
            got = await it.get()
            assert [pair for pair in got.fields if pair[0] != "Date"] == [
                ("Content-Length", "4"),
                ("X-Own", "1"),
                ("Set-Cookie", "a=1"),
                ("Set-Cookie", "b=2"),
                ("Via", "1.1 lb"),
                ("X-Backend-Server", a.address),
                ("Connection", "close"),
            ]
            assert got.body == b"body"

    run(test())


def test_shares_are_those_of_the_algorithm(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(answering(ok(b"a"))) as a,
            origin(answering(ok(b"b"))) as b,
            served(a, b, toml='algorithm = "weighted_round_robin"', b="weight = 3") as it,
        ):
            assert Counter([(await it.get()).body for _ in range(12)]) == {b"a": 3, b"b": 9}

    run(test())


def test_a_key_is_the_clients(run: Run) -> None:
    async def test() -> None:
        toml = 'algorithm = { name = "sticky", inner = "round_robin" }\nkey = "cookie:home"'
        async with (
            origin(answering(ok(b"a"))) as a,
            origin(answering(ok(b"b"))) as b,
            served(a, b, toml=toml) as it,
        ):
            first = await it.get()
            cookie, _, rest = (first["Set-Cookie"] or "").partition(";")
            assert rest == " Path=/; HttpOnly; SameSite=Lax"
            again = [await it.get("/", f"Cookie: {cookie}") for _ in range(4)]
            assert {answer.body for answer in again} == {first.body}
            assert not any(answer["Set-Cookie"] for answer in again)

    run(test())


@pytest.mark.parametrize("chunked", [True, False])
def test_bodies_are_intact_both_ways(run: Run, chunked: bool) -> None:
    sent = bytes(range(256)) * 8192

    async def turned(wire: Wire, it: Origin) -> None:
        while (request := await it.take(wire)) is not None:
            wire.send(ok(request.body[::-1]))
            await wire.sent()

    async def test() -> None:
        async with origin(turned) as a, served(a) as it, it.client() as client:
            if chunked:
                client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
                for at in range(0, len(sent), 40_000):
                    piece = sent[at : at + 40_000]
                    client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                client.send(b"0\r\n\r\n")
            else:
                client.send(post(sent))
            answer = await client.response()
            assert a.requests[0]["Transfer-Encoding"] == ("chunked" if chunked else None)
            assert hashlib.sha256(answer.body).digest() == hashlib.sha256(sent[::-1]).digest()

    run(test())


def test_an_upload_arrives_as_it_comes(run: Run) -> None:
    async def first(wire: Wire, it: Origin) -> None:
        head = await wire.head()
        assert head is not None
        it.note(head)
        assert await wire.reader.readexactly(4) == b"half"
        it.note(head)
        assert await wire.reader.readexactly(4) == b"rest"
        wire.send(ok(b"well"))

    async def test() -> None:
        async with origin(first) as a, served(a) as it, it.client() as client:
            client.send(get("/", "Content-Length: 8", method="PUT"), b"half")
            await a.arrived.get()
            await a.arrived.get()
            client.send(b"rest")
            assert (await client.response()).body == b"well"

    run(test())


def test_a_download_arrives_as_it_comes(run: Run) -> None:
    async def endless(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        await it.take(wire)

    async def test() -> None:
        async with origin(endless) as a, served(a) as it, it.client() as client:
            client.send(get())
            head = await client.head()
            assert head is not None
            assert head["Transfer-Encoding"] == "chunked"
            assert await client.reader.readuntil(b"half") == b"4\r\nhalf"
            assert it.leases[0].open
            client.writer.transport.abort()
            assert await it.ended.get() == ("a", GONE)
            await a.left.get()

    run(test())


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_what_has_no_body_has_its_length(run: Run, method: str) -> None:
    async def test() -> None:
        answer = b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"
        if method == "HEAD":
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
        async with origin(answering(answer)) as a, served(a) as it, it.client() as client:
            client.send(get(method=method))
            head = await client.head()
            assert head is not None
            assert head["Content-Length"] == ("99" if method == "HEAD" else None)
            client.send(get(method=method))
            assert await client.head() is not None
            assert it.outcomes == [("a", OK)] * 2

    run(test())


def test_it_is_a_route_of_a_service(run: Run) -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="own")

    async def test() -> None:
        async with origin(echo) as a:
            tables = {"backends": [a.address], "health": {"enabled": False}}
            app = web.Application()
            app.router.add_get("/hello", hello)
            app.add_subapp("/api/", proxy_application(**tables))
            app.add_subapp("/bare/", proxy_application(prefix="/bare", **tables))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            async with aiohttp.ClientSession() as session:

                async def first_line(path: str) -> str:
                    async with session.get(url + path) as answer:
                        return (await answer.text()).partition("\r\n")[0]

                assert await first_line("/hello") == "own"
                assert await first_line("/api/x?y=1") == "GET /api/x?y=1 HTTP/1.1"
                assert await first_line("/bare/x") == "GET /x HTTP/1.1"
                assert await first_line("/bare/") == "GET / HTTP/1.1"
                async with session.get(url + "/api/lb-health") as answer:
                    assert (await answer.json())["backends"][0]["address"] == a.address
                async with session.get(url + "/bare/lb-stats") as answer:
                    assert (await answer.json())["requests"] == 2
                async with session.post(url + "/bare/lb-stats") as answer:
                    assert (await answer.text()).startswith("POST /lb-stats")
            await runner.cleanup()

    run(test())


def test_the_example_beside_it_is_right() -> None:
    assert doctest.testmod(application, optionflags=doctest.ELLIPSIS) == (0, 2)
