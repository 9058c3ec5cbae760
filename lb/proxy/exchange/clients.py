"""Who is connected: counted, drained together, waited for at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol


class Connected(Protocol):
    """A client's connection."""

    def drain(self) -> None:
        """Finish what is under way, then close."""

    def cut_off(self) -> None:
        """Close now."""


class Clients:
    """The connections of all clients."""

    def __init__(self) -> None:
        self._all: set[Connected] = set()
        self._draining = False
        self._deserted = asyncio.Event()  # the last one has gone

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Connected]:
        return iter(self._all)

    def joined(self, client: Connected) -> None:
        self._all.add(client)
        if self._draining:
            client.drain()

    def left(self, client: Connected) -> None:
        self._all.discard(client)
        if self._draining and not self._all:
            self._deserted.set()

    def drain(self) -> None:
        """Let everybody finish, those too that are yet to come."""
        self._draining = True
        for client in list(self._all):
            client.drain()

    def cut_off(self) -> None:
        """Close all connections now."""
        for client in list(self._all):
            client.cut_off()

    def hurry(self) -> None:
        """Wait no longer."""
        self._deserted.set()

    async def desertion(self, seconds: float) -> bool:
        """Wait until the last one is gone; False when it stayed."""
        if self._all:
            self._deserted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._deserted.wait()
        return not self._all
