"""Probes that go wrong: broken answers, answers without end, trouble of our own."""

from __future__ import annotations

import asyncio
import errno
import gzip
import tracemalloc

import pytest

from lb.proxy.health.prober import Prober
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Proxy,
    Wire,
    answering,
    closing_after,
    ok,
    origin,
    proxy,
    resets,
)
from tests.proxy.test_health import QUICK, UP, Checked, news


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (closing_after(b""), "broken answer: closed without an answer"),
        (
            closing_after(b"nonsense\r\n\r\n"),
            "broken answer: the status line is not one of HTTP/1.1",
        ),
        (
            answering(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
            "broken answer: Content-Length is not a number of bytes",
        ),
        (
            closing_after(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
            "broken answer: closed in the middle of the answer",
        ),
        (resets, "broken answer: connection reset by peer"),
        (
            answering(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            "broken answer: an answer that does not come to its point",
        ),
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


def test_what_nobody_foresaw_ends_a_probe_and_not_the_checking(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        script = Checked(b"a", UP)
        async with origin(script) as a, proxy(a, health=QUICK.replace("10s", "20ms")) as lb:
            monkeypatch.setattr(Prober, "_connect", None)
            while not any(event == "backend down" for _, event, _ in lb.log):
                await asyncio.sleep(0)
            monkeypatch.undo()
            while lb.log[-1][1] != "backend up":
                await asyncio.sleep(0)
            broke = [(level, fields) for level, event, fields in lb.log if event == "probe broke"]
            assert len(broke) >= 3
            level, fields = broke[0]
            assert level == "error"
            assert fields["backend"] == "a"
            assert str(fields["reason"]).startswith("TypeError: ")

    run(test())


def test_what_nobody_foresaw_ends_a_load_probe_too(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with origin(answering(UP)) as a, proxy(a) as lb:
            monkeypatch.setattr(Prober, "_connect", None)
            assert await probing(lb).load(lb.backends[0]) is None
            assert [event for _, event, _ in lb.log] == ["probe broke"]

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

            monkeypatch.setattr(Prober, "_connect", scarce)
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

        monkeypatch.setattr(Prober, "_connect", scarce)
        async with origin(Checked(b"a", UP)) as a, proxy(a, health=QUICK) as lb:
            assert (await lb.get()).body == b"a"
            assert lb.log == []

    run(test())
