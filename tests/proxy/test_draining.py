"""Draining over real connections: cookies that stay, and move when the backend is gone."""

from __future__ import annotations

import asyncio

import pytest

from lb.balancing import SetState, State
from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, Proxy, Wire, echo, get, ok, origin, proxy

STICKY = 'algorithm = "sticky"\nkey = "cookie:home"\n'


async def visit(lb: Proxy, cookie: str = "") -> tuple[str | None, str]:
    """Who answered, and the cookie that the client has then."""
    answer = await lb.get("/", *([f"Cookie: {cookie}"] if cookie else []))
    return answer["X-Backend-Server"], (answer["Set-Cookie"] or cookie).partition(";")[0]


def test_a_cookie_leads_to_a_backend_that_drains_until_it_is_taken_out(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, origin(echo) as b, proxy(a, b, toml=STICKY) as lb:
            home, cookie = await visit(lb)
            leaving = next(it for it in lb.backends if it.address == home)
            (other,) = {a.address, b.address} - {home}
            lb.driver.dispatcher.perform(SetState(leaving.name, State.DRAIN))
            assert [await visit(lb, cookie) for _ in range(3)] == [(home, cookie)] * 3
            assert {(await visit(lb))[0] for _ in range(4)} == {other}
            rows = {row["address"]: row for row in (await lb.get("/lb-stats")).json["backends"]}
            assert (rows[home]["draining"], rows[home]["usable"]) == (True, False)
            assert (rows[other]["draining"], rows[other]["usable"]) == (False, True)
            lb.driver.dispatcher.perform(SetState(leaving.name, State.MAINT))
            place, new = await visit(lb, cookie)
            assert place == other
            assert new != cookie
            lb.driver.dispatcher.perform(SetState(leaving.name, State.UP))
            assert [await visit(lb, new) for _ in range(3)] == [(other, new)] * 3

    run(test())


@pytest.mark.parametrize("status", [b"200 OK", b"503 Leaving"])
def test_a_backend_drains_itself_by_its_health_answer(run: Run, status: bytes) -> None:
    """What is in flight there ends as it would, and the log tells when."""

    async def test() -> None:
        go_on, drains = asyncio.Event(), False

        async def leaving(wire: Wire, it: Origin) -> None:
            while (request := await it.take(wire)) is not None:
                if request.target == "/health":
                    said = b"X-LB-State: drain\r\n" if drains else b""
                    code = status if drains else b"200 OK"
                    wire.send(b"HTTP/1.1 " + code + b"\r\nContent-Length: 0\r\n" + said + b"\r\n")
                else:
                    await go_on.wait()
                    wire.send(ok(b"held"))

        health = '[health]\ninterval = "20ms"\nfast_interval = "20ms"\n'
        async with (
            origin(leaving) as a,
            origin(echo) as b,
            proxy(a, b, health=health) as lb,
            lb.client() as client,
        ):
            first, _ = lb.backends
            while not all(backend.healthy for backend in lb.backends):
                await asyncio.sleep(0.001)
            while not first.active:
                client.send(get())
                await asyncio.sleep(0.001)
            drains = True
            while not first.draining:
                await asyncio.sleep(0.001)
            assert {(await lb.get())["X-Backend-Server"] for _ in range(4)} == {b.address}
            assert "backend drained" not in [event for _, event, _ in lb.log]
            go_on.set()
            while "backend drained" not in [event for _, event, _ in lb.log]:
                await asyncio.sleep(0.001)
            assert (first.active, first.failed, first.standing) == (0, 0, "drain")

    run(test())


def test_stats_say_who_comes_first_and_whether_there_is_panic(run: Run) -> None:
    async def test() -> None:
        rows = {"a": 'zone = "x"', "b": "priority = 1"}
        async with origin(echo) as a, origin(echo) as b, proxy(a, b, **rows) as lb:
            document = (await lb.get("/lb-stats")).json
            assert document["panic"] is False
            ranks = [(row["priority"], row["zone"], row["panic"]) for row in document["backends"]]
            assert ranks == [(0, "x", False), (1, "", False)]
            assert {(await lb.get())["X-Backend-Server"] for _ in range(3)} == {a.address}

    run(test())


def test_in_panic_requests_are_served_and_health_still_says_what_is_so(run: Run) -> None:
    """Both say that they are ill, and work."""

    async def ill(wire: Wire, it: Origin) -> None:
        while (request := await it.take(wire)) is not None:
            wire.send(ok(status=b"500 Ill") if request.target == "/health" else ok(b"works"))

    async def test() -> None:
        toml = "[panic]\nthreshold = 0.3\n"
        health = '[health]\ninterval = "20ms"\nfast_interval = "20ms"\n'
        async with origin(ill) as a, origin(ill) as b, proxy(a, b, toml=toml, health=health) as lb:
            while any(backend.standing != "down" for backend in lb.backends):
                await asyncio.sleep(0.001)
            assert [(await lb.get()).body for _ in range(4)] == [b"works"] * 4
            assert (await lb.get("/lb-health")).status == 503
            assert (await lb.get("/lb-stats")).json["panic"] is True
            assert "panic" in [event for _, event, _ in lb.log]

    run(test())
