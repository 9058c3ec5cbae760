"""Listening sockets: those that were passed to this process, and the rest, which it binds."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from lb.config import Listener, host_and_port
from lb.proxy.listening import Bound, all_bound, place_of
from lb.proxy.names import Names

ANYWHERE = ("0.0.0.0", "::")


def activated(
    addresses: Sequence[str], passed: list[socket.socket]
) -> list[tuple[str, socket.socket]]:
    """What a service manager has passed, each with the address of the file that it is for.

    By where it listens; what is left goes to the addresses that are left, in order.
    """
    found: list[tuple[str, socket.socket]] = []
    left, free = list(addresses), list(passed)
    for one in passed:
        for address in left:
            if _same(address, place_of(one)):
                found.append((address, one))
                left.remove(address)
                free.remove(one)
                break
    return found + list(zip(left, free, strict=False))


async def gathered(
    listeners: Sequence[Listener], given: Sequence[tuple[str, socket.socket]], names: Names
) -> tuple[Bound, list[socket.socket]]:
    """A socket, or several, for each listener: of those `given` by address, else bound now.

    And those given that nobody wants, which whoever has given them may still serve at. Raises
    CannotListen.
    """
    wanted = {listener.address: listener for listener in listeners}
    found = [(wanted[address], one) for address, one in given if address in wanted]
    served = {listener.address for listener, _ in found}
    found += await all_bound([it for it in listeners if it.address not in served], names)
    return found, [one for address, one in given if address not in wanted]


def _same(address: str, place: str) -> bool:
    if address == place:
        return True
    host, port = host_and_port(address)
    other, number = host_and_port(place)
    return port == number != 0 and (host in ANYWHERE or other in ANYWHERE or "localhost" in host)
