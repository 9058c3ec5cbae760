"""What an exchange needs of the connections around it, and of where backends' are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from lb.measures.requests import Whole
from lb.proxy.proxy_protocol import Ends
from lb.proxy.waits import Wait


class Tunnelled(Protocol):
    """A connection whose bytes may one day be somebody else's."""

    def into_tunnel(self) -> tuple[asyncio.Transport, bytes]:
        """The transport, which others take over, and what came behind the switch."""


class ClientSide(Tunnelled, Protocol):
    """A client's connection."""

    full: bool
    """The client does not read what it is sent."""
    half_closed: bool
    """Nothing more comes from it."""

    phase: int
    """What it still takes; 0 as long as that is everything."""

    owed: Wait[Any]
    """Runs while the backend owes it (more of) an answer."""

    @property
    def address(self) -> str:
        """Where it comes from."""

    def ends(self) -> Ends | None:
        """Both ends of its connection, as far as there are any."""

    def when_gone(self, call: Callable[[], None]) -> None:
        """Have it called when the connection is gone."""

    @property
    def closing(self) -> bool:
        """Nothing is answered after the current exchange."""

    def write(self, data: bytes) -> None: ...

    def finished(self, exchange: Any, keep_alive: bool, now: float) -> None:
        """The answer to `exchange` has been written."""

    def takes(self) -> bool:
        """Whether it has taken anything of what it is sent since that was looked at last."""

    def cut_off(self) -> None:
        """The answer cannot be completed; the client must not take it for whole."""

    def lost(self) -> None:
        """Its connection, which others had taken over, is gone."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class UpstreamSide(Tunnelled, Protocol):
    """The connection to a backend on which a request was sent."""

    reused: bool
    """It has carried an exchange before, and has not spoken since."""

    def write(self, data: bytes) -> None: ...

    def write_parts(self, parts: list[bytes]) -> None:
        """The same for several at once, which are not copied together for it."""

    def release(self, keep: bool, now: float) -> None:
        """The attempt is over: the connection may serve another, or must go."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Site(Protocol):
    """A backend's connections."""

    token: bytes
    """What a cookie says for the backend."""
    open: bool
    """The backend has not left."""
    whole: Whole
    """Where durations go of requests whose one attempt took as long as they did."""
    response_tails: tuple[bytes, bytes]
    """What ends a head from the backend, by the minor version of its HTTP."""

    request_end: bytes
    """What ends a head for it."""

    def take_idle(self) -> Any:
        """A connection that is idle, if there is one; it is so no more."""

    def connect(self, attempt: Any) -> None:
        """As `carry`, on a new connection."""

    def carry(self, attempt: Any, now: float) -> None:
        """Send an attempt's request there: `sent_on`, or `broken`, now or later."""

    def forget(self, attempt: Any) -> None:
        """The attempt has no use for a connection any more."""
