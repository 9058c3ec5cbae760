"""The port of one live backend: closed while it is down, and kept for it meanwhile."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: what is closed is reset, whatever is still to be sent or read."""

BACKLOG = 1024
"""Connections that may wait to be accepted; one that finds no room is tried again a second later,
which would come of nothing that is modelled."""


def cut(transport: asyncio.BaseTransport | None) -> None:
    """Reset a connection."""
    if isinstance(transport, asyncio.Transport) and not transport.is_closing():
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        transport.abort()


class Port:
    """Accepts connections for `serve`, with breaks."""

    def __init__(self, serve: Callable[[], asyncio.BaseProtocol]) -> None:
        self._serve = serve
        self._servers: list[asyncio.Server] = []
        self._kept: list[socket.socket] = []

    async def open(self, host: str, port: int) -> None:
        """Listen, for the first time. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._servers = [await loop.create_server(self._serve, host, port, backlog=BACKLOG)]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and port of each."""
        sockets = [sock for server in self._servers for sock in server.sockets]
        return [sock.getsockname()[:2] for sock in sockets]

    def shut(self) -> None:
        """Refuse connections, but let nobody else have the port.

        A system that looks for a free port for an outgoing connection would take it soon.
        """
        sockets = [sock for server in self._servers for sock in server.sockets]
        places = [(sock.family, sock.getsockname()) for sock in sockets]
        self.close()
        self._kept = [_bound(family, place) for family, place in places]

    async def reopen(self) -> None:
        """Listen again."""
        loop = asyncio.get_running_loop()
        kept, self._kept = self._kept, []
        self._servers = [
            await loop.create_server(self._serve, sock=sock, backlog=BACKLOG) for sock in kept
        ]

    def close(self) -> None:
        """Give the port up."""
        for server in self._servers:
            server.close()
        for sock in self._kept:
            sock.close()
        self._servers, self._kept = [], []


def _bound(family: int, place: tuple[str, int]) -> socket.socket:
    """A socket that has a place and does not listen there."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(place)
    return sock
