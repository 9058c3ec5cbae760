"""Handshakes that came to nothing, in words."""

from __future__ import annotations

import ssl


class HandshakeFailed(OSError):
    """There is a connection, and nobody on it who can be talked to in private."""


def failure(why: BaseException | None) -> HandshakeFailed:
    """What `why` comes to, in words."""
    if isinstance(why, ssl.SSLCertVerificationError):
        return HandshakeFailed(f"TLS: its certificate is not good: {why.verify_message}")
    if isinstance(why, ssl.SSLError) and why.reason:
        return HandshakeFailed(f"TLS: {why.reason.replace('_', ' ').lower()}")
    return HandshakeFailed("TLS: closed in the middle of the handshake")
