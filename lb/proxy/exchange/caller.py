"""Who is at the other end of a client's connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import cast

from lb.proxy.proxy_protocol import Ends, unmapped


class Caller:
    """The part of a client's connection that knows where it comes from."""

    __slots__ = ("_ends", "_farewells", "_peer", "transport")

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self._ends: Ends | None = None  # once they are known
        self._farewells: tuple[Callable[[], None], ...] = ()
        self._peer = b"unknown"

    def introduce(self, ends: Ends) -> None:
        """Between whom the connection really is. Call it before the connection is made."""
        self._ends = ends

    @property
    def address(self) -> str:
        """Where it comes from; "unknown" where nobody can tell."""
        return self._peer.decode()

    def ends(self) -> Ends | None:
        """Both ends of its connection, as far as there are any."""
        if self._ends is not None:
            return self._ends
        ours = self.transport.get_extra_info("sockname")
        theirs = self.transport.get_extra_info("peername")
        if not isinstance(ours, tuple) or not isinstance(theirs, tuple):
            return None  # a Unix socket, or it is gone
        self._ends = Ends(unmapped(theirs[0]), theirs[1], unmapped(ours[0]), ours[1])
        return self._ends

    def when_gone(self, call: Callable[[], None]) -> None:
        """Have it called when the connection is gone."""
        if self.transport.is_closing():
            call()  # it is as good as gone
        else:
            self._farewells = (*self._farewells, call)

    def _meet(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        peer = transport.get_extra_info("peername")  # None when it is gone already
        if self._ends is not None:
            self._peer = self._ends.source.encode()
        elif peer:  # which is empty for a Unix socket
            self._peer = unmapped(peer[0]).encode()

    def _among(self, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
        """Whether it comes from one of them."""
        if not networks or self._peer == b"unknown":
            return False
        address = ip_address(self.address)
        return any(address in network for network in networks)
