"""Damaged messages from either side: each is answered, refused or cut off, and nothing leaks."""

from __future__ import annotations

from random import Random

import pytest

from tests.proxy.conftest import Run
from tests.proxy.doubles import HALF_CLOSE, Origin, Wire, echo, get, ok, origin, post, proxy

REQUESTS = (
    get("/a", "X-A: 1", "Connection: keep-alive"),
    post(b"hello", "Expect: 100-continue"),
    get("/c", "Transfer-Encoding: chunked", method="PUT") + b"5\r\nhello\r\n0\r\n\r\n",
    get("/u", "Connection: Upgrade", "Upgrade: websocket", "Content-Length: 2") + b"ab",
    get("/old", version="1.0"),
)
ANSWERS = (
    ok(b"hello", b"X-A: 1"),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"x", b"Connection: close"),
    b"HTTP/1.0 200 OK\r\n\r\nuntil close",
    b"HTTP/1.1 204 No Content\r\n\r\n",
)
SPICES = (b"\r\n", b"\r", b"\n", b"\0", b":", b" ", b"0", b"-1", b"\xff", b"Content-Length: 7\r\n")


def damaged(rng: Random, text: bytes) -> bytes:
    """`text` with a few places cut, doubled, exchanged or filled."""
    for _ in range(rng.randint(1, 3)):
        i, j = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        match rng.randrange(4):
            case 0:
                text = text[:i] + text[j:] if j - i < 20 else text[:i]
            case 1:
                text = text[:j] + text[i:j] + text[j:]
            case 2:
                text = text[:i] + rng.choice(SPICES) + text[i:]
            case _:
                text = text[:i] + rng.randbytes(1) + text[i + 1 :]
        text = text or b"\0"
    return text


@pytest.mark.parametrize("seed", range(4))
def test_damaged_requests(run: Run, seed: int) -> None:
    rng = Random(seed)

    async def test() -> None:
        toml = HALF_CLOSE if seed % 2 else ""
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            for _ in range(100):
                async with lb.client() as client:
                    client.send(b"".join(rng.choice(REQUESTS) for _ in range(rng.randrange(3))))
                    client.send(damaged(rng, rng.choice(REQUESTS)))
                    if rng.random() < 0.2:
                        client.reset()
                    else:
                        client.half_close()
                        await client.is_reset()
            assert (await lb.get()).status == 200

    run(test())


@pytest.mark.parametrize("seed", range(4))
def test_damaged_answers(run: Run, seed: int) -> None:
    rng = Random(seed)

    async def damaging(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            wire.send(damaged(rng, rng.choice(ANSWERS)))
            if rng.random() < 0.5:
                return

    async def test() -> None:
        toml = (HALF_CLOSE if seed % 2 else "") + '[timeouts]\nresponse = "50ms"\n'
        async with origin(damaging) as a, proxy(a, toml=toml) as lb:
            for round_ in range(20):
                async with lb.client() as client:
                    client.send(*rng.choices(REQUESTS[:3], k=3 if round_ % 2 else 1))
                    client.half_close()
                    await client.is_reset()
            a.script = echo
            lb.backends[0].site.close()  # the connections that still speak to the old script
            assert (await lb.get()).status == 200

    run(test())
