"""A route that is a balanced proxy: connections that are upgraded."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from lb.balancing import Outcome
from tests.aio.drivers import served
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    answering,
    echo,
    get,
    ok,
    origin,
)

OK = Outcome.OK


def test_a_websocket_is_a_tunnel(run: Run) -> None:
    async def chat(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse(protocols=["chat"])
        await answer.prepare(request)
        async for message in answer:
            await answer.send_str(message.data[::-1])
        return answer

    async def test() -> None:
        backend = web.Application()
        backend.router.add_get("/chat", chat)
        runner = web.AppRunner(backend, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"127.0.0.1:{runner.addresses[0][1]}"
        async with served(address) as it, aiohttp.ClientSession() as session:
            url = f"http://{it.driver.addresses[0]}"
            async with session.ws_connect(f"{url}/chat", protocols=["chat"], compress=15) as ws:
                assert ws.protocol == "chat"
                for said in ("hello", "x" * 300_000):
                    await ws.send_str(said)
                    assert await ws.receive_str() == said[::-1]
                assert it.leases[0].open
            assert await it.ended.get() == ("a", OK)
            with pytest.raises(aiohttp.WSServerHandshakeError) as nowhere:
                await session.ws_connect(f"{url}/none")
            assert nowhere.value.status == 404
            await runner.cleanup()

    run(test())


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n", 502),
        (ok(b"no", status=b"426 No"), 426),
    ],
)
def test_a_backend_may_not_want_to_switch(run: Run, answer: bytes, status: int) -> None:
    async def test() -> None:
        async with origin(answering(answer)) as a, served(a) as it, it.client() as client:
            client.send(get("/", "Connection: upgrade", "Upgrade: websocket"))
            assert (await client.response()).status == status
            assert a.requests[0]["Upgrade"] == "websocket"

    run(test())


def test_an_upgrade_that_the_file_does_not_name_is_not_asked_for(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, served(a) as it, it.client() as client:
            client.send(get("/", "Connection: upgrade", "Upgrade: other"))
            assert b"Upgrade" not in (await client.response()).body

    run(test())
