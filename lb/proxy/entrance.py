"""What a connection begins with before any HTTP: a PROXY header, TLS, as its listener has it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import cast

from lb.config import Listener
from lb.proxy import proxy_protocol
from lb.proxy.context import Context
from lb.proxy.exchange.client import ClientConnection
from lb.proxy.exchange.clients import Clients
from lb.proxy.exchange.peer import has_spoken, reset
from lb.proxy.proxy_protocol import WrongHeader, unmapped
from lb.proxy.refusals import HEADER, SENDER
from lb.proxy.timers import Timers
from lb.proxy.tls.layer import Secured

Networks = tuple[IPv4Network | IPv6Network, ...]


@lru_cache
def networks(texts: tuple[str, ...]) -> Networks:
    """As they are named in a file."""
    return tuple(map(ip_network, texts))


class Entrance:
    """Makes the protocol of each connection."""

    def __init__(
        self,
        context: Context,
        timers: Timers,
        clients: Clients,
        client: Callable[[], ClientConnection],
    ) -> None:
        self._context = context
        self._timers = timers
        self._clients = clients
        self._client = client

    def enter(self, listener: Listener) -> asyncio.Protocol:
        """Of one that has come to `listener`."""
        now, secure = self._context.credentials.at(listener)
        if now.proxy_protocol:
            return Preface(
                self._context,
                self._timers,
                self._clients,
                self._client(),
                secure,
                networks(now.proxy_from),
            )
        return secured(self._context, self._client(), secure)


def secured(
    context: Context, client: ClientConnection, secure: ssl.SSLContext | None
) -> asyncio.Protocol:
    """A client's connection, under TLS where that is spoken."""
    if secure is None:
        return client

    def failed(why: Exception | None) -> None:
        context.refusals.handshake(client.address, why, context.now())

    return Secured(client, secure, None, None, context.loop, b"", failed)


class Preface(asyncio.Protocol):
    """Reads a PROXY header, then gives way to whoever it is about."""

    current = None

    def __init__(
        self,
        context: Context,
        timers: Timers,
        clients: Clients,
        client: ClientConnection,
        secure: ssl.SSLContext | None,
        senders: Networks,
    ) -> None:
        """From `senders` alone, unless there are none."""
        self.transport: asyncio.Transport
        self._context = context
        self._timers = timers
        self._clients = clients
        self._client = client
        self._secure = secure
        self._senders = senders
        self._data = b""

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        self._timers.header.start(self, self._context.now())
        self._clients.joined(self)
        if self._senders and not self._may_send():
            self._refuse("may send no PROXY header", SENDER)

    def data_received(self, data: bytes) -> None:
        self._data += data
        try:
            found = proxy_protocol.read(self._data)
        except WrongHeader as wrong:
            self._refuse(str(wrong))
            return
        if found is not None:
            self._give_way(*found)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timers.header.stop(self)
        if self._data:
            self._refuse("closed in the middle of the PROXY header")
        self._clients.left(self)

    @property
    def _peer(self) -> str:
        """The address of who sends."""
        peer = self.transport.get_extra_info("peername")  # empty for a Unix socket
        return unmapped(peer[0]) if peer else "unknown"

    def _may_send(self) -> bool:
        peer = self._peer
        if peer == "unknown":  # it is gone already
            return False
        address = ip_address(peer)
        return any(address in network for network in self._senders)

    def _refuse(self, why: str, kind: str = HEADER) -> None:
        self._data = b""
        self._context.refusals.note(kind, self._peer, why, self._context.now())
        self.transport.abort()

    def _give_way(self, ends: proxy_protocol.Ends | None, rest: bytes) -> None:
        client, transport = self._client, self.transport
        if ends is not None:
            client.introduce(ends)
        self._timers.header.stop(self)
        heir = secured(self._context, client, self._secure)
        transport.set_protocol(heir)
        heir.connection_made(transport)  # it joins before we leave: the last one is waited for
        self._clients.left(self)
        if rest and not transport.is_closing():
            heir.data_received(rest)

    # --- the proxy's side

    def too_slow(self) -> None:
        """The header did not come in time."""
        self._refuse("no PROXY header came in time")

    def judge(self) -> None:
        """No body comes before the header."""

    def look(self) -> None:
        """It is read all the time."""

    def backend_silent(self) -> None:
        """Nothing is asked yet."""

    def spare(self) -> bool:
        """Close, for the sake of others, one that has said nothing; whether that was so."""
        if self._data or self.transport.is_closing() or has_spoken(self.transport):
            return False
        self._timers.header.stop(self)
        self.transport.close()
        return True

    def drain(self, gently: bool) -> None:
        """Whoever it is about is told when it is known."""

    def fade(self) -> None:
        """Close, if nothing is under way."""
        self.transport.close()

    def cut_off(self) -> None:
        """Close now."""
        reset(self.transport)
