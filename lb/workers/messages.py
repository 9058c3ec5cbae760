"""What the main process and its workers say to each other, and the channel that they do it through.

The channel is one pair of sockets between a process and a child that it has started itself, so what
comes out of it may be pickled.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from lb.balancing import Change, ProbeResult, Setup
from lb.config import Listener, Scenario
from lb.measures import Report
from lb.recording.wanted import Recording

LENGTH = struct.Struct("!I")
FULL = 4 << 20
"""Bytes that wait for a process which reads nothing: it hangs."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a health check has said of a backend."""

    backend: str
    address: str
    result: ProbeResult


# --- to a worker


@dataclass(frozen=True, slots=True)
class Begin:
    """Serve. The first message."""

    scenario: Scenario
    setup: Setup
    changes: tuple[Change, ...]
    """What operators have said of backends."""
    known: tuple[Heard, ...]
    """How those backends are of which something is known."""
    listeners: tuple[Listener, ...]
    """Where connections come from, by number."""
    offset: int
    """Picks that it begins behind, so that workers do not march in step."""
    record: Recording | None = None
    """Where it records, if it does."""
    feed: str | None = None
    """The socket of a shadow, which is to hear what it does."""


@dataclass(frozen=True, slots=True)
class Do:
    """Carry out a change; answered by `Done`, as `Adopt` is."""

    number: int
    change: Change


@dataclass(frozen=True, slots=True)
class Adopt:
    """Go on by another file."""

    number: int
    scenario: Scenario
    setup: Setup


@dataclass(frozen=True, slots=True)
class Learn:
    """Of further backends, which are about to join."""

    number: int
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class Tell:
    """Say how everything is; answered by `Told`."""

    number: int


@dataclass(frozen=True, slots=True)
class Whole:
    """How all are, for who has asked by `AskWhole`."""

    number: int
    report: Report


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered by `Pong`."""


@dataclass(frozen=True, slots=True)
class Reopen:
    """Open log files again."""


@dataclass(frozen=True, slots=True)
class Explain:
    """Report why picks fall as they do, for a while."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Take no more clients, finish, say `Ended`, and end. See `Crew.stop`."""

    patience: float


@dataclass(frozen=True, slots=True)
class Hurry:
    """Wait no longer."""


# --- from a worker


@dataclass(frozen=True, slots=True)
class Ready:
    """It serves, and has room for so many clients."""

    room: int


@dataclass(frozen=True, slots=True)
class Done:
    """A change is carried out, or was not, and why."""

    number: int
    room: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """How everything is."""

    number: int
    report: Report


@dataclass(frozen=True, slots=True)
class AskWhole:
    """Somebody wants to know how all are."""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """It does not hang."""


@dataclass(frozen=True, slots=True)
class Departed:
    """So many clients have left since it began."""

    clients: int


@dataclass(frozen=True, slots=True)
class Hasten:
    """An attempt has failed there: ask it at once how it is."""

    backend: str


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the log."""

    level: str
    event: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """All clients are gone; what there was in the end."""

    in_time: bool
    report: Report


class Channel(asyncio.Protocol):
    """One end. What is said while there is nobody at the other end is lost."""

    def __init__(self, heard: Callable[[Any], None], lost: Callable[[], None]) -> None:
        """`heard` is called with each message, `lost` when the other end is gone."""
        self._transport: asyncio.Transport | None = None
        self._heard = heard
        self._lost = lost
        self._data = bytearray()

    def send(self, message: object) -> None:
        """Say this, after all that was said before."""
        if self._transport is not None and not self._transport.is_closing():
            data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
            self._transport.write(LENGTH.pack(len(data)) + data)

    @property
    def made(self) -> bool:
        """Whether it has its socket, which it closes."""
        return self._transport is not None

    @property
    def full(self) -> bool:
        """Whether the other end reads nothing any more."""
        return self._transport is not None and self._transport.get_write_buffer_size() > FULL

    def close(self) -> None:
        """Say what is left to be said, then close."""
        if self._transport is not None:
            self._transport.close()

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has its own class

    def data_received(self, data: bytes) -> None:
        self._data += data
        at, size = 0, LENGTH.size
        while len(self._data) >= at + size:
            (length,) = LENGTH.unpack_from(self._data, at)
            if len(self._data) < at + size + length:
                break
            message = pickle.loads(memoryview(self._data)[at + size : at + size + length])
            at += size + length
            self._heard(message)
        del self._data[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
