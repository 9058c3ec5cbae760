"""TLS towards backends: verified unless the file says otherwise, and spoken by checks as well."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from lb.balancing.health import Health
from lb.strategies import Outcome
from tests.proxy import papers
from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, echo, get, origin, post, proxy
from tests.proxy.wires import Wire


def tls(folder: Path, *lines: str, ca: bool = True) -> str:
    rows = [f'ca = "{papers.root(folder)}"'] if ca else []
    return "\n".join(["[backend.tls]", *rows, *lines])


NAMED = 'server_name = "a.test"'
PATIENT = '[timeouts]\nconnect = "8s"\n'
"""A handshake is work, and a busy machine takes its time for it."""


@pytest.mark.parametrize("names", [("127.0.0.1",), ("a.test",)])
def test_requests_and_bodies_reach_a_backend_that_is_who_it_says(
    run: Run, tmp_path: Path, names: tuple[str]
) -> None:
    async def test() -> None:
        row = tls(tmp_path, *([NAMED] if names == ("a.test",) else []))
        body = b"0123456789" * 100_000
        async with (
            origin(echo, tls=papers.serving(*names)) as a,
            proxy(a, toml=PATIENT, a=row) as lb,
        ):
            async with lb.client() as client:
                for _ in range(3):
                    client.send(post(body))
                    answer = await client.response()
                    assert answer.body.endswith(body)
            assert a.connections == 1, "it is kept"
            assert a.requests[0]["X-Forwarded-Proto"] == "http"

    run(test())


def test_a_backend_is_told_the_name_that_it_is_met_under(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        heard: list[str | None] = []
        context = papers.serving("a.test")
        context.sni_callback = lambda _, name, __: heard.append(name)
        async with (
            origin(echo, tls=context) as a,
            proxy(a, toml=PATIENT, a=tls(tmp_path, NAMED)) as lb,
        ):
            assert (await lb.get()).status == 200
        assert heard == ["a.test"]

    run(test())


@pytest.mark.parametrize(
    ("names", "lines", "ca"),
    [
        (("a.test",), [], True),  # its address is not in it
        (("b.test",), [NAMED], True),
        (("a.test",), [NAMED], False),  # nobody of the system has signed it
    ],
)
def test_a_backend_that_cannot_show_who_it_is_gets_nothing(
    run: Run, tmp_path: Path, names: tuple[str], lines: list[str], ca: bool
) -> None:
    async def test() -> None:
        row = tls(tmp_path, *lines, ca=ca)
        async with (
            origin(echo, tls=papers.serving(*names)) as a,
            proxy(a, toml=PATIENT, a=row) as lb,
        ):
            for _ in range(2):
                answer = await lb.get()
                assert answer.status == 502
                assert b"refused" not in answer.body
            assert {outcome for _, outcome in lb.outcomes} == {Outcome.CONNECT}
            (told,) = [(level, fields) for level, event, fields in lb.log if "no conn" in event]
            assert told[0] == "warning"
            assert told[1]["backend"] == "a"
            assert str(told[1]["reason"]).startswith("TLS: its certificate is not good: ")
            assert a.requests == []

    run(test())


def test_of_a_backend_that_is_good_and_bad_by_turns_the_log_does_not_hear_each_time(
    run: Run, tmp_path: Path
) -> None:
    async def test() -> None:
        context, other = papers.serving("a.test"), papers.serving("b.test")
        shown = iter([other, context, other, context])

        def show(one: ssl.SSLObject, *_: object) -> None:
            one.context = next(shown)

        context.sni_callback = show
        toml = PATIENT + "[retries]\nmax = 0\n"
        async with (
            origin(echo, tls=context) as a,
            proxy(a, toml=toml, a=tls(tmp_path, NAMED)) as lb,
        ):
            statuses = []
            for _ in range(4):
                statuses.append((await lb.get()).status)
                lb.backends[0].site.close_idle(float("inf"))
            assert statuses == [502, 200, 502, 200]
            assert [event for _, event, _ in lb.log].count("no connection") == 1

    run(test())


def test_verification_can_be_switched_off(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        row = tls(tmp_path, "verify = false", ca=False)
        async with (
            origin(echo, tls=papers.serving("b.test")) as a,
            proxy(a, toml=PATIENT, a=row) as lb,
        ):
            assert (await lb.get()).status == 200

    run(test())


@pytest.mark.parametrize("shown", [True, False])
def test_a_backend_may_ask_for_our_certificate(run: Run, tmp_path: Path, shown: bool) -> None:
    async def test() -> None:
        certificate, key = papers.written(tmp_path, "proxy.test")
        ours = [f'certificate = "{certificate}"', f'key = "{key}"'] if shown else []
        row = tls(tmp_path, NAMED, *ours)
        context = papers.serving("a.test", asks=True)
        async with origin(echo, tls=context) as a, proxy(a, toml=PATIENT, a=row) as lb:
            assert (await lb.get()).status == (200 if shown else 502)
            assert len(a.requests) == shown

    run(test())


async def rude(wire: Wire, it: Origin) -> None:
    """Closes in the middle of a handshake."""
    await wire.reader.read(1)


def test_another_backend_is_asked_where_a_handshake_fails(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with origin(rude) as a, origin(echo, tls=papers.serving("a.test")) as b:
            rows = {"a": tls(tmp_path, NAMED), "b": tls(tmp_path, NAMED)}
            async with proxy(a, b, toml=PATIENT, **rows) as lb:
                for _ in range(4):
                    assert (await lb.get("/", "X: 1")).status == 200
                assert ("a", Outcome.CONNECT) in lb.outcomes
                assert len(b.requests) == 4

    run(test())


@pytest.mark.parametrize(
    ("script", "status", "outcome"),
    [("silent", 504, Outcome.TIMEOUT), ("closes", 502, Outcome.CONNECT)],
)
def test_a_handshake_that_does_not_end_is_a_connection_that_was_not_made(
    run: Run, tmp_path: Path, script: str, status: int, outcome: Outcome
) -> None:
    async def mute(wire: Wire, it: Origin) -> None:
        await wire.reader.read()

    async def test() -> None:
        toml = '[timeouts]\nconnect = "100ms"\n' if script == "silent" else PATIENT
        toml += "[retries]\nmax = 0\n"
        async with (
            origin(mute if script == "silent" else rude) as a,
            proxy(a, toml=toml, a=tls(tmp_path)) as lb,
        ):
            assert (await lb.get()).status == status
            assert lb.outcomes == [("a", outcome)]
            await a.left.get()

    run(test())


def test_checks_speak_it_and_say_what_is_wrong(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        rows = {"a": tls(tmp_path, NAMED), "b": tls(tmp_path)}
        context = papers.serving("a.test")
        async with (
            origin(echo, tls=context) as a,
            origin(echo, tls=context) as b,
            proxy(a, b, toml=PATIENT, health="[health]\nfall = 1\n", **rows) as lb,
        ):
            first, second = lb.backends
            assert first.health.state is Health.UP
            assert second.health.state is Health.DOWN
            result = await lb.driver._prober.probe(second)
            assert not result.ok
            assert result.why.startswith("cannot connect: tls: its certificate is not good:")
            assert (await lb.get()).status == 200
            assert b.requests == []

    run(test())


def test_an_answer_without_an_end_of_its_own_needs_a_word_of_tls(run: Run, tmp_path: Path) -> None:
    """Else anybody on the way could end it (RFC 9112, 9.8)."""

    async def cut(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.0 200 OK\r\n\r\nonly the begin")
        await wire.sent()
        wire.writer.transport.abort()

    async def whole(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    async def test() -> None:
        row = tls(tmp_path, NAMED)
        async with (
            origin(whole, tls=papers.serving("a.test")) as a,
            proxy(a, toml=PATIENT, a=row) as lb,
        ):
            assert (await lb.get()).body == b"all of it"
            a.script = cut
            async with lb.client() as client:
                client.send(get())
                assert (await client.head()) is not None
                assert await client.is_reset()

    run(test())


def test_bytes_go_both_ways_after_an_upgrade(run: Run, tmp_path: Path) -> None:
    async def switching(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 101 Over\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        while data := await wire.reader.read(2**16):
            wire.send(data.upper())
            if data.endswith(b"!"):
                return

    async def test() -> None:
        row = tls(tmp_path, NAMED)
        context = papers.serving("a.test")
        async with (
            origin(switching, tls=context) as a,
            proxy(a, toml=PATIENT, a=row) as lb,
            lb.client() as it,
        ):
            it.send(get("/", "Connection: upgrade", "Upgrade: websocket"))
            assert (await it.head()) is not None
            it.send(b"x" * 300_000)
            assert await it.reader.readexactly(300_000) == b"X" * 300_000
            it.send(b"bye!")
            assert await it.reader.read() == b"BYE!"

    run(test())


def test_a_backend_may_be_at_a_unix_socket(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        context = papers.serving("a.test")
        row = tls(tmp_path, NAMED)
        async with (
            origin(echo, tmp_path / "s", context) as a,
            proxy(a, toml=PATIENT, health="", a=row) as lb,
        ):
            assert lb.backends[0].health.state is Health.UP
            assert (await lb.get()).status == 200

    run(test())


def test_reading_is_held_up_where_the_client_does_not_read(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        body = b"z" * 2**25

        async def large(wire: Wire, it: Origin) -> None:
            await it.take(wire)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            for at in range(0, len(body), 2**16):
                wire.send(body[at : at + 2**16])
                await wire.sent()
            it.note(it.requests[0])  # all of it is on its way

        row = tls(tmp_path, NAMED)
        async with (
            origin(large, tls=papers.serving("a.test")) as a,
            proxy(a, toml=PATIENT, a=row) as lb,
            lb.client() as client,
        ):
            client.pause_reading()
            client.send(get())
            await a.arrived.get()
            (lease,) = lb.leases
            before = 0
            while lease.call.client.takes() or not lease.call.client.full:
                await asyncio.sleep(0)
                before += 1
            assert a.arrived.empty(), "most of it waits at the backend"
            client.resume_reading()
            assert (await client.response()).body == body

    run(test())
