"""Connections of clients that came to nothing before any HTTP: counted, and told of in the log."""

from __future__ import annotations

import ssl
from collections import Counter
from math import inf

from lb.proxy.logs.log import Log
from lb.proxy.tls.failures import failure

HANDSHAKE, PLAIN_HTTP = "tls_handshake", "plain_http"
"""A handshake that failed; HTTP where TLS is spoken."""
HEADER, SENDER = "proxy_header", "proxy_sender"
"""No PROXY header, or a wrong one; somebody who may send none."""
KINDS = (HANDSHAKE, PLAIN_HTTP, HEADER, SENDER)
APART = 10.0
"""Seconds between two lines of one kind: anybody can make us write them."""


class Refusals:
    """Those of one proxy."""

    def __init__(self, log: Log) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        """By kind."""
        self._log = log
        self._told_at = dict.fromkeys(KINDS, -inf)
        self._untold: dict[str, tuple[int, str, str]] = {}  # so many; the last one, and its reason

    def note(self, kind: str, client: str, why: str, now: float) -> None:
        """One more, of a `client` at that address."""
        self.counts[kind] += 1
        before, _, _ = self._untold.get(kind, (0, "", ""))
        self._untold[kind] = before + 1, client, why
        self.tell(now)

    def handshake(self, client: str, why: BaseException | None, now: float) -> None:
        """One more that came to nothing with its handshake."""
        plain = isinstance(why, ssl.SSLError) and why.reason == "HTTP_REQUEST"
        self.note(PLAIN_HTTP if plain else HANDSHAKE, client, str(failure(why)), now)

    def tell(self, now: float) -> None:
        """Say what was held back and is due. Call it on every tick."""
        if not self._untold:
            return
        for kind in [it for it in self._untold if now - self._told_at[it] >= APART]:
            count, client, why = self._untold.pop(kind)
            self._told_at[kind] = now
            self._log(
                "warning", "connections refused", kind=kind, count=count, client=client, reason=why
            )
