"""The access log."""

from __future__ import annotations

from typing import Any

from lb.proxy.logs.log import Log


class AccessLog:
    """One line of the log for every request."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def ended(
        self, exchange: Any, attempt: Any, now: float, code: str, who: str, phase: str
    ) -> None:
        request = exchange.request
        self._log(
            "info",
            "request",
            client=exchange.client.peer.decode(),
            method=request.method.decode(),
            target=request.target.decode("latin-1"),
            status=exchange.status,
            backend=None if attempt is None else attempt.lease.backend.name,
            ms=round((now - exchange.arrived_at) * 1e3, 3),
        )

    def rejected(self, peer: bytes, status: int, now: float) -> None:
        pass
