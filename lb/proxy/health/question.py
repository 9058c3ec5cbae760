"""What one backend is asked when it is asked how it is, and what its answer is worth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from lb import wire
from lb.balancing import ProbeResult
from lb.config import UNIX, HealthTable, host_and_port
from lb.proxy.health.conversation import Answer

AGENT = b"lb-health"
LOCAL = "localhost"
"""The host of a Unix socket, which has none."""


@dataclass(frozen=True, slots=True)
class Question:
    """The checks of one backend."""

    host: str
    """Where they go: a name or an address."""
    port: int
    timeout: float
    """Seconds for the whole of one, connecting included."""
    reads: bool
    """There is an answer to be read; else a connection is all."""
    request: bytes
    """On a connection of its own."""
    kept_request: bytes
    """The same on a connection that is kept."""
    expect: str
    statuses: frozenset[int]
    match: re.Pattern[str] | None

    @classmethod
    def of(cls, table: HealthTable, address: str) -> Question:
        """How a backend at `address` is checked by its `table`."""
        host, port = host_and_port(address)
        itself = LOCAL if address.startswith(UNIX) else address.removesuffix(":80")
        written = table.host or itself  # need not be where the check goes
        field = written if written.isascii() else written.encode("idna").decode()
        head = b"GET %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: %b\r\nAccept: */*\r\n" % (
            table.path.encode(),
            field.encode(),
            AGENT,
        )
        return cls(
            host,
            table.port or port,
            table.timeout,
            table.kind == "http",
            head + b"Connection: close\r\n\r\n",
            head + b"\r\n",
            table.expect,
            _statuses(table.expect),
            None if table.match is None else re.compile(table.match),
        )

    def judge(self, answer: Answer, latency: float) -> ProbeResult:
        """What follows from an answer that came within `latency` seconds.

        A backend that wishes to be drained is well, whatever its status says to others.
        """
        said = f"status {answer.status}"
        well = answer.status in self.statuses
        if answer.state == wire.DRAIN and (well or answer.status == 503):
            return ProbeResult(True, f"{said}, drains", latency, drain=True)
        if not well:
            return ProbeResult(False, f"{said}, expected {self.expect}", latency)
        if self.match is not None and self.match.search(answer.text) is None:
            return ProbeResult(False, f"{said}, without {self.match.pattern!r} in it", latency)
        return ProbeResult(True, said, latency)


@lru_cache
def _statuses(expect: str) -> frozenset[int]:
    ranges = (part.partition("-") for part in expect.split(", "))
    return frozenset(
        status for low, _, high in ranges for status in range(int(low), int(high or low) + 1)
    )
