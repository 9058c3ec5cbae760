"""What a service manager is told, and given by it: systemd's protocols, and those of its kind.

`NOTIFY_SOCKET` (sd_notify), `WATCHDOG_USEC` (sd_watchdog_enabled), `LISTEN_FDS` (sd_listen_fds).
Without a manager nothing is said and nothing is there.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from contextlib import suppress

FIRST = 3
"""The first descriptor that a manager passes."""


def tell(*lines: str, environment: Mapping[str, str] = os.environ) -> None:
    """`READY=1` and the like, all in one message."""
    place = environment.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return
    if place.startswith("@"):
        place = "\0" + place[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.setblocking(False)  # a manager that does not listen holds nobody
        to.connect(place)
        to.send("\n".join(lines).encode())


def watchdog(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which the manager wants to hear `WATCHDOG=1`; None if it does not mind."""
    given = environment.get("WATCHDOG_USEC", "")
    whose = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not given.isdigit() or int(given) == 0 or whose != str(os.getpid()):
        return None
    return int(given) / 1e6


def passed(environment: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """Sockets that listen already, for us; children will not take them for theirs."""
    count, whose = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_PID", "")
    environment.pop("LISTEN_FDNAMES", None)
    if not count.isdigit() or whose != str(os.getpid()):
        return []
    found = []
    for descriptor in range(FIRST, FIRST + int(count)):
        try:
            one = socket.socket(fileno=descriptor)
        except OSError:  # no socket
            continue
        one.setblocking(False)
        one.set_inheritable(False)
        found.append(one)
    return found
