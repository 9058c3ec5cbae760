"""Open-loop traffic over kept connections whose bodies are checked, and clients that are slow."""

from __future__ import annotations

import asyncio
import hashlib
import random
import ssl
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic

import aiohttp

POSTS = 0.3
"""Share of requests with a body, which are not sent twice."""
LARGEST = 64 * 1024
"""Bytes of most bodies; one in a hundred is sixteen times that."""


@dataclass
class Seen:
    """What became of all requests."""

    ends: Counter[str] = field(default_factory=Counter)
    """By status, or by what broke."""
    examples: dict[str, list[str]] = field(default_factory=dict)

    def note(self, end: str, what: str) -> None:
        self.ends[end] += 1
        if end != "200":
            examples = self.examples.setdefault(end, [])
            if len(examples) < 5:
                examples.append(what)


class Traffic:
    """So many requests a second to each of `urls`, until `end`."""

    def __init__(self, urls: list[str], rate: float, trusted: ssl.SSLContext | None) -> None:
        self.seen = Seen()
        self._urls = urls
        self._rate = rate
        self._trusted = trusted
        self._enough = asyncio.Event()
        self._random = random.Random(1)
        self._began = monotonic()

    def end(self) -> None:
        self._enough.set()

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._trusted or True)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            running: set[asyncio.Task[None]] = set()
            count = 0
            while not self._enough.is_set():
                count += 1
                wait = self._began + count / self._rate - monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                task = asyncio.create_task(self._one(session, count))
                running.add(task)
                task.add_done_callback(running.discard)
            if running:
                await asyncio.wait(running)

    async def _one(self, session: aiohttp.ClientSession, number: int) -> None:
        draw = self._random.random
        url = self._urls[number % len(self._urls)]
        size = int(LARGEST * draw() ** 4 * (16 if number % 100 == 0 else 1))
        wait = f"&wait={draw():.2f}" if number % 50 == 0 else ""
        post = draw() < POSTS
        body = self._random.randbytes(int(LARGEST * draw() ** 4)) if post else b""
        what = f"{monotonic() - self._began:.2f}s {'POST' if post else 'GET'} #{number}"
        try:
            async with session.request(
                "POST" if post else "GET", f"{url}/{number}?size={size}{wait}", data=body or None
            ) as answer:
                came = await answer.read()
                end = str(answer.status)
                if answer.status == 200:
                    right = hashlib.sha256(body).hexdigest(), hashlib.sha256(came).hexdigest()
                    if right != (answer.headers["X-Came"], answer.headers["X-Body"]):
                        end = "a body was damaged"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            end = type(error).__name__
            what += f": {error}"
        self.seen.note(end, what)


async def slow(host: str, port: int, enough: asyncio.Event) -> None:
    """Clients that say half a head and wait, that read a byte at a time, and that just leave."""
    while not enough.is_set():
        try:
            reader, writer = await asyncio.open_connection(host, port)
            match random.randrange(3):
                case 0:
                    writer.write(b"GET / HTTP/1.1\r\nHost: half")
                    await asyncio.sleep(0.5)
                case 1:
                    writer.write(b"GET /?size=200000 HTTP/1.1\r\nHost: slow\r\n\r\n")
                    for _ in range(100):
                        await reader.read(1024)
                        await asyncio.sleep(0.01)
                case _:
                    writer.write(b"GET /?wait=0.3 HTTP/1.1\r\nHost: gone\r\n\r\n")
            writer.transport.abort()
        except OSError:
            await asyncio.sleep(0.1)
