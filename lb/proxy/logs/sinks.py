"""Where lines of the access log go. All of this is done on a thread that may wait."""

from __future__ import annotations

import os
import socket
import stat
import sys
import time
from abc import abstractmethod

from lb.config import AccessLog
from lb.config.access_log import STREAMS
from lb.errors import CannotWrite
from lb.proxy.logs.writing import ATOMIC, Outlet
from lb.system import reason

PRIORITY = 134
"""Of a line for syslog: local0, informational (RFC 5424, 6.2.1)."""
LONGEST = 8192
"""Bytes of one message for syslog; daemons cut off more, or lose it."""
AGAIN = 1.0
"""Seconds until somebody who could not be reached is tried again."""


class Sink:
    """Takes whole lines."""

    why = ""
    """What was wrong when some could not be written the last time."""

    @abstractmethod
    def write(self, lines: bytes) -> int:
        """How many could not be written."""

    @abstractmethod
    def reopen(self) -> None:
        """Begin again where the name leads now. Raises OSError, and goes on as before."""

    @abstractmethod
    def close(self) -> None: ...


class Descriptor(Sink):
    """What somebody else has opened, and others may write to."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._outlet = None if descriptor is None else Outlet(descriptor)
        self._pieces = descriptor is not None and not stat.S_ISREG(os.fstat(descriptor).st_mode)

    def write(self, lines: bytes) -> int:
        outlet = self._outlet
        if outlet is None:
            self.why = "it is closed"
            return lines.count(b"\n")
        begin, lost = 0, 0
        while begin < len(lines):
            end = len(lines)
            if self._pieces:
                most = begin + ATOMIC
                end = lines.rfind(b"\n", begin, most) + 1 or lines.find(b"\n", begin) + 1
            lost += outlet.put_out(lines[begin:end]).count(b"\n")
            begin = end
        if lost:
            self.why = outlet.why
        return lost

    def reopen(self) -> None:
        """It has no name."""

    def close(self) -> None:
        """It is not ours."""


class File(Descriptor):
    """A file that grows."""

    def __init__(self, path: str) -> None:
        """Raises OSError."""
        self._path = path
        super().__init__(_opened(path))

    def reopen(self) -> None:
        before = self._descriptor
        super().__init__(_opened(self._path))
        if before is not None:
            os.close(before)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = self._outlet = None


def _opened(path: str) -> int:
    # A pipe without a reader would be waited for.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o640)


class Syslog(Sink):
    """Datagrams, one a line: as RFC 5424 has it over UDP, as syslog(3) does to this machine's."""

    def __init__(self, where: str | tuple[str, int]) -> None:
        self._where = where
        self._socket: socket.socket | None = None
        self._again_at = 0.0
        self._host = socket.gethostname().encode("ascii", "replace") or b"-"

    def write(self, lines: bytes) -> int:
        head = self._head()
        lost = 0
        for line in lines.splitlines():
            lost += not self._send((head + line)[:LONGEST])
        return lost

    def reopen(self) -> None:
        self.close()
        self._again_at = 0.0

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _head(self) -> bytes:
        now = time.time()
        if isinstance(self._where, str):
            stamp = time.strftime("%b %e %H:%M:%S", time.localtime(now)).encode()
            return b"<%d>%b lb[%d]: " % (PRIORITY, stamp, os.getpid())
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)).encode()
        micros = int(now % 1 * 1e6)
        return b"<%d>1 %b.%06dZ %b lb %d access - " % (
            *(PRIORITY, stamp, micros),
            *(self._host, os.getpid()),
        )

    def _send(self, message: bytes) -> bool:
        try:
            if self._socket is None:
                if time.monotonic() < self._again_at:
                    return False
                self._socket = self._connected()
            self._socket.send(message)
        except OSError as error:
            self.why = reason(error)
            self.close()  # the daemon may be another one by now
            self._again_at = time.monotonic() + AGAIN
            return False
        return True

    def _connected(self) -> socket.socket:
        address: str | tuple[object, ...]
        if isinstance(self._where, str):
            connection, address = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), self._where
        else:
            found = socket.getaddrinfo(*self._where, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            connection = socket.socket(family, kind, protocol)
        try:
            connection.connect(address)
        except OSError:
            connection.close()
            raise
        return connection


def sink(table: AccessLog) -> Sink:
    """Where `table` says. Raises CannotWrite."""
    if table.syslog is not None:
        return Syslog(table.syslog)
    if table.file in STREAMS:
        try:
            return Descriptor(getattr(sys, table.file).fileno())
        except (AttributeError, OSError):  # it is None, or no file
            return Descriptor(None)
    try:
        return File(table.file)
    except OSError as error:
        raise CannotWrite(table.file, reason(error)) from None
