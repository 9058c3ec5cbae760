"""TLS between a transport and a protocol: below it bytes are secret, above it they are plain.

An event loop's own layer cannot end one direction alone, cannot follow a header that was read in
plain, and is not the same on every loop; this one can, costs a little less, and does nothing else.
To its protocol it is the transport. What comes with one wake-up is decrypted until nothing is left,
which the buffer tells, and what is written at once leaves in one piece.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, cast

from lb.proxy.http.message import error
from lb.proxy.tls.failures import failure

RECORD = 16384
"""Bytes of content that one record holds at most (RFC 8446, 5.1): a read this long empties it."""
SLICE = RECORD
"""Bytes that are encrypted or decrypted at a time: OpenSSL's buffers stay as large as they were at
their fullest for as long as a connection lives."""
PLAIN_HTTP = error(400, "bad_request", "this port speaks TLS: write https")


class Secured(asyncio.Protocol):
    """The protocol of one transport, and the transport of another protocol."""

    __slots__ = (
        "_begun",
        "_below",
        "_closing",
        "_ended",
        "_failed",
        "_handshaking",
        "_incoming",
        "_inner",
        "_loop",
        "_outgoing",
        "_paused",
        "_preface",
        "_rest",
        "_shaken",
        "_ssl",
        "_strict",
        "_why",
    )

    def __init__(
        self,
        inner: asyncio.Protocol,
        context: ssl.SSLContext,
        server_name: str | None,
        shaken: asyncio.Future[None] | None,
        loop: asyncio.AbstractEventLoop,
        preface: bytes = b"",
        failed: Callable[[Exception | None], None] | None = None,
    ) -> None:
        """With `shaken`, which hears how the handshake went, we are the client; else the server.

        A server's `inner` has its connection at once, a client's when there is somebody to talk to.
        `preface` goes out before any TLS. `failed` hears why a server's handshake that the client
        had begun came to nothing, as far as that is known.
        """
        self._inner: Any = inner
        self._loop = loop
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl: ssl.SSLObject = context.wrap_bio(
            self._incoming, self._outgoing, shaken is None, server_name
        )
        self._below: asyncio.Transport
        self._preface = preface
        self._shaken = shaken
        self._strict = shaken is not None  # an end must be said, or what ends by it may be cut off
        self._failed = failed
        self._begun = False  # the other side has said something
        self._handshaking = True
        self._paused = False
        self._rest = b""  # what has come meanwhile
        self._closing = False
        self._ended = False  # the other side has said that nothing more comes
        self._why: Exception | None = None

    def __repr__(self) -> str:
        return f"<Secured {self._inner!r}>"

    # --- what the transport below calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._below = cast(asyncio.Transport, transport)  # uvloop has its own class
        if self._shaken is None:
            self._inner.connection_made(self)
        else:
            if self._preface:
                self._below.write(self._preface)
            self._shake()

    def data_received(self, data: bytes) -> None:
        if self._paused or self._rest or len(data) > SLICE:
            self._rest += data
            self._go_on()
        else:
            self._incoming.write(data)
            if not (self._handshaking and not self._shake()):
                self._decrypt()

    def eof_received(self) -> bool:
        if self._rest:
            self._go_on()
        if self._handshaking:
            self._fail(None)
        elif self._strict and not self._ended:
            self._why = ConnectionResetError("closed without a word of TLS")
            self.abort()
        elif not self._ended:
            self._end()
        return True  # it is closed already if it is to be

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        shaken = self._shaken
        if shaken is None:
            if self._handshaking and self._begun and self._failed is not None:
                self._failed(self._why or exc)
            self._inner.connection_lost(exc or self._why)
        elif not shaken.done():
            shaken.set_exception(failure(self._why or exc))
        elif not shaken.cancelled() and shaken.exception() is None:
            self._inner.connection_lost(exc or self._why)

    def pause_writing(self) -> None:
        if not self._handshaking:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if not self._handshaking:
            self._inner.resume_writing()

    # --- what the protocol above calls

    def write(self, data: bytes) -> None:
        if self._handshaking or self._closing or not data:
            return
        if len(data) > SLICE:
            self._write_on(memoryview(data))
            return
        taken = self._ssl.write(data)
        self._below.write(self._outgoing.read())
        if taken != len(data):  # it may take one record at a time
            self._write_on(memoryview(data)[taken:])

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.write(b"".join(pieces))

    def write_eof(self) -> None:
        if not self._closing:
            self._farewell()
            self._below.write_eof()

    def close(self) -> None:
        if self._closing:
            return
        if self._handshaking:
            self.abort()
        else:
            self._closing = True
            self._farewell()
            self._below.close()

    def abort(self) -> None:
        self._closing = True
        self._below.abort()

    def is_closing(self) -> bool:
        return self._closing or self._below.is_closing()

    def pause_reading(self) -> None:
        self._paused = True
        self._below.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        self._below.resume_reading()
        if self._rest or self._incoming.pending:
            self._loop.call_soon(self._go_on)

    def get_write_buffer_size(self) -> int:
        return self._below.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`ssl_object` beside what the transport below knows."""
        return self._ssl if name == "ssl_object" else self._below.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        """From now on that one is above. What it speaks says by itself when it is whole."""
        self._inner = protocol
        self._strict = False

    def get_protocol(self) -> asyncio.Protocol:
        return cast(asyncio.Protocol, self._inner)

    # --- inside

    def _write_on(self, rest: memoryview) -> None:
        while rest:
            taken = self._ssl.write(rest[:SLICE])  # mypyc evaluates twice where a slice begins
            rest = rest[taken:]
            self._below.write(self._outgoing.read())

    def _shake(self) -> bool:
        """One step of the handshake; whether that was the last."""
        self._begun = True
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except (ssl.SSLError, ssl.CertificateError, ValueError) as why:
            self._fail(why)
            return False
        self._handshaking = False
        self._flush()
        shaken = self._shaken
        if shaken is not None:
            if shaken.done():  # nobody waits any more
                self.abort()
                return False
            self._inner.connection_made(self)
            shaken.set_result(None)
        return True

    def _decrypt(self) -> None:
        incoming = self._incoming
        try:
            while True:
                content = self._ssl.read(RECORD)
                if not content:
                    if not self._ended:
                        self._end()
                    return
                self._inner.data_received(content)
                if not incoming.pending or self._paused or self._closing:
                    break
        except ssl.SSLWantReadError:
            pass  # part of a record, or one that says nothing to whoever is above
        except ssl.SSLZeroReturnError:  # the same as no content, once we have ended too
            if not self._ended:
                self._end()
            return
        except ssl.SSLError as why:
            self._why = ConnectionResetError(str(failure(why)))
            self._flush()  # what is wrong with it
            self.abort()
            return
        if self._outgoing.pending:
            self._flush()

    def _go_on(self) -> None:
        """Take what has come and is not decrypted, as far as it may be read."""
        incoming, view, at = self._incoming, memoryview(self._rest), 0
        self._rest = b""
        if incoming.pending and not self._paused and not self._closing:
            self._decrypt()
        while at < len(view) and not self._paused and not self._closing:
            incoming.write(view[at : at + SLICE])
            at += SLICE
            if not (self._handshaking and not self._shake()):
                self._decrypt()
        if at < len(view) and not self._closing:
            self._rest = bytes(view[at:])

    def _end(self) -> None:
        self._ended = True
        if not self._inner.eof_received():
            self.close()

    def _flush(self) -> None:
        said = self._outgoing.read()
        if said and not self._below.is_closing():
            self._below.write(said)

    def _farewell(self) -> None:
        """Say that nothing more comes, whatever the other side does."""
        rest = self._incoming.read()  # else it would be looked through for an answer
        with suppress(ssl.SSLError):
            self._ssl.unwrap()
        self._incoming.write(rest)
        self._flush()

    def _fail(self, why: Exception | None) -> None:
        """No handshake."""
        self._why = why
        if isinstance(why, ssl.SSLError) and why.reason == "HTTP_REQUEST":
            self._below.write(PLAIN_HTTP.written(keep_alive=False))
        else:
            self._flush()  # what is wrong with it
        self._closing = True
        self._below.close()
