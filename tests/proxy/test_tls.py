"""TLS towards clients, as any client speaks it: over real sockets, with real certificates."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lb.config import Scenario
from lb.errors import ConfigError
from tests.proxy import papers
from tests.proxy.conftest import Run
from tests.proxy.doubles import Proxy, answering, closing_after, echo, get, ok, origin, post, proxy
from tests.proxy.wires import Wire

NAME = "lb.test"


def tls(folder: Path, *names: str, more: str = "", server: str = "") -> str:
    """`[server]` with a certificate for each of `names`."""
    rows = ", ".join(
        f'{{ certificate = "{certificate}", key = "{key}" }}'
        for certificate, key in (papers.written(folder, name) for name in names or (NAME,))
    )
    head = f'[server]\nlisten = "127.0.0.1:0"\n{server}\n'
    return f"{head}[server.tls]\ncertificates = [{rows}]\n{more}\n"


@asynccontextmanager
async def client(
    lb: Proxy, context: ssl.SSLContext | None = None, name: str = NAME
) -> AsyncIterator[Wire]:
    """Somebody who speaks TLS and asks for `name`."""
    reader, writer = await asyncio.open_connection(
        *lb.address, ssl=context or papers.trusting(), server_hostname=name, limit=2**20
    )
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def shown(wire: Wire) -> set[str]:
    """The names in the certificate that a client was met with."""
    said: Any = wire.writer.get_extra_info("peercert")
    return {value for _, value in said["subjectAltName"]}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_over_tls_are_passed_on_and_said_to_be_so(
    run: Run, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    async def test() -> None:
        context = papers.trusting("h2", "http/1.1")
        context.minimum_version = context.maximum_version = version
        async with origin(echo) as a, proxy(a, toml=tls(tmp_path)) as lb, client(lb, context) as it:
            spoken = it.writer.get_extra_info("ssl_object")
            assert spoken.selected_alpn_protocol() == "http/1.1"
            for number in range(3):
                it.send(get(f"/{number}"))
                assert (await it.response()).status == 200
            assert [one["X-Forwarded-Proto"] for one in a.requests] == ["https"] * 3
            assert {one["X-Forwarded-For"] for one in a.requests} == {"127.0.0.1"}
            assert lb.driver.addresses[0].startswith("127.0.0.1:")

    run(test())


def test_what_a_trusted_proxy_says_of_the_scheme_stands(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        toml = tls(tmp_path, server='trusted_proxies = ["127.0.0.0/8"]')
        async with origin(echo) as a, proxy(a, toml=toml) as lb, client(lb) as it:
            it.send(get("/", "X-Forwarded-Proto: http"), get())
            assert [(await it.response()).status for _ in range(2)] == [200, 200]
            assert [one["X-Forwarded-Proto"] for one in a.requests] == ["http", "https"]

    run(test())


def test_large_bodies_pass_whole_both_ways_while_nobody_reads_for_a_time(
    run: Run, tmp_path: Path
) -> None:
    async def test() -> None:
        body = bytes(range(256)) * 2**13  # 2 MiB
        async with origin(echo) as a, proxy(a, toml=tls(tmp_path)) as lb, client(lb) as it:
            it.pause_reading()
            it.send(post(body))
            await a.arrived.get()
            it.resume_reading()
            answer = await it.response()
            assert answer.body.endswith(body)
            assert len(answer.body) > len(body)
            it.send(get("/behind"))
            assert (await it.response()).status == 200

    run(test())


def test_requests_that_come_together_are_answered_in_order(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=tls(tmp_path)) as lb, client(lb) as it:
            it.send(*(get(f"/{number}") for number in range(40)))
            for number in range(40):
                assert (await it.response()).body.startswith(b"GET /%d " % number)
            assert len(a.requests) == 40

    run(test())


def test_a_client_gets_the_certificate_of_the_name_that_it_asks_for(
    run: Run, tmp_path: Path
) -> None:
    async def test() -> None:
        toml = tls(tmp_path, "first.test", "second.test", "*.third.test")
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            for name, expected in (
                ("first.test", "first.test"),
                ("second.test", "second.test"),
                ("SECOND.test", "second.test"),
                ("www.third.test", "*.third.test"),
            ):
                async with client(lb, name=name) as it:
                    assert shown(it) == {expected}
                    it.send(get())
                    assert (await it.response()).status == 200
            for stranger in ("www.first.test", "a.www.third.test", "third.test"):
                with pytest.raises(ssl.SSLCertVerificationError):
                    async with client(lb, name=stranger):
                        pass

    run(test())


def test_an_older_version_than_the_file_allows_is_refused(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        old = papers.trusting()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        async with proxy("127.0.0.1:1", toml=tls(tmp_path, more='min_version = "1.3"')) as lb:
            with pytest.raises(ssl.SSLError):
                async with client(lb, old):
                    pass
            async with client(lb) as it:
                assert it.writer.get_extra_info("ssl_object").version() == "TLSv1.3"

    run(test())


def test_plain_http_is_told_what_is_spoken_here(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with proxy("127.0.0.1:1", toml=tls(tmp_path)) as lb, lb.client() as plain:
            with monkeypatch.context() as patch:
                patch.setattr(time, "time", lambda: 1e9)
                plain.send(get())
                answer = await plain.response()
            assert (answer.status, answer["Connection"]) == (400, "close")
            assert answer["Date"] == "Sun, 09 Sep 2001 01:46:40 GMT"
            assert b"https" in answer.body

    run(test())


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x00\x05hello", b"\x00" * 64, b"\xff" * 5])
def test_what_is_no_handshake_is_closed(run: Run, tmp_path: Path, said: bytes) -> None:
    async def test() -> None:
        async with proxy("127.0.0.1:1", toml=tls(tmp_path)) as lb, lb.client() as it:
            it.send(said)
            it.half_close()
            await it.is_reset()  # an alert may come before the end
            while lb.driver.clients.present:
                await asyncio.sleep(0)

    run(test())


def test_a_handshake_has_to_end_within_the_time_of_a_head(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        toml = tls(tmp_path) + '[timeouts]\nheader = "100ms"\n'
        async with proxy("127.0.0.1:1", toml=toml) as lb, lb.client() as it:
            it.send(b"\x16\x03\x01")
            await it.is_reset()
            assert not lb.driver.clients.present

    run(test())


def test_an_answer_that_ends_with_its_connection_ends_with_a_word_of_tls(
    run: Run, tmp_path: Path
) -> None:
    async def test() -> None:
        answer = b"HTTP/1.0 200 OK\r\n\r\nall of it"
        async with (
            origin(closing_after(answer)) as a,
            proxy(a, toml=tls(tmp_path)) as lb,
            client(lb) as it,
        ):
            it.send(get(version="1.0"))
            assert (await it.response()).body == b"all of it"

    run(test())


def test_a_client_that_has_closed_its_side_still_gets_its_answer(run: Run, tmp_path: Path) -> None:
    """In TLS 1.3 either side may end by itself; ours is an object, since asyncio cannot do so."""

    async def test() -> None:
        toml = tls(tmp_path, server="half_close = true")
        async with (
            origin(answering(ok(b"late"))) as a,
            proxy(a, toml=toml) as lb,
            lb.client() as it,
        ):
            theirs, mine = ssl.MemoryBIO(), ssl.MemoryBIO()
            spoken = papers.trusting().wrap_bio(theirs, mine, server_hostname=NAME)

            async def until(act: Any, *arguments: Any) -> Any:
                while True:
                    try:
                        return act(*arguments)
                    except ssl.SSLWantReadError:
                        it.send(mine.read())
                        theirs.write(await it.reader.read(2**16))

            await until(spoken.do_handshake)
            spoken.write(get())
            with pytest.raises(ssl.SSLWantReadError):
                spoken.unwrap()
            it.send(mine.read())
            answer = b""
            while not answer.endswith(b"late"):
                answer += await until(spoken.read, 2**14)
            with pytest.raises(ssl.SSLZeroReturnError):  # and says so at its end
                await until(spoken.read, 2**14)

    run(test())


def test_bytes_go_both_ways_after_an_upgrade(run: Run, tmp_path: Path) -> None:
    async def switching(wire: Wire, it: Any) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 101 Over\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
        while data := await wire.reader.read(2**16):
            wire.send(data.upper())

    async def test() -> None:
        async with origin(switching) as a, proxy(a, toml=tls(tmp_path)) as lb, client(lb) as it:
            it.send(get("/", "Connection: upgrade", "Upgrade: websocket"))
            head = await it.head()
            assert head is not None
            assert head.status == 101
            assert await it.reader.readexactly(5) == b"first"
            for _ in range(20):
                it.send(b"x" * 50_000)
                assert await it.reader.readexactly(50_000) == b"X" * 50_000
            it.close()
            await a.left.get()

    run(test())


def test_a_proxy_that_stops_ends_connections_of_every_kind(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            proxy(a, toml=tls(tmp_path)) as lb,
            client(lb) as idle,
            client(lb) as fresh,
            lb.client() as half,
        ):
            idle.send(get())
            assert (await idle.response()).status == 200
            half.send(b"\x16")
            assert await lb.driver.stop()
            assert await idle.closed()
            assert await fresh.closed()
            await half.is_reset()

    run(test())


# --- other certificates


def changed(lb: Proxy, text: str) -> Scenario:
    """The proxy's file with another beginning."""
    rows = [{"address": it.address, "name": it.name} for it in lb.backends]
    head = Scenario.parse(text + '[[backend]]\naddress = "stand-in:1"\n', "lb.toml")
    return Scenario(
        server=head.server, backends=rows, health={"enabled": False}, panic={"threshold": 0.0}
    ).standing_at(head)


def test_another_certificate_is_for_whoever_comes_from_then_on(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        toml = tls(tmp_path, "old.test")
        async with (
            origin(echo) as a,
            proxy(a, toml=toml) as lb,
            client(lb, name="old.test") as before,
        ):
            assert list(lb.driver.report().certificates) == [str(tmp_path / "old.test.pem")]
            lb.driver.adopt(changed(lb, tls(tmp_path, "new.test")))
            assert list(lb.driver.report().certificates) == [str(tmp_path / "new.test.pem")]
            async with client(lb, name="new.test") as after:
                for one in (before, after):
                    one.send(get())
                    assert (await one.response()).status == 200

    run(test())


def test_a_certificate_that_is_no_good_changes_nothing(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        toml = tls(tmp_path, "old.test")
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            new = tls(tmp_path, "new.test") + "[limits]\nclient_connections = 1\n"
            (tmp_path / "new.test.key").write_bytes((tmp_path / "old.test.key").read_bytes())
            with pytest.raises(ConfigError, match=r"lb.toml:5 server.tls.certificates\[0\].key: "):
                lb.driver.adopt(changed(lb, new))
            async with client(lb, name="old.test") as it:
                it.send(get())
                assert (await it.response()).status == 200

    run(test())
