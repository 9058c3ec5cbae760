"""Names of backends: looked up apart from everything else, and remembered.

A lookup is a call into the system that nobody can end, and a silent name server makes it last for
minutes. So each runs on a daemon thread of its own, which holds neither the loop nor the end of the
process; what was known last stays in use until there is an answer with addresses in it. Probes and
requests share one `Name`, so both go to the same one of its addresses, and to the next one when
either of them found that it fails.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from lb.aside import Lookup, aside, is_address, system_lookup
from lb.config import UNIX
from lb.proxy.logs.log import Log
from lb.proxy.patience import Patience
from lb.system import ours, reason, scarce

FRESH = 30.0
"""Seconds after which a name in use is looked up again."""
APART = 1.0
"""Seconds between two lookups of a name whose addresses fail, or that has none."""
KEPT = 3600.0
"""Seconds after which a name that nobody has asked for is forgotten, when another one comes."""

T = TypeVar("T")


_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class Unresolved(Exception):
    """A name of which no address is known, and why."""

    def __init__(self, why: str, unknown: bool = False) -> None:
        """`unknown`: there is no such name. Else nobody could be asked."""
        super().__init__(why)
        self.unknown = unknown


class Answer(NamedTuple):
    """Of one lookup: addresses, or why there are none."""

    addresses: tuple[str, ...]
    why: str = ""
    unknown: bool = False


class Name:
    """One host. An address is a name that knows itself."""

    def __init__(
        self, host: str, loop: asyncio.AbstractEventLoop, log: Log, lookup: Lookup
    ) -> None:
        self.host = host
        self._loop = loop
        self._log = log
        self._lookup = lookup
        self._known: tuple[str, ...] = ()
        self._at = 0  # which of them is in use
        self._why = ""  # the last lookup failed
        self._unknown = False  # and there is no such name
        self._due = 0.0
        self._answered_at = 0.0
        self._asking = False
        self._asked = asyncio.Event()
        self._literal = host.startswith(UNIX) or is_address(host)
        if self._literal:
            self._known = (host,)
            self._due = float("inf")

    def __repr__(self) -> str:
        return f"<Name {self.host} {self.addresses}>"

    @property
    def addresses(self) -> tuple[str, ...]:
        """All that are known, the one in use first."""
        return self._known[self._at :] + self._known[: self._at]

    async def each(self, use: Callable[[str], Awaitable[T]], within: float) -> T:
        """What `use` makes of the first address that it can connect to.

        Raises Unresolved; an OSError of `use`, when no address can be reached; TimeoutError when
        `within` seconds are over. Whatever `use` raises else goes straight through.
        """
        address = ""
        failure: OSError | None = None
        try:
            try:
                async with Patience(within):
                    await self._resolved()
                    for address in self.addresses:
                        try:
                            return await use(address)
                        except OSError as error:
                            if scarce(error):
                                raise
                            self.failed(address)
                            failure = error if failure is None or ours(failure) else failure
            except TimeoutError:
                if not address:
                    raise _silent(within) from None
                self.failed(address)
                raise
            assert failure is not None
            raise failure
        finally:
            failure = None  # or it would hold itself, by its traceback and what is here

    async def all(self, within: float) -> tuple[str, ...]:
        """All that are known. Raises Unresolved."""
        try:
            async with asyncio.timeout(within):
                await self._resolved()
        except TimeoutError:
            raise _silent(within) from None
        return self.addresses

    def failed(self, address: str) -> None:
        """It cannot be reached: the next one is in use, for all."""
        if self._known[self._at] == address:
            self._at = (self._at + 1) % len(self._known)
        if not self._literal:
            self._due = min(self._due, self._answered_at + APART)

    async def _resolved(self) -> None:
        if not self._asking and self._loop.time() >= self._due:
            self._ask()
        if not self._known:
            await self._asked.wait()
            if not self._known:
                raise Unresolved(self._why, self._unknown)

    # --- lookups

    def _ask(self) -> None:
        self._asking = True
        if not self._known:
            self._asked.clear()
        try:
            aside(self._loop, f"lookup of {self.host}", self._look_up, self._answered)
        except RuntimeError as error:  # no thread can be had
            self._answered(Answer((), str(error)))

    def _look_up(self) -> Answer:
        """On a thread of its own."""
        try:
            return Answer(tuple(self._lookup(self.host)), "it has no address", True)
        except OSError as error:
            return Answer((), reason(error), error.errno in _NO_SUCH_NAME)
        except ValueError as error:  # a name that cannot be one
            return Answer((), str(error), True)

    def _answered(self, answer: Answer) -> None:
        addresses, why, unknown = answer
        self._asking = False
        self._asked.set()
        now = self._answered_at = self._loop.time()
        if not addresses:
            self._due = now + APART
            if not self._why:
                self._log("warning", "lookup failed", name=self.host, reason=why, kept=self._in_use)
            self._why, self._unknown = why, unknown
            return
        self._due = now + FRESH
        before = self._in_use
        self._known = addresses
        self._at = addresses.index(before) if before in addresses else 0
        if self._why or (before and before != self._in_use):
            self._log("info", "name resolved", name=self.host, address=self._in_use)
        self._why = ""

    @property
    def _in_use(self) -> str:
        return self._known[self._at] if self._known else ""


def _silent(seconds: float) -> Unresolved:
    return Unresolved(f"no answer of a name server within {seconds:g} s")


class Names:
    """Every name once, as long as somebody asks for it: backends come and go for years."""

    def __init__(self, log: Log, lookup: Lookup = system_lookup) -> None:
        """Must be made inside a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._log = log
        self._lookup = lookup
        self._names: dict[str, Name] = {}
        self._asked_at: dict[str, float] = {}

    def name(self, host: str) -> Name:
        """The name `host`; backends that share it share what is known of it."""
        now = self._loop.time()
        if host not in self._names:
            for other in [it for it, at in self._asked_at.items() if now - at > KEPT]:
                del self._names[other], self._asked_at[other]
            self._names[host] = Name(host, self._loop, self._log, self._lookup)
        self._asked_at[host] = now
        return self._names[host]
