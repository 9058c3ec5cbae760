"""Active checks: what they ask, what they conclude, what the log says about it."""

from __future__ import annotations

import asyncio
import errno
import gzip
import tracemalloc
from contextlib import closing

import pytest

from lb.proxy import lifecycle
from lb.proxy.health.prober import Prober
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Message,
    Origin,
    Proxy,
    Wire,
    answering,
    closing_after,
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
            assert first - up >= 0.4
            assert third - first < 0.4
            assert second - first >= 0.018  # the clock of uvloop counts milliseconds

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


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (closing_after(b""), "broken answer: Server disconnected"),
        (closing_after(b"nonsense\r\n\r\n"), "broken answer: "),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "broken answer: "),
    ],
)
def test_a_broken_answer_has_a_reason(run: Run, script: Checked, reason: str) -> None:
    async def test() -> None:
        async with origin(script) as a, proxy(a, health=QUICK) as lb:
            ((level, event, why),) = news(lb)
            assert (level, event) == ("warning", "backend down")
            assert str(why).startswith(reason)
            assert "\n" not in str(why)

    run(test())


def test_a_name_that_cannot_be_one_is_down(run: Run) -> None:
    async def test() -> None:
        async with proxy("a..b:80", health=QUICK) as lb:
            assert not lb.backends[0].healthy
            assert (await lb.get()).status == 503

    run(test())


def probing(lb: Proxy) -> Prober:
    prober = lb.driver._prober
    assert isinstance(prober, Prober)
    return prober


def test_a_body_without_end_is_not_read_and_the_status_counts(run: Run) -> None:
    """The connection is closed once 64 KiB have come; nobody waits for the rest."""

    async def endless(wire: Wire, it: Origin) -> None:
        await wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        while True:  # until the connection breaks
            wire.send(b"1000\r\n" + bytes(4096) + b"\r\n")
            await wire.sent()
            sent += 4096
            assert sent < 2**26

    async def test() -> None:
        health = QUICK.replace("100ms", "9s")
        async with origin(endless) as a, proxy(a, health=health) as lb:
            assert news(lb) == [("info", "backend up", "status 200")]
            await a.left.get()
            report = await probing(lb).load(lb.backends[0])
            assert report is None
            await a.left.get()

    run(test())


def test_a_small_body_that_unpacks_to_a_large_one_stays_small(run: Run) -> None:
    async def test() -> None:
        bomb = gzip.compress(bytes(2**24))
        async with (
            origin(answering(ok(bomb, b"Content-Encoding: gzip"))) as a,
            proxy(a, health=QUICK.replace("100ms", "9s")) as lb,
        ):
            tracemalloc.start()
            result = await probing(lb).probe(lb.backends[0])
            assert result.ok
            assert tracemalloc.get_traced_memory()[1] < 2**22
            tracemalloc.stop()

    run(test())


def test_a_body_that_trickles_ends_with_the_time_there_is(run: Run) -> None:
    async def trickling(wire: Wire, it: Origin) -> None:
        await wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            wire.send(b"x")
            await asyncio.sleep(0.001)

    async def test() -> None:
        async with origin(trickling) as a, proxy(a, health=QUICK) as lb:
            assert news(lb) == [("warning", "backend down", "no answer within 0.1 s")]

    run(test())


def test_what_nobody_foresaw_ends_a_probe_and_not_the_checking(run: Run) -> None:
    async def test() -> None:
        script = Checked(b"a", UP)
        async with origin(script) as a, proxy(a, health=QUICK.replace("10s", "20ms")) as lb:
            prober = probing(lb)
            session, prober._session = prober._session, None  # type: ignore[assignment]
            while not any(event == "backend down" for _, event, _ in lb.log):
                await asyncio.sleep(0)
            prober._session = session
            while lb.log[-1][1] != "backend up":
                await asyncio.sleep(0)
            broke = [(level, fields) for level, event, fields in lb.log if event == "probe broke"]
            assert len(broke) >= 3
            level, fields = broke[0]
            assert level == "error"
            assert fields["backend"] == "a"
            assert str(fields["reason"]).startswith("AttributeError: ")

    run(test())


def test_what_nobody_foresaw_ends_a_load_probe_too(run: Run) -> None:
    async def test() -> None:
        async with origin(answering(UP)) as a, proxy(a) as lb:
            prober = probing(lb)
            session, prober._kept = prober._kept, None  # type: ignore[assignment]
            assert await prober.load(lb.backends[0]) is None
            assert [event for _, event, _ in lb.log] == ["probe broke"]
            prober._kept = session

    run(test())


def test_a_lack_of_descriptors_takes_no_backend_out(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        script = Checked(b"a", UP)
        async with origin(script) as a, proxy(a, health=QUICK.replace("10s", "20ms")) as lb:
            tries = 0

            async def scarce(*_: object, **__: object) -> None:
                nonlocal tries
                tries += 1
                raise OSError(errno.EMFILE, "Too many open files")

            monkeypatch.setattr(probing(lb), "_get", scarce)
            while tries < 5:
                await asyncio.sleep(0)
            assert lb.backends[0].healthy
            monkeypatch.undo()
            seen = len(script.probes)
            while len(script.probes) < seen + 2:
                await asyncio.sleep(0)
            assert news(lb) == [("info", "backend up", "status 200")]

    run(test())


def test_a_start_without_descriptors_is_no_start_that_waits_for_ever(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async def scarce(*_: object, **__: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(Prober, "_get", scarce)
        async with origin(Checked(b"a", UP)) as a, proxy(a, health=QUICK) as lb:
            assert (await lb.get()).body == b"a"
            assert lb.log == []

    run(test())
