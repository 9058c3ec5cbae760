"""PROXY headers on connections of clients to a listener that asks for them."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from lb.proxy.proxy_protocol import written
from tests.proxy import papers
from tests.proxy.conftest import Run
from tests.proxy.doubles import echo, get, origin, proxy
from tests.proxy.introduced import ASKING, SOMEBODY, SOMEBODY_ELSE, told
from tests.proxy.wires import Wire

PLAIN = '[[listener]]\naddress = "127.0.0.1:0"\n'


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_client_is_who_the_header_says(run: Run, version: Any) -> None:
    async def test() -> None:
        toml = 'algorithm = "ip_hash"\n' + ASKING
        seen: list[bytes] = []
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            key_of = lb.driver.context.key_of
            assert key_of is not None

            def noting(*arguments: bytes) -> bytes:
                seen.append(key_of(*arguments))
                return seen[-1]

            lb.driver.context.key_of = noting
            for ends in (SOMEBODY, SOMEBODY_ELSE):
                async with told(lb, written(version, ends), get()) as client:
                    assert (await client.response()).status == 200
                    client.send(get())
                    assert (await client.response()).status == 200
            addresses = [SOMEBODY.source] * 2 + [SOMEBODY_ELSE.source] * 2
            assert [one["X-Forwarded-For"] for one in a.requests] == addresses
            assert seen == [address.encode() for address in addresses]

    run(test())


def test_a_header_may_come_byte_by_byte(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=ASKING) as lb, lb.client() as client:
            for byte in written("v2", SOMEBODY) + get():
                client.send(bytes((byte,)))
                await client.sent()
                await asyncio.sleep(0)
            assert (await client.response()).status == 200
            assert a.requests[0]["X-Forwarded-For"] == SOMEBODY.source

    run(test())


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_header_about_nobody_leaves_the_client_who_it_is(run: Run, version: Any) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            proxy(a, toml=ASKING) as lb,
            told(lb, written(version, None), get()) as client,
        ):
            assert (await client.response()).status == 200
            assert a.requests[0]["X-Forwarded-For"] == "127.0.0.1"

    run(test())


@pytest.mark.parametrize("said", [get(), b"PROXY TCP4 nonsense\r\n" + get(), b"\x16\x03\x01\0\0"])
def test_who_does_not_begin_with_a_header_is_closed(run: Run, said: bytes) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=ASKING) as lb, told(lb, said) as client:
            await client.is_reset()
            assert not a.requests
            assert not lb.driver.clients.present
            assert lb.driver.report().connections_refused["proxy_header"] == 1

    run(test())


@pytest.mark.parametrize(("network", "welcome"), [("127.0.0.0/8", True), ("::/0", False)])
def test_a_header_is_taken_from_those_who_may_send_one(
    run: Run, network: str, welcome: bool
) -> None:
    async def test() -> None:
        toml = f'{ASKING}proxy_from = ["10.0.0.0/8", "{network}"]\n'
        async with (
            origin(echo) as a,
            proxy(a, toml=toml) as lb,
            told(lb, written("v1", SOMEBODY), get()) as client,
        ):
            if welcome:
                assert (await client.response()).status == 200
            else:
                await client.is_reset()
            assert len(a.requests) == welcome
            refused = lb.driver.report().connections_refused
            assert (refused["proxy_sender"], refused["proxy_header"]) == (not welcome, 0)

    run(test())


def test_where_none_is_asked_for_a_header_is_no_request(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            proxy(a, toml=PLAIN) as lb,
            told(lb, written("v1", SOMEBODY), get()) as client,
        ):
            assert (await client.response()).status == 400
            assert not a.requests

    run(test())


def test_a_header_has_to_come_within_the_time_of_a_head(run: Run) -> None:
    async def test() -> None:
        toml = ASKING + '[timeouts]\nheader = "100ms"\n'
        async with proxy("127.0.0.1:1", toml=toml) as lb, told(lb, b"PROXY TCP4 ") as client:
            await client.is_reset()
            assert not lb.driver.clients.present
            (said,) = [fields for _, event, fields in lb.log if event == "connections refused"]
            assert said["kind"] == "proxy_header"
            assert said["client"] == "127.0.0.1"
            assert said["reason"] == "no PROXY header came in time"

    run(test())


def test_a_trusted_client_is_the_one_that_the_header_names(run: Run) -> None:
    async def test() -> None:
        toml = '[server]\ntrusted_proxies = ["203.0.113.0/24"]\n' + ASKING
        forwarded = get("/", "X-Forwarded-For: 198.51.100.1")
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            for ends in (SOMEBODY, SOMEBODY_ELSE):
                async with told(lb, written("v1", ends), forwarded) as client:
                    assert (await client.response()).status == 200
            chains = [one["X-Forwarded-For"] for one in a.requests]
            assert chains == [f"198.51.100.1, {SOMEBODY.source}", SOMEBODY_ELSE.source]

    run(test())


def test_who_has_said_nothing_yet_gives_its_place_to_others(run: Run) -> None:
    async def test() -> None:
        toml = ASKING + "[limits]\nclient_connections = 1\n"
        async with origin(echo) as a, proxy(a, toml=toml) as lb, lb.client() as silent:
            while not lb.driver.clients.present:
                await asyncio.sleep(0)
            lb.driver.timers.spare_one(float("inf"))
            assert await silent.closed()
            async with told(lb, written("v1", SOMEBODY), get()) as client:
                assert (await client.response()).status == 200
                assert len(a.requests) == 1

    run(test())


@pytest.mark.parametrize("patience", [0.0, 30.0])
def test_a_proxy_that_stops_waits_for_who_is_being_introduced(run: Run, patience: float) -> None:
    async def test() -> None:
        header = written("v2", SOMEBODY)
        async with origin(echo) as a, proxy(a, toml=ASKING) as lb, told(lb, header[:9]) as client:
            while not lb.driver.clients.present:
                await asyncio.sleep(0)
            stopping = asyncio.create_task(lb.driver.stop(patience))
            while not lb.driver.clients.draining:
                await asyncio.sleep(0)
            client.send(header[9:], get())
            answer = await client.response()
            assert (answer.status, answer["Connection"]) == (200, "close")
            assert len(a.requests) == 1
            assert await client.closed()
            assert await stopping

    run(test())


def test_tls_begins_behind_the_header(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        certificate, key = papers.written(tmp_path, "lb.test")
        toml = f'{ASKING}[listener.tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            async with told(lb, written("v2", SOMEBODY)) as client:
                await client.writer.start_tls(papers.trusting(), server_hostname="lb.test")
                client.send(get())
                assert (await client.response()).status == 200
            (request,) = a.requests
            assert request["X-Forwarded-For"] == SOMEBODY.source
            assert request["X-Forwarded-Proto"] == "https"

    run(test())


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_a_client_of_ipv4_at_a_socket_of_both_versions_is_one_of_ipv4(run: Run) -> None:
    async def test() -> None:
        toml = '[server]\nlisten = "127.0.0.1:0"\ntrusted_proxies = ["127.0.0.0/8"]\n'
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            with socket.socket(socket.AF_INET6) as both:
                both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                both.bind(("::ffff:127.0.0.1", 0))
                both.listen()
                reader, writer = await asyncio.open_connection("127.0.0.1", both.getsockname()[1])
                connection, (peer, *_) = both.accept()
            assert peer == "::ffff:127.0.0.1"
            connection.setblocking(False)
            lb.driver.welcome(lb.driver.listeners[0], connection)
            client = Wire(reader, writer)
            client.send(get("/", "X-Forwarded-For: 198.51.100.1"))
            assert (await client.response()).status == 200
            writer.transport.abort()
            assert a.requests[0]["X-Forwarded-For"] == "198.51.100.1, 127.0.0.1"

    run(test())
