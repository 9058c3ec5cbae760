"""Bytes both ways, whatever they mean: what two connections become after a 101 (RFC 9110, 7.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lb.proxy.exchange.sides import ClientSide, Tunnelled
from lb.proxy.timers import Deadlines


def join(
    client: ClientSide,
    upstream: Tunnelled,
    limit: Deadlines[Any],
    now: Callable[[], float],
    closed: Callable[[int, int], None],
) -> None:
    """Join the two connections of an exchange for good; `limit` ends a silence of both.

    `closed` hears that both are lost, after so many bytes from the client and to it; and then the
    client.
    """
    front, ahead = client.into_tunnel()
    back, behind = upstream.into_tunnel()

    def over(tunnel: Tunnel) -> None:
        limit.stop(tunnel)
        closed(tunnel.client.taken, tunnel.backend.taken)
        client.lost()

    tunnel = Tunnel(front, back, moved=lambda tunnel: limit.start(tunnel, now()), over=over)
    front.write(behind)
    back.write(ahead)
    if client.half_closed:
        tunnel.client.eof_received()


class Tunnel:
    """Two transports joined: data, half-closes and back-pressure pass, until both have ended."""

    __slots__ = ("_moved", "_open", "_over", "backend", "client")

    def __init__(
        self,
        client: asyncio.Transport,
        backend: asyncio.Transport,
        *,
        moved: Callable[[Tunnel], None],
        over: Callable[[Tunnel], None],
    ) -> None:
        """`moved` hears of every piece of data, `over` when both connections are lost."""
        self._moved = moved
        self._over = over
        self._open = 2
        self.client = End(self, client)
        self.backend = End(self, backend)
        self.client.other, self.backend.other = self.backend, self.client
        client.set_protocol(self.client)
        backend.set_protocol(self.backend)
        moved(self)

    def close(self) -> None:
        """End both sides now; they have been silent for too long, or must not go on."""
        self.client.transport.abort()
        self.backend.transport.abort()

    def moved(self) -> None:
        self._moved(self)

    def lost(self) -> None:
        self._open -= 1
        if not self._open:
            self._over(self)


class End(asyncio.Protocol):
    """One side of a tunnel."""

    __slots__ = ("_tunnel", "ended", "other", "taken", "transport")

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport) -> None:
        self._tunnel = tunnel
        self.ended = False  # nothing more comes from here
        self.taken = 0  # bytes that came from here
        self.transport = transport
        self.other: End

    def data_received(self, data: bytes) -> None:
        self.taken += len(data)
        self.other.transport.write(data)
        self._tunnel.moved()

    def eof_received(self) -> bool:
        self.ended = True
        if self.other.ended:
            self.transport.close()
            self.other.transport.close()
        else:
            self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        other = self.other.transport
        if exc is not None or not self.ended:
            other.abort()  # it ended with a reset, and so does the other side
        else:
            other.close()
        self._tunnel.lost()
