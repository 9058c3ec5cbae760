"""What an intermediary changes in a message, and what it must not touch."""

from __future__ import annotations

import asyncio

import pytest

from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Message,
    Origin,
    Wire,
    answering,
    echo,
    get,
    ok,
    origin,
    post,
    proxy,
)


def received(answer: Message) -> Message:
    """The request as an echoing backend saw it."""
    head, _, body = answer.body.partition(b"\r\n\r\n")
    start, *lines = head.split(b"\r\n")
    fields = [tuple(line.decode("latin-1").split(": ", 1)) for line in lines]
    return Message(start, fields, body)  # type: ignore[arg-type]


def test_a_get_reaches_the_backend_with_the_fields_of_an_intermediary(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/path?q=%20x", "Accept: */*", "X-Odd: a  b\t"))
            answer = await client.response()
            seen = received(answer)
            assert seen.start == b"GET /path?q=%20x HTTP/1.1"
            assert seen["Host"] == "example.test"
            assert seen["Accept"] == "*/*"
            assert seen["X-Forwarded-For"] == "127.0.0.1"
            assert seen["X-Forwarded-Proto"] == "http"
            assert seen["X-Forwarded-Host"] == "example.test"
            assert seen["X-Forwarded-By"] == "lb"
            assert seen["Via"] == f"1.1 {lb.pseudonym}"
            assert seen["X-Backend-Server"] == a.address
            assert seen["Connection"] is None
            assert answer["X-Backend-Server"] == a.address
            assert answer["Via"] == "1.1 lb"

    run(test())


def test_a_client_cannot_say_who_it_is(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            seen = received(
                await lb.get(
                    "/",
                    "X-Forwarded-For: 10.0.0.1",
                    "x-forwarded-proto: https",
                    "X-FORWARDED-HOST: evil.test",
                    "X-Forwarded-By: me",
                    "X-Backend-Server: 10.0.0.2:80",
                )
            )
            assert seen["X-Forwarded-For"] == "127.0.0.1"
            assert seen["X-Forwarded-Proto"] == "http"
            assert seen["X-Forwarded-Host"] == "example.test"
            assert seen["X-Forwarded-By"] == "lb"
            assert seen["X-Backend-Server"] == a.address

    run(test())


TRUSTING = '[server]\nlisten = "127.0.0.1:0"\ntrusted_proxies = ["127.0.0.0/8"]\n'


def test_a_trusted_proxy_is_believed_and_its_chain_grows(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=TRUSTING) as lb:
            seen = received(
                await lb.get(
                    "/",
                    "X-Forwarded-For: 10.0.0.1, 10.0.0.2",
                    "X-Forwarded-For: 10.0.0.3",
                    "X-Forwarded-Proto: https",
                )
            )
            assert seen["X-Forwarded-For"] == "10.0.0.1, 10.0.0.2, 10.0.0.3, 127.0.0.1"
            assert seen["X-Forwarded-Proto"] == "https"
            assert seen["X-Forwarded-Host"] == "example.test"

    run(test())


def test_connection_cannot_take_along_what_a_trusted_proxy_says(run: Run) -> None:
    async def test() -> None:
        said = ("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: b")
        named = "Connection: X-Forwarded-For, x-forwarded-proto, X-Forwarded-Host, Forwarded, Via"
        async with origin(echo) as a, proxy(a, toml=TRUSTING) as lb:
            seen = received(await lb.get("/", named, *said, "Forwarded: for=1.2.3.4"))
            assert seen["X-Forwarded-For"] == "1.2.3.4, 127.0.0.1"
            assert seen["X-Forwarded-Proto"] == "https"
            assert seen["X-Forwarded-Host"] == "b"
            assert seen["Forwarded"] == "for=1.2.3.4"

    run(test())


def test_forwarded_is_believed_of_a_trusted_proxy_alone(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            assert received(await lb.get("/", "Forwarded: for=1.2.3.4"))["Forwarded"] is None

    run(test())


def test_a_trusted_proxy_that_says_nothing_is_a_client_like_any_other(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=TRUSTING) as lb:
            seen = received(await lb.get())
            assert seen["X-Forwarded-For"] == "127.0.0.1"
            assert seen["X-Forwarded-Proto"] == "http"
            assert seen["X-Forwarded-Host"] == "example.test"

    run(test())


HOP_BY_HOP = [
    "Keep-Alive: timeout=5",
    "Proxy-Connection: keep-alive",
    "TE: gzip",
    "Trailer: X-Sum",
    "X-Private: 1",
    "x-other: 2",
    "X-Kept: 3",
]


def test_hop_by_hop_fields_of_a_request_stay_here(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(
                get("/", "Connection: keep-alive, X-Private", "Connection: X-OTHER", *HOP_BY_HOP)
            )
            names = {name.lower() for name, _ in received(await client.response()).fields}
            assert "x-kept" in names
            hop = {"connection", "keep-alive", "proxy-connection", "te", "trailer"}
            assert not names & {*hop, "x-private", "x-other"}

    run(test())


def test_hop_by_hop_fields_of_a_response_stay_here(run: Run) -> None:
    fields = [f.encode() for f in ("Connection: X-Private, x-other", "Upgrade: h2c", *HOP_BY_HOP)]

    async def test() -> None:
        async with (
            origin(answering(ok(b"x", *fields, b"X-Backend-Server: me"))) as a,
            proxy(a) as lb,
            lb.client() as client,
        ):
            client.send(get())
            answer = await client.response()
            names = [name.lower() for name, _ in answer.fields]
            assert names == ["content-length", "x-kept", "date", "via", "x-backend-server"]
            assert answer["X-Backend-Server"] == a.address

    run(test())


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Host"])
def test_connection_cannot_name_what_frames_or_routes_a_request(run: Run, name: str) -> None:
    """A body whose length is dropped would be read by the backend as the next request."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    framing = f"Content-Length: {len(smuggled)}"
    body = smuggled
    if name == "Transfer-Encoding":
        framing = "Transfer-Encoding: chunked"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled)

    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/", f"Connection: {name}", framing, method="POST"), body)
            seen = received(await client.response())
            assert seen.body == smuggled
            assert seen["Host"] == "example.test"
            assert [request.target for request in a.requests] == ["/"]

    run(test())


def test_connection_cannot_name_what_frames_a_response(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(answering(ok(b"whole", b"Connection: content-length"))) as a,
            proxy(a) as lb,
            lb.client() as client,
        ):
            client.send(get(), get())
            assert (await client.response()).body == b"whole"
            assert (await client.response()).body == b"whole"

    run(test())


def test_fields_keep_their_order_spelling_and_number(run: Run) -> None:
    cookies = [b"Set-Cookie: a=1; Path=/", b"sEt-cOOkie: b=2", b"X-Empty: ", b"Set-Cookie: a=3"]

    async def test() -> None:
        async with origin(answering(ok(b"", *cookies))) as a, proxy(a) as lb:
            answer = await lb.get()
            assert [f"{k}: {v}".encode() for k, v in answer.fields[1:5]] == cookies
            assert answer.all("Set-Cookie") == ["a=1; Path=/", "b=2", "a=3"]

        async with origin(echo) as a, proxy(a) as lb:
            seen = received(await lb.get("/", "X-B: 1", "x-a: 2", "X-B: 3", "Cookie: \xe9"))
            given = [(k, v) for k, v in seen.fields if k.lower() in ("x-a", "x-b", "cookie")]
            assert given == [("X-B", "1"), ("x-a", "2"), ("X-B", "3"), ("Cookie", "\xe9")]

    run(test())


def test_via_of_others_stands_before_ours(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            assert received(await lb.get("/", "Via: 1.0 other")).all("Via") == [
                "1.0 other",
                f"1.1 {lb.pseudonym}",
            ]
        async with origin(answering(ok(b"", b"Via: 1.1 inner"))) as a, proxy(a) as lb:
            assert (await lb.get()).all("Via") == ["1.1 inner", "1.1 lb"]

    run(test())


def test_an_absolute_target_names_the_host(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            seen = received(await lb.get("http://user@named.test:81/path?x"))
            assert seen.start == b"GET /path?x HTTP/1.1"
            assert seen["Host"] == "named.test:81"
            assert seen["X-Forwarded-Host"] == "named.test:81"
            assert received(await lb.get("http://named.test?x")).target == "/?x"
            assert (await lb.get("http://named.test/lb-health")).json["status"] == "ok"

    run(test())


@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", b"200 OK"), ("GET", b"204 No Content"), ("GET", b"304 Not Modified")],
)
def test_answers_without_a_body_leave_both_connections_open(
    run: Run, method: str, status: bytes
) -> None:
    length = b"Content-Length: 12345\r\n" if method == "HEAD" else b""
    bodiless = b"HTTP/1.1 %b\r\n%bETag: x\r\n\r\n" % (status, length)

    async def test() -> None:
        async with (
            origin(answering(bodiless, ok(b"next"))) as a,
            proxy(a) as lb,
            lb.client() as client,
        ):
            client.send(get(method=method))
            answer = await client.response(method)
            assert answer.start == b"HTTP/1.1 " + status
            assert answer["ETag"] == "x"
            assert answer["Content-Length"] == ("12345" if method == "HEAD" else None)
            assert answer["Transfer-Encoding"] is None
            client.send(get())
            assert (await client.response()).body == b"next"
            assert a.connections == 1

    run(test())


def test_a_head_request_with_bytes_behind_its_answer_spoils_the_connection(run: Run) -> None:
    async def test() -> None:
        async with origin(answering(ok(b"not wanted"))) as a, proxy(a) as lb, lb.client() as client:
            client.send(get(method="HEAD"))
            await client.response("HEAD")
            client.send(get())
            assert (await client.response()).body == b"not wanted"
            assert a.connections == 2

    run(test())


def test_interim_answers_are_passed_on_and_are_not_the_first_byte(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def hinting(wire: Wire, it: Origin) -> None:
            await it.take(wire)
            wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
            await go_on.wait()
            wire.send(ok(b"x"))
            await it.take(wire)

        async with origin(hinting) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            hint = await client.response()
            assert hint.status == 103
            assert hint["Link"] == "</a.css>"
            (lease,) = lb.leases
            passed = lb.driver.context.now() - lease.started_at
            go_on.set()
            assert (await client.response()).body == b"x"
            assert lb.latencies[0] >= passed

    run(test())


def test_interim_and_final_answer_in_one_read(run: Run) -> None:
    both = b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"x")

    async def test() -> None:
        async with origin(answering(both)) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            assert (await client.response()).status == 100
            assert (await client.response()).body == b"x"
            client.send(get(version="1.0"))
            assert (await client.response()).status == 200  # HTTP/1.0 knows no interim ones
            assert all(latency >= 0 for latency in lb.latencies)

    run(test())


def test_the_body_of_a_post_arrives(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(post(b"body", "Content-Type: text/plain"))
            seen = received(await client.response())
            assert seen.method == "POST"
            assert seen.body == b"body"
            assert seen["Content-Length"] == "4"
            assert seen["Content-Type"] == "text/plain"

    run(test())
