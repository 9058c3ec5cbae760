"""Connections for load reports that are kept: not for long unused, nor beyond another file."""

from __future__ import annotations

import asyncio
from collections.abc import Container

from lb.proxy.health.conversation import Conversation
from lb.proxy.reaching import Way

MOST = 8
"""That are kept to one address."""

Place = tuple[str, int, Way]
"""Host, port, and how it is reached."""


class Kept:
    """By place, and by which address of its host it is. The last one used is used again."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.idle = 0.0
        """Seconds that one may be unused."""
        self._loop = loop
        self._kept: dict[tuple[Place, str], list[tuple[float, Conversation]]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._open = True

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def take(self, place: Place, address: str) -> Conversation | None:
        """One on which something can be asked, which is kept no more."""
        kept = self._kept.get((place, address), [])
        while kept:
            _, conversation = kept.pop()
            if conversation.usable:
                return conversation
        return None

    def keep(self, place: Place, address: str, conversation: Conversation) -> None:
        """It is used no more for now."""
        kept = self._kept.get((place, address), [])
        if not self._open or len(kept) >= MOST or not conversation.usable:
            conversation.close()
            return
        kept.append((self._loop.time(), conversation))
        self._kept[place, address] = kept
        if self._sweep is None:
            self._sweep = self._loop.call_later(self.idle, self._swept)

    def only(self, places: Container[Place]) -> None:
        """Close those to any other place."""
        for place, address in list(self._kept):
            if place not in places:
                for _, conversation in self._kept.pop((place, address)):
                    conversation.close()

    def close(self) -> None:
        """Close all, and keep none from now on."""
        self._open = False
        self.only(())
        if self._sweep is not None:
            self._sweep.cancel()

    def _swept(self) -> None:
        since = self._loop.time() - self.idle
        for key, kept in list(self._kept.items()):
            while kept and (kept[0][0] <= since or not kept[0][1].usable):
                kept.pop(0)[1].close()
            if not kept:
                del self._kept[key]
        oldest = min((kept[0][0] for kept in self._kept.values()), default=None)
        self._sweep = None
        if oldest is not None:
            self._sweep = self._loop.call_at(oldest + self.idle, self._swept)
