"""A name server that answers as the test has it: UDP and TCP, on a thread of its own."""

from __future__ import annotations

import selectors
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

TTL = 600


@dataclass
class Reply:
    """What is answered to one question."""

    records: Sequence[str] = ()
    code: str = "NOERROR"
    ttl: int = TTL
    cut: bool = False
    """By UDP it does not fit."""
    silent: bool = False
    beside: Sequence[tuple[str, str, str]] = ()
    """Name, kind and value of records that come along."""


SILENCE = Reply(silent=True)
NO_SUCH_NAME = Reply(code="NXDOMAIN")
BROKEN = Reply(code="SERVFAIL")
EMPTY = Reply()


@dataclass
class NameServer:
    """`zone` by name and kind; there are no other names."""

    zone: dict[tuple[str, str], Reply] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, kind, and "udp" or "tcp"."""

    def __enter__(self) -> Self:
        self._udp, self._tcp = _sockets()
        self._wake, self._woken = socket.socketpair()
        self._thread = Thread(target=self._serve, name="name server")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"x")
        self._thread.join()
        for it in (self._udp, self._tcp, self._wake, self._woken):
            it.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._udp.getsockname()[1]}"

    def says(self, name: str, kind: str, *records: str, **how: object) -> None:
        self.zone[name, kind] = Reply(records, **how)  # type: ignore[arg-type]

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for it in (self._udp, self._tcp, self._woken):
                selector.register(it, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        return
                    if key.fileobj is self._udp:
                        data, client = self._udp.recvfrom(4096)
                        if answer := self._answer(data, "udp"):
                            self._udp.sendto(answer, client)
                    else:
                        self._converse()

    def _converse(self) -> None:
        connection, _ = self._tcp.accept()
        with connection, connection.makefile("rwb") as stream:
            (length,) = struct.unpack("!H", stream.read(2))
            if answer := self._answer(stream.read(length), "tcp"):
                stream.write(struct.pack("!H", len(answer)) + answer)

    def _answer(self, data: bytes, way: str) -> bytes:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True), question.rdtype.name
        known = any(name == other for other, _ in self.zone)
        reply = self.zone.get((name, kind), EMPTY if known else NO_SUCH_NAME)
        self.asked.append((name, kind, way))
        if reply.silent:
            return b""
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.from_text(reply.code))
        if reply.cut and way == "udp":
            answer.flags |= dns.flags.TC
            return answer.to_wire()
        if reply.records:
            rows = dns.rrset.from_text_list(question.name, reply.ttl, "IN", kind, reply.records)
            answer.answer.append(rows)
        for beside, other, value in reply.beside:
            answer.additional.append(dns.rrset.from_text(f"{beside}.", TTL, "IN", other, value))
        return answer.to_wire(max_size=65535)


def _sockets() -> tuple[socket.socket, socket.socket]:
    """For datagrams and for connections, at one port."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            tcp.bind(udp.getsockname())
        except OSError:  # taken by somebody else
            udp.close()
            tcp.close()
            continue
        tcp.listen()
        return udp, tcp
