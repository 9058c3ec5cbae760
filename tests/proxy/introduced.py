"""Clients who are introduced by a PROXY header."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lb.proxy.proxy_protocol import Ends
from tests.proxy.doubles import Proxy
from tests.proxy.wires import Wire

ASKING = '[[listener]]\naddress = "127.0.0.1:0"\nproxy_protocol = true\n'
SOMEBODY = Ends("203.0.113.7", 4711, "203.0.113.1", 80)
SOMEBODY_ELSE = Ends("2001:db8::7", 4711, "2001:db8::1", 80)


@asynccontextmanager
async def told(lb: Proxy, *first: bytes) -> AsyncIterator[Wire]:
    """A client whose first bytes are these."""
    async with lb.client() as client:
        client.send(*first)
        yield client
