"""What is said from hop to hop: Via, Max-Forwards, Upgrade, Date, and who answered."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime

import pytest

from lb.config import Limits
from lb.proxy.http.hop import Intermediary
from lb.proxy.http.rules import IDEMPOTENT
from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, Wire, answering, echo, get, ok, origin, proxy, refusing

# --- loops


def test_a_request_that_comes_back_is_508_and_the_connection_stays(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            for via in (f"1.1 p, 1.1 {lb.pseudonym}", f"HTTP/1.1 {lb.pseudonym} (comment), 1.0 q"):
                client.send(get("/", f"Via: {via}"))
                answer = await client.response()
                assert answer.status == 508
                assert answer.json["error"] == "loop"
            client.send(get("/", "Via: 1.1 p", f"via: 1.1\t{lb.pseudonym}"))
            assert (await client.response()).status == 508
            assert a.requests == []
            assert lb.leases == []
            client.send(get())
            assert (await client.response()).status == 200

    run(test())


def test_a_proxy_behind_itself_says_508(run: Run) -> None:
    places: list[tuple[str, int]] = []

    async def back(wire: Wire, it: Origin) -> None:
        """Sends what comes to where it came from."""
        reader, writer = await asyncio.open_connection(*places[0])
        while (head := await wire.head()) is not None:
            writer.write(head.raw_head)
            wire.send(await reader.readuntil(b"}\n"))

    async def test() -> None:
        async with origin(back) as a, proxy(a) as lb:
            places.append(lb.address)
            answer = await lb.get()
            assert answer.status == 508
            assert answer.json["error"] == "loop"
            assert lb.outcomes == [("a", Outcome.SERVER_ERROR)]

    run(test())


def test_one_lb_behind_another_is_no_loop(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as inner:
            host, port = inner.address
            async with proxy(f"{host}:{port}") as outer:
                answer = await outer.get("/", "Via: 1.0 fred (a)")
                assert answer.status == 200
                assert outer.pseudonym != inner.pseudonym
                seen = a.requests[0].all("Via")
                assert seen == ["1.0 fred (a)", f"1.1 {outer.pseudonym}", f"1.1 {inner.pseudonym}"]
                assert answer.all("Via") == ["1.1 lb", "1.1 lb"]

    run(test())


@pytest.mark.parametrize(
    ("via", "seen"),
    [
        ("1.1 {}", True),
        ("HTTP/1.1 {}", True),
        ("1.1 p (, 1.1 q), 1.1 {}", True),
        (r"1.1 p (\), 1.1 q) , 1.1 {} (x)", True),
        ("1.1 p (nested (more)), 1.1 {}", True),
        ("1.1 p (a) (b), 1.1 {}(c)", True),
        (")), 1.1 {}", True),
        ("1.1 p ({})", False),
        ("1.1 p (x, 1.1 {})", False),
        ("1.1 p (x (y), 1.1 {}", False),
        (r"1.1 p (\(, 1.1 {})", False),
        ("{} p", False),
        ("1.1 {}x", False),
        ("1.1 x{}", False),
        ("1.1 {}:80", False),
        ("1.1 lb", False),
        ("", False),
        (",,", False),
    ],
)
def test_who_a_message_came_by(via: str, seen: bool) -> None:
    us = Intermediary(Limits())
    assert us.has_seen(via.replace("{}", us.pseudonym.decode()).encode()) is seen


def test_comments_without_end_cost_no_more_than_their_length() -> None:
    us = Intermediary(Limits())
    for comments in (b"(" * 60_000, b"(" * 30_000 + b")" * 30_000, b"()" * 30_000, b"\\" * 60_000):
        assert us.has_seen(b"1.1 a " + comments + b", 1.1 b " + us.pseudonym) is False


def test_no_two_proxies_have_one_pseudonym() -> None:
    assert len({Intermediary(Limits()).pseudonym for _ in range(100)}) == 100


def test_clients_do_not_hear_the_name_by_which_a_loop_is_told(run: Run) -> None:
    """Or they might, through a cache before us, have others told that they loop."""

    async def test() -> None:
        async with origin(answering(ok(b""))) as a, proxy(a) as lb, lb.client() as client:
            for text in (get(), get("/lb-health"), get("/", "Max-Forwards: 0", method="TRACE")):
                client.send(text)
                answer = await client.response()
                assert lb.pseudonym.encode() not in answer.raw_head + answer.body

    run(test())


# --- Max-Forwards


def test_options_whose_hops_are_used_up_is_answered_here(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            for target in ("*", "/x", "http://b"):
                client.send(get(target, "Max-Forwards: 0", method="OPTIONS"))
                answer = await client.response()
                assert answer.status == 200
                assert answer["Allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE"
                assert answer["Content-Length"] == "0"
                assert answer["Content-Type"] is None
            assert a.requests == []

    run(test())


def test_trace_whose_hops_are_used_up_brings_its_head_without_secrets(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(
                get(
                    *("/x?y", "max-forwards:00", "X-A: 1", "Cookie: a=b", "Authorization: c"),
                    *("Proxy-Authorization: d", "X-Api-Key: e", f"Via: 1.1 {lb.pseudonym}"),
                    method="TRACE",
                )
            )
            answer = await client.response()
            assert answer.status == 200
            assert answer["Content-Type"] == "message/http"
            assert answer.body == (
                b"TRACE /x?y HTTP/1.1\r\nHost: example.test\r\nmax-forwards:00\r\nX-A: 1\r\n"
                b"Via: 1.1 %b\r\n\r\n" % lb.pseudonym.encode()
            )
            assert a.requests == []

    run(test())


def test_hops_are_counted_for_each_request_of_a_connection(run: Run) -> None:
    """The same fields mean something for one method and nothing for the other."""

    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            for method in ("GET", "TRACE", "GET", "OPTIONS", "DELETE", "TRACE"):
                client.send(get("/", "Max-Forwards: 1", method=method))
                assert (await client.response()).status == 200
            left = {(seen.method, seen["Max-Forwards"]) for seen in a.requests}
            assert left == {("GET", "1"), ("DELETE", "1"), ("TRACE", "0"), ("OPTIONS", "0")}

    run(test())


def test_a_body_behind_an_answer_of_our_own_ends_the_connection(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/", "Max-Forwards: 0", "Content-Length: 40", method="OPTIONS"))
            answer = await client.response()
            assert answer.status == 200
            assert answer["Connection"] == "close"
            assert await client.closed()
            assert a.requests == []

    run(test())


# --- Date


def is_now(date: str | None) -> bool:
    assert date is not None
    return abs(parsedate_to_datetime(date).timestamp() - time.time()) < 60


@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"304 Same", b"500 Oh"])
def test_an_answer_that_lacks_a_date_gets_one(run: Run, status: bytes) -> None:
    async def test() -> None:
        answer = b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status
        async with origin(answering(answer)) as a, proxy(a) as lb, lb.client() as client:
            for _ in range(3):
                client.send(get())
                assert is_now((await client.response())["Date"])

    run(test())


def test_an_answer_that_has_a_date_keeps_it(run: Run) -> None:
    async def test() -> None:
        dated = b"daTe: Sun, 06 Nov 1994 08:49:37 GMT"
        answers = answering(
            ok(b"", dated), ok(b""), ok(b"", b"Date;: x", b"Date: "), ok(b"", dated)
        )
        async with origin(answers) as a, proxy(a) as lb, lb.client() as client:
            seen = []
            for _ in range(4):
                client.send(get())
                seen.append((await client.response())["Date"])
            assert seen[0] == seen[3] == "Sun, 06 Nov 1994 08:49:37 GMT"
            assert is_now(seen[1])

    run(test())


def test_an_interim_answer_gets_no_date(run: Run) -> None:
    async def test() -> None:
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        async with origin(answering(hints + ok(b""))) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            interim, final = await client.response(), await client.response()
            assert interim["Date"] is None
            assert is_now(final["Date"])

    run(test())


def test_our_own_answers_have_a_date(run: Run) -> None:
    async def test() -> None:
        with refusing() as nobody:
            async with proxy(nobody) as lb:
                assert is_now((await lb.get())["Date"])
                assert is_now((await lb.get("/lb-stats"))["Date"])
                async with lb.client() as client:
                    client.send(b"GET\r\n\r\n")
                    assert is_now((await client.response())["Date"])

    run(test())


# --- what clients are told of backends


def test_who_answered_can_be_kept_from_clients(run: Run) -> None:
    async def test() -> None:
        server = '[server]\nlisten = "127.0.0.1:0"\nbackend_header = false'
        async with origin(echo) as a, proxy(a, toml=server) as lb:
            answer = await lb.get()
            assert answer["X-Backend-Server"] is None
            assert answer["Via"] == "1.1 lb"
            assert a.requests[0]["X-Backend-Server"] == a.address

    run(test())


def test_both_endpoints_can_be_switched_off(run: Run) -> None:
    async def test() -> None:
        server = '[server]\nlisten = "127.0.0.1:0"\nstats_path = ""\nhealth_path = ""'
        async with origin(echo) as a, proxy(a, toml=server) as lb:
            for path in ("/lb-stats", "/lb-health"):
                assert (await lb.get(path)).body.startswith(f"GET {path} ".encode())

    run(test())


# --- idempotence


def test_a_method_of_the_registry_is_idempotent_as_it_says(run: Run) -> None:
    async def test() -> None:
        for method, safe in (("PROPFIND", True), ("REPORT", True), ("LOCK", False), ("X-Y", False)):
            with refusing() as nobody:
                async with origin(echo) as b, proxy(nobody, b) as lb, lb.client() as client:
                    lb.backends[0].site.close()
                    client.send(get("/", method=method))
                    assert (await client.response()).status == 200
                    (seen,) = b.requests
                    assert seen.method == method
            assert (method.encode() in IDEMPOTENT) is safe

    run(test())
