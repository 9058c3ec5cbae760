"""What the system tells of the other side of a connection that is not read at present."""

from __future__ import annotations

import asyncio
import socket
import sys

if sys.platform != "win32":
    from fcntl import ioctl
    from termios import FIONREAD

ENDED = (b"\x07", b"\x08")
"""States of a TCP connection that was reset, or whose other side has ended, as Linux has them."""


def has_ended(transport: asyncio.Transport) -> bool:
    """Whether the other side has ended, behind what may still be unread. Only Linux can tell."""
    if sys.platform != "linux":
        return False
    try:
        connection: socket.socket = transport.get_extra_info("socket")
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) in ENDED
    except OSError:  # gone already
        return False


def has_spoken(transport: asyncio.Transport) -> bool:
    """Whether something has come that is not read yet, as far as the system tells."""
    if sys.platform == "win32":
        return False
    try:
        waiting = ioctl(transport.get_extra_info("socket").fileno(), FIONREAD, bytes(4))
    except OSError:  # gone already
        return False
    return any(waiting)
