"""Server-sent events: what the log tells, as it happens. Whoever reads too slowly is dropped."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from aiohttp import web

from lb.admin.answers import HEADERS, Refused
from lb.admin.control import OPERATIONS
from lb.measures import Event

HEARTBEAT = 15.0
"""Seconds without an event after which a comment shows that somebody is there."""
LOOK = 1.0
"""Seconds between two looks at whether a reader is still there."""
ROOM = 1000
"""Events that may wait for a reader."""
MOST = 100
"""Readers at a time: each holds a descriptor."""


class Readers:
    """Those who listen."""

    def __init__(self) -> None:
        self._wakes: dict[asyncio.Event, web.Request] = {}
        self.closed = False

    def __len__(self) -> int:
        return len(self._wakes)

    def add(self, request: web.Request) -> asyncio.Event:
        """One more. Set what is returned when there is something for it. Raises Refused."""
        if len(self._wakes) >= MOST:
            hint = "close some of them"
            raise Refused(503, "too_many", f"{MOST} streams are open", hint, {"Retry-After": "5"})
        wake = asyncio.Event()
        self._wakes[wake] = request
        return wake

    def remove(self, wake: asyncio.Event) -> None:
        """It has left."""
        del self._wakes[wake]

    def close(self) -> None:
        """All streams end now; those that are not read are cut off."""
        self.closed = True
        for wake, request in self._wakes.items():
            wake.set()
            transport = request.transport
            if transport is not None and transport.get_write_buffer_size():
                transport.abort()


READERS = web.AppKey("readers", Readers)


async def events(request: web.Request) -> web.StreamResponse:
    """What is remembered since `Last-Event-ID`, all without it, and then whatever comes."""
    readers, source = request.app[READERS], request.app[OPERATIONS].events
    wake = readers.add(request)
    response = web.StreamResponse(
        headers={**HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    waiting: deque[Event] = deque()

    def heard(event: Event) -> None:
        waiting.append(event)
        wake.set()
        if len(waiting) > ROOM and request.transport is not None:
            waiting.clear()
            request.transport.abort()  # it may ask again for what it has missed

    waiting.extend(source.since(_last(request, source.since())))
    end = source.listen(heard)
    try:
        await response.prepare(request)
        await response.write(b"retry: 1000\n\n")
        silent = 0.0
        while not readers.closed and request.transport is not None:
            wake.clear()
            if waiting:
                told = b"".join(map(written, waiting))
                waiting.clear()
                await response.write(told)
                silent = 0.0
            elif silent >= HEARTBEAT:
                await response.write(b": nothing new\n\n")
                silent = 0.0
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await wake.wait()
            silent += LOOK
    except ConnectionError:
        pass  # it has left, or was dropped
    finally:
        end()
        readers.remove(wake)
    response.force_close()
    return response


def written(event: Event) -> bytes:
    """One event, its fields in one line of JSON."""
    data = {
        "number": event.number,
        "time": event.time,
        "level": event.level,
        "event": event.event,
        "fields": dict(event.fields),
    }
    name = " ".join(event.event.split())
    text = f"id: {event.number}\nevent: {name}\ndata: {json.dumps(data, default=str)}\n\n"
    return text.encode("utf-8", "backslashreplace")


def _last(request: web.Request, kept: Iterable[Event]) -> int:
    """The number of the last event that the reader has; 0 if that is another process's."""
    given = request.headers.get("Last-Event-ID", "")
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        return 0
    newest = max((event.number for event in kept), default=0)
    return int(given) if int(given) <= newest else 0
