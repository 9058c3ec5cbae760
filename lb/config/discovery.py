"""`[[discovery]]`: where backends are found while the proxy runs, beside those of the file.

Each table has one source: a file that is watched, a name with addresses, or a service (SRV).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from lb.aside import is_address
from lb.config.files import NamedFile
from lb.config.model import BackendKeys, BackendTable
from lb.config.places import Place
from lb.config.values import Mistakes, PositiveDuration, Table, address, each, host_and_port

FILE_INTERVAL = 1.0
NAMES_INTERVAL = 10.0
"""Seconds; Kubernetes' own records may be kept for 5 s or 30 s, Consul's for none."""
DNS_PORT = 53
SOURCES = ("dns", "srv", "file")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def host_name(text: str) -> str:
    """Check a name that may be looked up. Raises ValueError."""
    labels = text.removesuffix(".").split(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text!r} is no name, such as web.internal")
    return text


def _name_and_port(text: str) -> str:
    host, port = host_and_port(address(text))
    if is_address(host):
        raise ValueError(f'{text!r} is an address already; write it as [[backend]] address = "..."')
    if not port:
        raise ValueError(f"{text!r} has no port that backends could have")
    host_name(host)
    return text


def name_server(text: str) -> tuple[str, int]:
    """`10.0.0.2`, `10.0.0.2:5353`, `::1`, `[::1]:53` as address and port. Raises ValueError."""
    if is_address(text.strip("[]")):
        return str(ip_address(text.strip("[]"))), DNS_PORT
    try:
        host, port = host_and_port(address(text))
    except ValueError:
        host, port = text, 0
    if not is_address(host) or not port:
        raise ValueError(f'{text!r} is no address of a name server, such as "10.0.0.2:53"')
    return host, port


class DiscoveryTable(Table):
    """One source of backends. What it said last stays in use until it says something else."""

    dns: Annotated[str, AfterValidator(_name_and_port)] | None = None
    """A name and a port, "web.internal:3000": every address of the name (A and AAAA) is a backend,
    called by its address and port."""
    srv: Annotated[str, AfterValidator(host_name)] | None = None
    """A service, "_http._tcp.web.internal": every SRV record is a backend, called by its target and
    port, with the record's weight; the records' lowest priority becomes 0, the next one 1."""
    file: NamedFile | None = None
    """A list of backends as in [[backend]], TOML, or JSON where its name ends in .json. It is read
    again whenever it has changed; replace it by renaming another one to it."""
    interval: PositiveDuration | None = None
    """Between two looks (1s for a file, 10s for names). Records of services
    and of `nameservers` are asked for again when their TTL is over, once a second at most."""
    timeout: PositiveDuration = 5.0
    """For an answer. Nobody waits for it but this source."""
    nameservers: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Addresses, "10.0.0.2" or "10.0.0.2:5353", asked in this order; else names are looked up as
    the system does it, /etc/hosts included, and services by the servers of /etc/resolv.conf."""
    family: Literal["any", "ipv4", "ipv6"] = "any"
    """Which addresses of a name are used."""
    backend: BackendKeys = BackendKeys()
    """What holds for the backends found here, where they do not say it themselves."""

    @field_validator("nameservers")
    @classmethod
    def _servers(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        return each(servers, name_server)

    @model_validator(mode="after")
    def _one_source(self) -> DiscoveryTable:
        given = [key for key in SOURCES if getattr(self, key) is not None]
        if not given:
            raise ValueError('no source; give dns = "NAME:PORT", srv = "NAME" or file = "PATH"')
        if len(given) > 1:
            raise Mistakes(((given[1],), f"{given[0]} is given too; write a table for each"))
        found = [(place, why) for place, why in self.useless() if self._says(place)]
        if found:
            raise Mistakes(*found)
        return self

    def completed(self, row: BackendTable) -> BackendTable:
        """A backend that was found here, with what holds for all of them.

        A certificate is for the name that led there, unless `server_name` says another one.
        """
        row = row.after(self.backend)
        if row.tls is None or row.tls.server_name is not None or self.file is not None:
            return row
        host, _ = host_and_port(self.dns or row.label)
        return row.model_copy(update={"tls": row.tls.model_copy(update={"server_name": host})})

    def useless(self) -> Iterator[tuple[Place, str]]:
        """Keys that say nothing of this source, and why."""
        if self.file is not None:
            yield ("nameservers",), "a file is read; nobody is asked"
            yield ("family",), "a file is read; nobody is asked"
        if self.srv is not None:
            yield ("backend", "weight"), "each SRV record says its own"
            yield ("backend", "priority"), "each SRV record says its own"
            if not self.nameservers:
                yield ("family",), "the system looks targets up; give nameservers"

    def _says(self, place: Place) -> bool:
        table = self.backend if len(place) > 1 else self
        return place[-1] in table.model_fields_set

    @property
    def source(self) -> str:
        """`dns web.internal:3000`: its name in logs; two tables of one file differ in it."""
        key = next(key for key in SOURCES if getattr(self, key) is not None)
        return f"{key} {getattr(self, key)}"

    @property
    def every(self) -> float:
        """Seconds between two looks."""
        if self.interval is not None:
            return self.interval
        return NAMES_INTERVAL if self.file is None else FILE_INTERVAL


def check_sources(tables: Sequence[DiscoveryTable]) -> None:
    """Raise Mistakes for a source that is given twice."""
    seen: dict[str, int] = {}
    found: list[tuple[Place, str]] = []
    for number, table in enumerate(tables):
        first = seen.setdefault(table.source, number)
        if first != number:
            key = table.source.partition(" ")[0]
            found.append(((number, key), f"is given twice, first as discovery[{first}]"))
    if found:
        raise Mistakes(*found)


def sources(tables: Iterable[Any]) -> str:
    """Their names, for people."""
    return ", ".join(table.source for table in tables)
