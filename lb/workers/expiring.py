"""Certificates that will expire: looked at when they are read, and every day from then on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from lb.proxy.expiry import AGAIN, warn
from lb.proxy.logs.log import Log


class Expiring:
    """Says in the log which they are."""

    def __init__(self, log: Log) -> None:
        """Must be made inside a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._log = log
        self._again: asyncio.TimerHandle | None = None

    def look(self, expiry: Mapping[str, float]) -> None:
        """At when each expires, seconds since 1970, by its file; now and each day."""
        self.close()
        warn(self._log, expiry, time.time())
        self._again = self._loop.call_later(AGAIN, self.look, expiry)

    def close(self) -> None:
        """Look no more."""
        if self._again is not None:
            self._again.cancel()
