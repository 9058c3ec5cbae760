"""Active checks: what they ask, what they conclude, what the log says about it."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from lb.proxy import lifecycle
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Message,
    Origin,
    Proxy,
    Wire,
    get,
    ok,
    origin,
    proxy,
    refusing,
    scenario,
)

QUICK = """[health]
interval = "10s"
fast_interval = "20ms"
timeout = "100ms"
rise = 2
fall = 3
"""


class Checked:
    """A backend whose health is told by the test; work is answered with its name."""

    def __init__(self, name: bytes, *answers: bytes) -> None:
        self.name = name
        self.answers = list(answers)
        self.probes: list[Message] = []
        self.times: list[float] = []

    async def __call__(self, wire: Wire, it: Origin) -> None:
        while (request := await wire.request()) is not None:
            if request.target != "/health":
                it.note(request)
                wire.send(ok(self.name))
                continue
            self.probes.append(request)
            self.times.append(asyncio.get_running_loop().time())
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer:
                wire.send(answer)


UP, DOWN, SILENT = ok(b"fine"), ok(b"ill", status=b"500 Internal Server Error"), b""


def news(lb: Proxy) -> list[tuple[str, str, object]]:
    return [(level, event, fields["reason"]) for level, event, fields in lb.log]


async def until(lb: Proxy, count: int) -> None:
    """Wait for so many lines in the log."""
    while len(lb.log) < count:
        await asyncio.sleep(0.005)


def test_a_probe_is_a_get_on_a_connection_of_its_own(run: Run) -> None:
    async def test() -> None:
        script = Checked(b"a", UP)
        async with origin(script) as a, proxy(a, health=QUICK) as lb:
            await lb.get()
            assert a.connections == 2
            (probe,) = script.probes
            assert probe.start == b"GET /health HTTP/1.1"
            assert probe["User-Agent"] == "lb-health"
            assert news(lb) == [("info", "backend up", "status 200")]

    run(test())


def test_the_first_answers_come_before_anybody_is_served(run: Run) -> None:
    """Who connects earlier waits; a backend that was down from the first is never picked."""

    async def test() -> None:
        script = Checked(b"b", UP)
        go_on = asyncio.Event()

        async def late(wire: Wire, it: Origin) -> None:
            await go_on.wait()
            await script(wire, it)

        with closing(refusing()) as a:
            async with origin(late) as b:
                slow = QUICK.replace("100ms", "5s")
                driver = lifecycle.Proxy(scenario(a, b, toml=slow), lambda *_, **__: None)
                lb = Proxy(driver, [])
                starting = asyncio.ensure_future(driver.start())
                while not b.connections:
                    await asyncio.sleep(0)
                async with lb.client() as client:
                    client.send(get(), get())
                    await asyncio.wait([starting], timeout=0.1)
                    assert not starting.done()
                    assert lb.leases == []
                    go_on.set()
                    await starting
                    assert (await client.response()).body == b"b"
                    assert (await client.response()).body == b"b"
                assert [backend.picked for backend in lb.backends] == [0, 2]
                await driver.stop()

    run(test())


def test_the_log_tells_who_is_up_and_why_others_are_not(run: Run) -> None:
    async def test() -> None:
        with closing(refusing()) as a:
            async with origin(Checked(b"b", UP)) as b, proxy(a, b, health=QUICK) as lb:
                assert sorted(news(lb)) == [
                    ("info", "backend up", "status 200"),
                    ("warning", "backend down", "cannot connect: connection refused"),
                ]
                assert {fields["backend"] for _, _, fields in lb.log} == {"a", "b"}

    run(test())


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (DOWN, "status 500, expected 200-299"),
        (SILENT, "no answer within 0.05 s"),
        (ok(b"", b"Location: /", status=b"302 Found"), "status 302, expected 200-299"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "no answer within 0.05 s"),
    ],
    ids=["status", "silence", "redirection", "half"],
)
def test_down_after_three_failures_and_up_after_two_answers(
    run: Run, failure: bytes, reason: str
) -> None:
    health = QUICK.replace("10s", "30ms").replace("100ms", "50ms")

    async def test() -> None:
        script = Checked(b"a", UP, failure, failure, UP, failure, failure, failure, UP, failure, UP)
        async with origin(script) as a, proxy(a, health=health) as lb:
            await until(lb, 3)
            assert news(lb) == [
                ("info", "backend up", "status 200"),
                ("warning", "backend down", reason),
                ("info", "backend up", "status 200"),
            ]
            assert len(script.probes) >= 11

    run(test())


def test_while_a_change_is_decided_probes_come_fast(run: Run) -> None:
    """One failure, and the next probes do not wait for the long interval."""

    async def test() -> None:
        script = Checked(b"a", UP, DOWN)
        health = QUICK.replace("10s", "400ms") + "jitter = 0\n"
        async with origin(script) as a, proxy(a, health=health) as lb:
            await until(lb, 2)
            up, first, second, third = script.times[:4]
            assert first - up >= 0.398  # the clock of uvloop counts milliseconds
            assert third - first < 0.4
            assert second - first >= 0.018

    run(test())


@pytest.mark.parametrize(
    ("expect", "status", "up"),
    [
        ("200-299", b"204 No Content", True),
        ("200", b"204 No Content", False),
        ("200-404", b"404 Not Found", True),
        ("401", b"401 Unauthorized", True),
    ],
)
def test_the_expected_status(run: Run, expect: str, status: bytes, up: bool) -> None:
    async def test() -> None:
        health = QUICK + f'expect = "{expect}"\npath = "/health"\n'
        async with (
            origin(Checked(b"a", ok(b"", status=status))) as a,
            proxy(a, health=health) as lb,
        ):
            assert lb.backends[0].healthy is up

    run(test())


def test_nobody_is_healthy(run: Run) -> None:
    async def test() -> None:
        with closing(refusing()) as a:
            async with proxy(a, health=QUICK) as lb, lb.client() as client:
                client.send(get())
                answer = await client.response()
                assert answer.status == 503
                assert answer.json == {"error": "no_backend", "message": "no backend is healthy"}
                assert answer["Connection"] is None
                client.send(get())
                assert (await client.response()).status == 503

    run(test())


def test_a_backend_down_gets_nothing_and_another_takes_over(run: Run) -> None:
    async def test() -> None:
        a_script, b_script = Checked(b"a", UP, DOWN), Checked(b"b", UP)
        health = QUICK.replace("10s", "30ms").replace("100ms", "50ms")
        async with origin(a_script) as a, origin(b_script) as b, proxy(a, b, health=health) as lb:
            await until(lb, 3)
            served = lb.backends[0].picked
            for _ in range(4):
                assert (await lb.get()).body == b"b"
            assert lb.backends[0].picked == served

    run(test())
