"""Connections that are for one client alone, to a backend that is told who that is."""

from __future__ import annotations

from lb.balancing import Backend, LoadReport
from lb.proxy.context import Context
from lb.proxy.upstream.connection import Home, UpstreamConnection

Lists = dict[str, list[UpstreamConnection]]
"""Idle connections by client."""


class Share:
    """What is one client's."""

    def __init__(self, whole: Home, lists: Lists, client: str) -> None:
        """`whole` are all connections to that backend."""
        self.context: Context = whole.context
        self.backend: Backend = whole.backend
        self._whole = whole
        self._lists = lists
        self._client = client

    @property
    def idle(self) -> list[UpstreamConnection]:
        """Its idle connections."""
        return self._lists.setdefault(self._client, [])

    @property
    def open(self) -> bool:
        """More attempts may come."""
        return self._whole.open

    def reported(self, report: LoadReport) -> None:
        self._whole.reported(report)


class Shares:
    """Those of all clients of one backend."""

    def __init__(self, whole: Home) -> None:
        self._whole = whole
        self._lists: Lists = {}

    def __len__(self) -> int:
        """Idle ones, of all."""
        return sum(map(len, self._lists.values()))

    def of(self, client: str) -> Share:
        """That of a client's address."""
        return Share(self._whole, self._lists, client)

    def take_idle(self, client: str) -> UpstreamConnection | None:
        """An idle connection of that client, which is so no more."""
        idle = self._lists.get(client, [])
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def close_idle(self, since: float) -> None:
        """Close what has been idle since `since`."""
        for client, idle in list(self._lists.items()):
            close_idle(idle, since)
            if not idle:
                del self._lists[client]


def close_idle(idle: list[UpstreamConnection], since: float) -> None:
    """Close what has been idle since `since`. Last used is last in the list."""
    old = 0
    while old < len(idle) and idle[old].idle_since <= since:
        idle[old].transport.close()
        old += 1
    del idle[:old]  # at once: nobody may be handed a connection that is closing
