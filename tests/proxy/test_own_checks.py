"""Checks that are not the common ones: elsewhere, of another kind, of one backend alone."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from lb.config import Scenario
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Wire,
    answering,
    ok,
    origin,
    proxy,
    refusing,
    silent,
)
from tests.proxy.test_health import DOWN, QUICK, UP, Checked, news
from tests.proxy.test_probes import probing

READY = ok(b'{"state": "ready"}')
CASES = {
    # the answer, what [health] says, and what the log says then
    "one of several": (ok(status=b"204 No Content"), "expect = [200, 204]\n", "status 204"),
    "none of several": (
        ok(status=b"202 Accepted"),
        'expect = "200,204"\n',
        "status 202, expected 200, 204",
    ),
    "found": (READY, 'match = "state.: .ready"\n', "status 200"),
    "not found": (UP, 'match = "ready"\n', "status 200, without 'ready' in it"),
    "found in chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n",
        'match = "ready"\n',
        "status 200",
    ),
    "found in the first 64 KiB": (
        ok(b"." * (2**16 - 5) + b"ready"),
        'match = "ready"\n',
        "status 200",
    ),
    "not looked for behind them": (
        ok(b"." * (2**16 - 4) + b"ready"),
        'match = "ready"\n',
        "status 200, without 'ready' in it",
    ),
    "a version to come": (b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", "", "status 200"),
}


@pytest.mark.parametrize(("answer", "health", "reason"), CASES.values(), ids=CASES)
def test_an_answer_is_judged_by_the_file(run: Run, answer: bytes, health: str, reason: str) -> None:
    async def test() -> None:
        async with origin(answering(answer)) as a, proxy(a, health=QUICK + health) as lb:
            ((_, _, why),) = news(lb)
            assert why == reason

    run(test())


def test_checks_go_to_a_port_of_their_own_and_say_a_host_of_their_own(run: Run) -> None:
    async def test() -> None:
        script = Checked(b"a", UP)
        async with origin(silent) as a, origin(script) as told:
            port = told.address.rpartition(":")[2]
            async with proxy(
                a, health=QUICK + 'host = "a.test:81"\n', a=f"health_port = {port}\n"
            ) as lb:
                assert news(lb) == [("info", "backend up", "status 200")]
                assert script.probes[0]["Host"] == "a.test:81"
                assert a.connections == 0

    run(test())


def test_a_tcp_check_asks_nothing_and_is_content_with_a_connection(run: Run) -> None:
    async def test() -> None:
        said: list[bytes] = []

        async def listening(wire: Wire, it: Origin) -> None:
            said.append(await wire.reader.read())

        with closing(refusing()) as b:
            health = QUICK + 'kind = "tcp"\n'
            async with origin(listening) as a, proxy(a, b, health=health) as lb:
                await a.left.get()
                assert said == [b""]
                assert sorted(news(lb)) == [
                    ("info", "backend up", "accepts connections"),
                    ("warning", "backend down", "cannot connect: connection refused"),
                ]

    run(test())


def test_one_backend_alone_is_asked_otherwise(run: Run) -> None:
    async def test() -> None:
        async with origin(Checked(b"a", UP)) as a, origin(answering(DOWN)) as b:
            own = '[backend.health]\npath = "/up"\nexpect = "500"\ntimeout = "3s"\n'
            async with proxy(a, b, health=QUICK, b=own) as lb:
                assert [backend.healthy for backend in lb.backends] == [True, True]
                assert [request.target for request in b.requests] == ["/up"]

    run(test())


def test_one_backend_alone_is_not_asked_at_all(run: Run) -> None:
    async def test() -> None:
        own = "[backend.health]\nenabled = false\n"
        async with (
            origin(Checked(b"a", UP)) as a,
            origin(silent) as b,
            proxy(a, b, health=QUICK, b=own) as lb,
        ):
            assert [backend.healthy for backend in lb.backends] == [True, True]
            assert b.connections == 0

    run(test())


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_refusal_is_told_apart_from_other_trouble(run: Run, kind: str) -> None:
    async def test() -> None:
        with closing(refusing()) as a:
            own = f'[health]\nkind = "{kind}"\n'
            async with proxy(a, health=own) as lb:
                result = await probing(lb).probe(lb.backends[0])
                assert (result.ok, result.refused, result.ours) == (False, True, False)
        async with origin(answering(DOWN)) as b, proxy(b, health=QUICK) as lb:
            result = await probing(lb).probe(lb.backends[0])
            assert (result.ok, result.refused, result.ours) == (False, False, False)

    run(test())


def test_a_backend_that_drips_is_no_better_than_a_silent_one(run: Run) -> None:
    async def dripping(wire: Wire, it: Origin) -> None:
        await wire.request()
        for byte in UP * 20:
            wire.send(bytes([byte]))
            await asyncio.sleep(0.01)

    async def test() -> None:
        async with origin(dripping) as a, proxy(a, health=QUICK) as lb:
            assert news(lb) == [("warning", "backend down", "no answer within 0.1 s")]

    run(test())


def test_load_reports_are_asked_for_on_a_connection_that_is_kept(run: Run) -> None:
    """One that the backend has closed meanwhile is replaced at once."""

    async def test() -> None:
        telling = ok(b"", b"X-LB-Load: in_flight=1, latency_ms=2")

        async def twice(wire: Wire, it: Origin) -> None:
            for _ in range(2):
                await it.take(wire)
                wire.send(telling)

        async with origin(twice) as a, proxy(a) as lb:
            prober, (backend,) = probing(lb), lb.backends
            for asked in range(5):
                report = await prober.load(backend)
                assert report is not None
                assert (report.in_flight, report.latency) == (1, 0.002)
                assert a.connections == asked // 2 + 1
            assert [request["Connection"] for request in a.requests] == [None] * 5

    run(test())


def test_another_file_is_asked_by_from_then_on(run: Run) -> None:
    async def test() -> None:
        script = Checked(b"a", UP)
        async with origin(script) as a, proxy(a, health=QUICK) as lb:
            prober = probing(lb)
            row = {"address": a.address, "name": "a", "health": {"expect": "500"}}
            prober.adopt(Scenario(backends=[row]), lb.driver.context.ways)
            result = await prober.probe(lb.backends[0])
            assert result.why == "status 200, expected 500"

    run(test())


def test_the_checks_of_each_backend_are_counted_with_reason_and_time(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(Checked(b"a", UP, DOWN)) as a,
            origin(Checked(b"b", UP)) as b,
            proxy(a, b, health=QUICK.replace("10s", "30ms")) as lb,
        ):
            first, second = (await lb.get("/lb-stats")).json["backends"]
            assert (second["went_down"], second["checks_failed"], second["checks_lost"]) == (
                0,
                0,
                0,
            )
            while lb.backends[0].healthy:
                await asyncio.sleep(0.005)
            first, second = (await lb.get("/lb-stats")).json["backends"]
            assert first["went_down"] == 1
            assert first["checks"] - 1 == first["checks_failed"] == 3
            assert first["change_reason"] == first["reason"] == "status 500, expected 200-299"
            assert 0 <= first["last_change"] < 5
            assert (second["change_reason"], second["went_down"]) == ("status 200", 0)

    run(test())


def test_a_backend_drains_itself_by_its_health_answer_and_comes_back(run: Run) -> None:
    """With a 503 too, which says to others that it takes no more."""

    async def test() -> None:
        said = [UP]

        async def draining(wire: Wire, it: Origin) -> None:
            while (request := await wire.request()) is not None:
                wire.send(said[0] if request.target == "/health" else ok(b"a"))

        health = QUICK.replace("10s", "20ms")
        async with (
            origin(draining) as a,
            origin(Checked(b"b", UP)) as b,
            proxy(a, b, health=health) as lb,
        ):
            assert {(await lb.get()).body for _ in range(4)} == {b"a", b"b"}
            for status in (b"200 OK", b"503 Service Unavailable"):
                said[0] = ok(b"", b"X-LB-State: Drain", status=status)
                while not lb.backends[0].draining:
                    await asyncio.sleep(0.005)
                assert {(await lb.get()).body for _ in range(4)} == {b"b"}
                row, _ = (await lb.get("/lb-stats")).json["backends"]
                assert (row["state"], row["went_down"]) == ("drain", 0)
                assert row["reason"] == f"status {status[:3].decode()}, drains"
                said[0] = ok(b"", b"X-LB-State: up")
                while lb.backends[0].draining:
                    await asyncio.sleep(0.005)
                assert {(await lb.get()).body for _ in range(4)} == {b"a", b"b"}

    run(test())
