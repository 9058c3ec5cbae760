"""Connections that are for one client alone, to a backend that is told who that is.

A backend hears once, at the beginning, between whom a connection is; so whatever goes over it has
to come from the same address and port, and to the same.
"""

from __future__ import annotations

from functools import partial

from lb.balancing import Backend, LoadReport
from lb.proxy.context import Context
from lb.proxy.exchange.sides import ClientSide
from lb.proxy.proxy_protocol import Ends
from lb.proxy.reaching import Way
from lb.proxy.upstream.connection import Home, UpstreamConnection

KEPT = 256
"""Idle connections of all clients to one backend, from one process; of more the oldest close."""


class Share:
    """What is of the clients between the same two ends, of which there is one as a rule."""

    def __init__(self, whole: Home, ends: Ends | None) -> None:
        """`whole` are all connections to that backend. Without `ends` nobody can be told apart."""
        self.context: Context = whole.context
        self.backend: Backend = whole.backend
        self.idle: list[UpstreamConnection] = []
        self.ends = ends
        self.clients: set[ClientSide] = set()
        """Those who are connected, and have been here."""
        self._whole = whole

    @property
    def open(self) -> bool:
        """More attempts may come."""
        return self._whole.open and (bool(self.clients) or self.ends is None)

    @property
    def way(self) -> Way:
        """How the backend is reached now."""
        return self._whole.way

    def reported(self, report: LoadReport) -> None:
        self._whole.reported(report)


class Shares:
    """Those of all clients of one backend."""

    def __init__(self, whole: Home) -> None:
        self._whole = whole
        self._shares: dict[Ends | None, Share] = {}

    def __len__(self) -> int:
        """Idle connections, of all."""
        return sum(len(share.idle) for share in self._shares.values())

    def of(self, client: ClientSide) -> Share:
        """That of a client, which is over when it has gone."""
        ends = client.ends()
        share = self._shares.get(ends)
        if share is None:
            share = self._shares[ends] = Share(self._whole, ends)
        if ends is not None and client not in share.clients:
            share.clients.add(client)
            client.when_gone(partial(self._gone, share, client))
        return share

    def take_idle(self, client: ClientSide) -> UpstreamConnection | None:
        """An idle connection of that client, which is so no more."""
        idle = self.of(client).idle
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def close_idle(self, since: float) -> None:
        """Close what has been idle since `since`, and of the rest what is too much."""
        for share in self._shares.values():
            close_idle(share.idle, since)
        excess = len(self) - KEPT
        if excess > 0:
            since = sorted(one.idle_since for share in self._shares.values() for one in share.idle)[
                excess - 1
            ]
            for share in self._shares.values():
                close_idle(share.idle, since)

    def _gone(self, share: Share, client: ClientSide) -> None:
        share.clients.discard(client)
        if not share.clients:
            close_idle(share.idle, float("inf"))
            if self._shares.get(share.ends) is share:
                del self._shares[share.ends]


def close_idle(idle: list[UpstreamConnection], since: float) -> None:
    """Close what has been idle since `since`. Last used is last in the list."""
    old = 0
    while old < len(idle) and idle[old].idle_since <= since:
        idle[old].transport.close()
        old += 1
    del idle[:old]  # at once: nobody may be handed a connection that is closing
