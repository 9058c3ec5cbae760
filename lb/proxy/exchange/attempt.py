"""One attempt at a request: a lease, the connection it is carried out on, and its first byte.

It begins with the balancer's lease and ends with the lease's one `done`. The exchange decides what
happens; here stands what it takes to begin and to end.
"""

from __future__ import annotations

from typing import Any

from lb.balancing import Lease, Outcome
from lb.proxy.exchange.sides import Site, UpstreamSide


class Attempt:
    """`exchange` is tried under `lease`."""

    __slots__ = (
        "exchange",
        "first_byte_at",
        "fresh",
        "lease",
        "mark",
        "sent_at",
        "span",
        "upstream",
    )

    def __init__(self, exchange: Any, lease: Lease[Any], fresh: bool) -> None:
        self.exchange = exchange  # or the trial in its stead, see trial.py
        self.lease = lease
        self.fresh = fresh  # only a new connection will do
        self.upstream: UpstreamSide | None = None
        """The connection, once there is one: from then on bytes may have left."""
        self.span = ""
        """Its id in a trace, where there is one."""
        self.mark = b""
        """What this attempt says beside the request, a line that ends with CRLF."""
        self.sent_at = 0.0
        """When there was one; zero before."""
        self.first_byte_at: float | None = None

    def __repr__(self) -> str:
        return f"<Attempt at {self.lease.backend.name} {'sent' if self.upstream else 'connecting'}>"

    @property
    def site(self) -> Site:
        """The backend's connections."""
        site: Site = self.lease.backend.site
        return site

    def stale(self, outcome: Outcome) -> bool:
        """Whether the backend closed an idle connection just as we used it: that is no failure."""
        return outcome is Outcome.RESET and self.upstream is not None and self.upstream.reused

    def leave(self, now: float) -> None:
        """Have no more to do with a connection, which goes."""
        upstream = self.upstream
        if upstream is None:
            self.site.forget(self)
        else:
            self.upstream = None
            upstream.release(False, now)

    def end(self, now: float, outcome: Outcome) -> None:
        """The attempt is over, and with it its connection."""
        self.lease.done(now, outcome, self.first_byte_at)
        self.leave(now)
