"""What the system knows of the other side of a connection, without a word from it."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress
from struct import pack

if sys.platform != "win32":
    from fcntl import ioctl
    from termios import FIONREAD, TIOCOUTQ

_NO_LINGER = pack("ii", 1, 0)  # struct linger: on, for zero seconds
ENDED = (b"\x07", b"\x08")
"""States of a TCP connection that was reset, or whose other side has ended, as Linux has them."""


def has_ended(transport: asyncio.Transport) -> bool:
    """Whether the other side has ended, behind what may still be unread. Only Linux can tell."""
    if sys.platform != "linux":
        return False
    try:
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is None:
            return False
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


def untaken(transport: asyncio.Transport) -> int:
    """Bytes that were written and that the other side has not taken, as far as the system tells."""
    ours = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    if connection is None or sys.platform == "win32":
        return ours
    try:
        system = ioctl(connection.fileno(), TIOCOUTQ, bytes(4))
    except OSError:  # gone already
        return ours
    return ours + int.from_bytes(system, sys.byteorder)


def reset(transport: asyncio.Transport) -> None:
    """End a connection so that its other side hears of it as an error."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):  # gone already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
