"""Who is connected: counted, drained together, waited for at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

LOSS = 1.0
"""Seconds for connections that were cut off to be lost, which they are from the event loop."""


class Connected(Protocol):
    """A client's connection."""

    def drain(self, gently: bool) -> None:
        """Finish what is under way, then close; `gently`, not before an answer has said so."""

    def fade(self) -> None:
        """Close, if nothing is under way."""

    def cut_off(self) -> None:
        """Close now."""


class Clients:
    """The connections of all clients."""

    def __init__(self) -> None:
        self._all: set[Connected] = set()
        self._coming = 0
        self.present = 0
        """How many there are, those included who are just coming."""
        self.departed: Callable[[], None] = lambda: None
        """Called whenever one has gone."""
        self.draining = False
        """Whether nobody is expected any more."""
        self._patience = 0.0
        self.parting = False
        """Whether it is the proxy that ends what is under way."""
        self._hurried = False
        self._deserted = asyncio.Event()  # the last one has gone

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Connected]:
        return iter(self._all)

    def expect(self) -> None:
        """One is coming that will have joined in a moment, or be missed."""
        self._coming += 1
        self.present += 1

    def missed(self) -> None:
        """It has left before it could join."""
        if self._coming:
            self._coming -= 1
            self.present -= 1
            self.departed()

    def joined(self, client: Connected) -> None:
        if self._coming:
            self._coming -= 1
        else:
            self.present += 1
        self._all.add(client)
        if self.draining:
            client.drain(self._patience > 0)

    def left(self, client: Connected) -> None:
        if client in self._all:
            self._all.remove(client)
            self.present -= 1
            self.departed()
        if self.draining and not self._all:
            self._deserted.set()

    def expect_no_more(self, patience: float) -> None:
        """Whoever joins from now on does so to finish; see `end`."""
        self.draining = True
        self._patience = patience

    async def end(self, seconds: float) -> bool:
        """Let everybody finish, and cut off whoever is left then; False when somebody was.

        Those who are idle have so many seconds of `patience` to ask once more, and are told to go
        with the answer; then they are closed.
        """
        for client in list(self._all):
            client.drain(self._patience > 0)
        patience = min(self._patience, seconds)
        if patience and not self._hurried:
            await self._desertion(patience)
        if patience:
            for client in list(self._all):
                client.fade()
            await asyncio.sleep(0)
        if not self._hurried:
            await self._desertion(seconds - patience)
        in_time = not self._all
        self.cut_off()
        await self._desertion(LOSS)
        return in_time

    def hurry(self) -> None:
        """Let `end` wait no longer."""
        self._hurried = True
        self._deserted.set()

    def cut_off(self) -> None:
        """Close all connections now."""
        self.parting = True
        for client in list(self._all):
            client.cut_off()

    async def _desertion(self, seconds: float) -> None:
        """Wait until the last one is gone."""
        if self._all:
            self._deserted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._deserted.wait()
