"""What nobody can end is done aside: on a daemon thread, which holds neither loop nor process.

A lookup of a name or a read of a file is a call into the system that may last for minutes, when a
name server is silent or a disk is not there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread
from typing import TypeVar

Lookup = Callable[[str], Sequence[str]]
"""A name's addresses, the best first. May take for ever; raises OSError, ValueError."""

T = TypeVar("T")


def aside(
    loop: asyncio.AbstractEventLoop, name: str, work: Callable[[], T], told: Callable[[T], object]
) -> None:
    """`work`, which raises nothing, on a thread of this name; `told`, on the loop, what it gave.

    Raises RuntimeError when no thread can be had. Where the loop is closed by then, nobody is told.
    """

    def run() -> None:
        result = work()
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(told, result)

    Thread(target=run, name=name, daemon=True).start()


def system_lookup(host: str) -> list[str]:
    """What the system's resolver says, in its order."""
    rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


def is_address(host: str) -> bool:
    """Whether a host needs no looking up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
