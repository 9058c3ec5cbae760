"""How a connection to a backend comes about: its socket, a PROXY header, TLS."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from lb.config import UNIX, Scenario
from lb.proxy import proxy_protocol
from lb.proxy.proxy_protocol import Ends
from lb.proxy.tls.credentials import Credentials
from lb.proxy.tls.layer import Secured


@dataclass(frozen=True)
class Way:
    """What a connection to a backend takes beside its address."""

    secure: tuple[ssl.SSLContext, str | None] | None = None
    """TLS, and the name that is to be met there."""
    proxy_protocol: proxy_protocol.Version | None = None
    """The version of the header that it begins with, before any TLS."""


DIRECT = Way()


class Ways:
    """Those to every backend of a file."""

    def __init__(self, scenario: Scenario, credentials: Credentials) -> None:
        self._ways = {
            (row.label, row.address): Way(
                credentials.backend(row.label, row.address), row.proxy_protocol
            )
            for row in scenario.backends
            if row.tls is not None or row.proxy_protocol is not None
        }

    def to(self, name: str, address: str) -> Way:
        """That to a backend; plain TCP where the file says nothing else."""
        return self._ways.get((name, address), DIRECT)


async def reach(
    loop: asyncio.AbstractEventLoop,
    protocol: asyncio.Protocol,
    address: str,
    port: int,
    way: Way = DIRECT,
    ends: Ends | None = None,
) -> None:
    """Connect `protocol`, which hears of it when all is done, on behalf of `ends`, or of ourselves.

    Raises OSError, of which `HandshakeFailed` is one.
    """
    version = way.proxy_protocol
    preface = b"" if version is None else proxy_protocol.written(version, ends)
    outer = protocol
    shaken: asyncio.Future[None] | None = None
    if way.secure is not None:
        shaken = loop.create_future()
        context, name = way.secure
        outer = Secured(protocol, context, name, shaken, loop, preface)
    if address.startswith(UNIX):
        path = address.removeprefix(UNIX)
        transport, _ = await loop.create_unix_connection(lambda: outer, path)
    else:
        transport, _ = await loop.create_connection(lambda: outer, address, port)
    if shaken is None:
        if preface:
            transport.write(preface)
        return
    try:
        await shaken
    except BaseException:
        transport.abort()
        raise
