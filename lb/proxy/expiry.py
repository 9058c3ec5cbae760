"""Certificates that will expire: told while there is time to renew them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lb.proxy.logs.log import Log
from lb.proxy.tls.credentials import day

SOON = 21 * 86400.0
"""Seconds before the end of a certificate from which on that is said: those that live for 90 days
are renewed 30 days before it by custom, so something has failed by then."""
AGAIN = 86400.0
"""Seconds after which it is said again."""


def soon(expiry: Mapping[str, float], now: float) -> Iterator[str]:
    """Of certificates by their files, and when they expire: one line for each that is near its end.

    Times are in seconds since 1970.
    """
    for path, ends in sorted(expiry.items()):
        if ends - now < SOON:
            when = "expires" if ends > now else "has expired"
            yield f"the certificate {path} {when} on {day(ends)}"


def warn(log: Log, expiry: Mapping[str, float], now: float) -> None:
    """The same, to the log."""
    for path, ends in sorted(expiry.items()):
        if ends - now < SOON:
            level, event = ("warning", "expires soon") if ends > now else ("error", "has expired")
            log(level, f"certificate {event}", file=path, ends=day(ends))
