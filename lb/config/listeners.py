"""Where the proxy listens, and how it speaks there: `[server] listen`, `[[listener]]`, TLS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from lb.config.files import NamedFile
from lb.config.places import Place
from lb.config.values import UNIX, Address, Mistakes, Table, each

TlsVersion = Literal["1.2", "1.3"]


class CertificateTable(Table):
    """A certificate and its key, both PEM."""

    certificate: NamedFile
    """The server's own first, then those that lead from it to a root."""
    key: NamedFile
    """Not encrypted."""


class ListenerTls(Table):
    """TLS towards clients. Files are read again at each reload. HTTP/1.1 is agreed on by ALPN with
    clients that offer it; with those that offer other protocols alone nothing is agreed on.
    """

    certificate: NamedFile | None = None
    """PEM, the server's own first, then those that lead from it to a root."""
    key: NamedFile | None = None
    """PEM, not encrypted."""
    certificates: Annotated[tuple[CertificateTable, ...], Field(strict=False)] = ()
    """Several, of which a client gets the one that is valid for the name it asks for, else the
    first. They share sessions: whoever asks for one of another name may resume it, and is shown no
    certificate."""
    min_version: TlsVersion = "1.2"
    """The oldest version of TLS that is spoken."""

    @model_validator(mode="after")
    def _some(self) -> ListenerTls:
        for given, missing in (("certificate", "key"), ("key", "certificate")):
            if getattr(self, given) is not None and getattr(self, missing) is None:
                raise Mistakes(((given,), f"has no {missing}; give both"))
        if self.certificate is None and not self.certificates:
            raise Mistakes((("certificate",), "missing; give certificate and key, PEM files"))
        return self

    def pairs(self) -> list[tuple[Place, str, str]]:
        """Every certificate and its key, and where in this table they stand."""
        found: list[tuple[Place, str, str]] = []
        if self.certificate is not None and self.key is not None:
            found.append(((), self.certificate, self.key))
        for number, row in enumerate(self.certificates):
            found.append((("certificates", number), row.certificate, row.key))
        return found


def _mode(text: str) -> str:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(f'{text!r} is no mode of a file, such as "0660"')
    return text


class ListenerTable(Table):
    """One more place to listen, in its own way."""

    address: Address
    """host:port, [v6]:port, or unix:/path. [::] is all addresses of IPv6 and none of IPv4, which
    0.0.0.0 is."""
    proxy_protocol: bool = False
    """Every connection begins with a PROXY header, version 1 or 2, which says who the client is;
    one that does not is closed. Whoever connects is believed, unless proxy_from says whom."""
    proxy_from: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Networks of those who may send PROXY headers, everybody unless given; others are closed."""
    mode: Annotated[str, AfterValidator(_mode)] | None = None
    """Who may connect to a Unix socket, as chmod has it; what the umask leaves unless given."""
    tls: ListenerTls | None = None

    @field_validator("proxy_from")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        return each(networks, ip_network)

    @model_validator(mode="after")
    def _a_file(self) -> ListenerTable:
        if self.mode is not None and not self.address.startswith(UNIX):
            raise Mistakes((("mode",), "is for Unix sockets, unix:/path; others have none"))
        if self.proxy_from and not self.proxy_protocol:
            raise Mistakes((("proxy_from",), "is for proxy_protocol = true, which is not given"))
        if self.proxy_from and self.address.startswith(UNIX):
            raise Mistakes((("proxy_from",), "clients of a Unix socket have no address; see mode"))
        return self


@dataclass(frozen=True)
class Listener:
    """One place where the proxy listens."""

    address: str
    proxy_protocol: bool = False
    mode: int | None = None
    tls: ListenerTls | None = None
    place: Place = field(default=(), compare=False)
    """Of `tls` in the file."""
    proxy_from: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What it is known by from one file to the next."""
        if self.address.startswith(UNIX) or not self.address.endswith(":0"):
            return self.address
        return f"{self.address} {self.place}"  # each of these is another one


def listeners(
    listen: Sequence[str], tls: ListenerTls | None, tables: Sequence[ListenerTable]
) -> tuple[Listener, ...]:
    """All of a file: those of `[server]`, whose TLS they share, then `tables`."""
    common = [Listener(address, tls=tls, place=("server", "tls")) for address in listen]
    own = [
        Listener(
            row.address,
            row.proxy_protocol,
            None if row.mode is None else int(row.mode, 8),
            row.tls,
            ("listener", number, "tls"),
            row.proxy_from,
        )
        for number, row in enumerate(tables)
    ]
    return (*common, *own)


def twice(found: Sequence[Listener]) -> Iterator[Listener]:
    """Those whose address another has before them; port 0 is another one each time."""
    seen: set[str] = set()
    for one in found:
        if one.address in seen:
            yield one
        if one.key == one.address:
            seen.add(one.address)


class BackendTls(Table):
    """TLS towards a backend. An empty table is TLS with all defaults."""

    verify: bool = True
    """Whether its certificate must be good, and be for its name. Without that anybody on the way
    can read and change everything."""
    ca: NamedFile | None = None
    """PEM: who may have signed its certificate; the system's authorities unless given."""
    certificate: NamedFile | None = None
    """PEM: ours, for backends that ask for one."""
    key: NamedFile | None = None
    """PEM, not encrypted."""
    server_name: str | None = None
    """What its certificate is for, and what it is told by SNI; the host of its address unless
    given."""

    @model_validator(mode="after")
    def _both(self) -> BackendTls:
        for given, missing in (("certificate", "key"), ("key", "certificate")):
            if getattr(self, given) is not None and getattr(self, missing) is None:
                raise Mistakes(((given,), f"has no {missing}; give both"))
        if not self.verify and self.ca is not None:
            raise Mistakes((("ca",), "nothing is verified: verify is false; give one of them"))
        return self
