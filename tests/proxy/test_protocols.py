"""Protocols that an upgrade may be to."""

from __future__ import annotations

import pytest

from lb.config import Limits
from lb.proxy.http.hop import Intermediary
from lb.proxy.http.request import RequestReader
from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import answering, echo, get, origin, proxy

# --- upgrades


def test_an_upgrade_to_http_2_is_answered_in_http_1(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            proxy(a, toml='[server]\nlisten = "127.0.0.1:0"\nupgrades = ["*"]') as lb,
            lb.client() as client,
        ):
            for offered in ("h2c", "H2C", "h2c/1", "h2c, HTTP/2.0"):
                client.send(
                    get(
                        *("/", "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {offered}"),
                        "HTTP2-Settings: AAMAAABkAAQAAP__",
                    )
                )
                answer = await client.response()
                assert answer.status == 200
                for name in (b"Upgrade", b"Connection", b"HTTP2-Settings"):
                    assert name not in answer.body
            client.send(get("/", "Connection: upgrade", "Upgrade: h2c, x/2"))
            assert b"Connection: upgrade\r\nUpgrade: x/2\r\n" in (await client.response()).body

    run(test())


@pytest.mark.parametrize("switched", [b"h2c", b"foo", b"websocket, h2c"])
def test_a_switch_to_what_was_not_passed_on_is_502(run: Run, switched: bytes) -> None:
    async def test() -> None:
        answer = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: %b\r\n\r\n" % switched
        async with origin(answering(answer)) as a, proxy(a, toml="[retries]\nmax = 0") as lb:
            async with lb.client() as client:
                client.send(get("/", "Connection: upgrade", "Upgrade: websocket, h2c, foo"))
                assert (await client.response()).status == 502
            assert a.requests[0]["Upgrade"] == "websocket"
            assert lb.outcomes == [("a", Outcome.SERVER_ERROR)]

    run(test())


def test_what_is_remembered_of_a_head_is_not_what_another_proxy_allows() -> None:
    text = get("/", "Connection: upgrade", "Upgrade: foo, websocket")
    for _ in range(2):
        for allowed, passed in (
            (["websocket"], b"websocket"),
            (["*"], b"foo, websocket"),
            ([], b""),
        ):
            reader = RequestReader(b"1.2.3.4", Intermediary(Limits(), allowed))
            for _ in range(3):
                reader.receive(text)
                request = reader.next()
                assert request is not None
                assert request.hop.upgrade == passed
