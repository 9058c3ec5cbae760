"""Sockets that listen: made for each listener of the file, and what is left of them in the end."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from lb.config import UNIX, Listener, host_and_port
from lb.errors import CannotListen
from lb.proxy.names import Names, Unresolved
from lb.system import reason

BACKLOG = 1024
"""Connections the kernel keeps for us until we accept them."""
LOOKUP = 5.0
"""Seconds that a name to listen on may take to be resolved."""
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""An address of the other IP version, on a machine that has only one."""

Bound = list[tuple[Listener, socket.socket]]
"""Sockets that listen, and what for."""


async def bound(listener: Listener, names: Names) -> list[socket.socket]:
    """Sockets that listen where `listener` says, at all addresses of its name.

    Raises CannotListen.
    """
    host, port = host_and_port(listener.address)
    try:
        return bind(await names.name(host).all(LOOKUP), port, listener.mode)
    except (OSError, Unresolved) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise CannotListen(f"cannot listen on {listener.address}: {why}") from None


async def all_bound(listeners: Sequence[Listener], names: Names) -> Bound:
    """The same for all of them, or for none. Raises CannotListen."""
    found: Bound = []
    try:
        for listener in listeners:
            found += [(listener, one) for one in await bound(listener, names)]
    except BaseException:
        for _, one in found:
            forget(one)
            one.close()
        raise
    return found


def bind(addresses: Iterable[str], port: int, mode: int | None = None) -> list[socket.socket]:
    """Listen at all `addresses` that this machine has. Raises OSError."""
    absent: OSError | None = None
    found: list[socket.socket] = []
    for address in addresses:
        try:
            if address.startswith(UNIX):
                found.append(_at_path(address.removeprefix(UNIX), mode))
            else:
                found.append(_at_port(address, port))
        except OSError as error:
            if error.errno not in _NOT_HERE:
                for one in found:
                    one.close()
                raise
            absent = error
    if absent is not None and not found:
        raise absent
    return found


def is_unix(one: socket.socket) -> bool:
    """Whether it is a Unix socket."""
    return sys.platform != "win32" and one.family == socket.AF_UNIX


def place_of(bound: socket.socket) -> str:
    """Where it listens, as host:port or unix:/path."""
    name = bound.getsockname()
    if is_unix(bound):
        return f"{UNIX}{name}"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def forget(bound: socket.socket) -> None:
    """Nobody will listen there any more: a Unix socket leaves no file. To be closed after this."""
    if bound.fileno() >= 0 and is_unix(bound):
        with suppress(OSError):
            Path(bound.getsockname()).unlink()


def _at_port(address: str, port: int) -> socket.socket:
    host, _, zone = address.partition("%")
    version = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small packets at once only where the protocol is named.
    it = socket.socket(version, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if version == socket.AF_INET6:
            it.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            it.bind((host, port, 0, socket.if_nametoindex(zone)) if zone else (host, port))
        else:
            it.bind((host, port))
        return _listening(it)
    except OSError:
        it.close()
        raise


def _at_path(path: str, mode: int | None) -> socket.socket:
    it = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            it.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _left_over(path):
                raise
            Path(path).unlink()
            it.bind(path)
        if mode is not None:
            Path(path).chmod(mode)  # before anybody can connect
        return _listening(it)
    except OSError:
        it.close()
        raise


def _left_over(path: str) -> bool:
    """Whether a socket is there on which nobody listens: whoever did has died."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.setblocking(False)  # a queue that is full is somebody's
        try:
            one.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _listening(it: socket.socket) -> socket.socket:
    it.listen(BACKLOG)
    it.setblocking(False)
    return it
