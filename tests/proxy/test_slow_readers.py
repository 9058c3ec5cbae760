"""Who reads slowly is waited for as long as he reads at all; who does not read is cut off."""

from __future__ import annotations

import asyncio

import pytest

from tests.proxy.conftest import Run
from tests.proxy.doubles import answering, get, ok, origin, proxy
from tests.proxy.test_bodies import BIG

LIMIT = '[timeouts]\nclient_idle = "400ms"\n'
PIECE = 1 << 18


@pytest.mark.parametrize("before", [0, 1])
def test_an_answer_that_takes_longer_than_a_client_may_be_silent(run: Run, before: int) -> None:
    """On a connection of its own, or one that has had an answer a while ago."""

    async def test() -> None:
        async with origin(answering(ok(b"x"), ok(BIG))) as a:
            if not before:
                a.script = answering(ok(BIG))
            async with proxy(a, toml=LIMIT) as lb, lb.client() as client:
                for _ in range(before):
                    client.send(get("/small"))
                    assert (await client.response()).body == b"x"
                    await asyncio.sleep(0.25)
                client.send(get("/big"))
                started = asyncio.get_running_loop().time()
                left = len(BIG)
                reader = client.reader
                await reader.readuntil(b"\r\n\r\n")
                while left:
                    left -= len(await reader.read(PIECE))
                    if left > len(BIG) // 4:
                        await asyncio.sleep(0.02)
                assert asyncio.get_running_loop().time() - started > 0.4
                assert left == 0

    run(test())


def test_who_does_not_read_is_cut_off_with_a_reset(run: Run) -> None:
    async def test() -> None:
        async with origin(answering(ok(BIG))) as a, proxy(a, toml=LIMIT) as lb, lb.client() as it:
            it.pause_reading()
            it.send(get("/big"))
            await lb.ended.get()
            it.resume_reading()
            with pytest.raises(ConnectionResetError):
                await it.reader.read(-1)

    run(test())


def test_a_head_of_which_half_came_during_an_answer_has_its_own_time(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(answering(ok(b"x"))) as a,
            proxy(a, toml=LIMIT) as lb,
            lb.client() as client,
        ):
            client.send(get("/a"))
            assert (await client.response()).status == 200
            await asyncio.sleep(0.3)
            client.send(get("/b") + b"GET /c HT")
            assert (await client.response()).status == 200
            await asyncio.sleep(0.3)
            client.send(get("/c")[len("GET /c HT") :])
            assert (await client.response()).status == 200

    run(test())
