"""Names that are resolved again and again: each address is a backend, or each record of a service.

The order of an answer says nothing. An answer without records is trouble, as no answer is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from math import inf

from lb.aside import Lookup, is_address, system_lookup
from lb.config import BackendTable, host_and_port
from lb.config.discovery import DiscoveryTable, host_name, name_server
from lb.discovery.asking import NameServers, Records, Unanswered
from lb.discovery.watching import Rows, Sighting, Source
from lb.system import reason

FAMILIES: Mapping[str, tuple[str, ...]] = {"any": ("A", "AAAA"), "ipv4": ("A",), "ipv6": ("AAAA",)}
NONE = {
    "any": "it has no address",
    "ipv4": "it has no IPv4 address",
    "ipv6": "it has no IPv6 address",
}
VERSIONS = {"A": 4, "AAAA": 6}
NEGLIGIBLE = 0.01
"""Of the least weight of others: that of a record of weight 0 beside them, which "should have a
very small chance of being selected" (RFC 2782)."""


def source_of_names(
    table: DiscoveryTable, known: Rows = (), lookup: Lookup = system_lookup
) -> Source:
    """What a table with `dns` or `srv` names; `known` is what was found there before."""
    if table.srv is not None:
        return Service(table, known)
    return AskedAddresses(table, known) if table.nameservers else Addresses(table, lookup)


class Addresses:
    """All addresses that the system knows of a name."""

    def __init__(self, table: DiscoveryTable, lookup: Lookup) -> None:
        assert table.dns is not None
        self._host, self._port = host_and_port(table.dns)
        self._none = NONE[table.family]
        self._versions = {VERSIONS[kind] for kind in FAMILIES[table.family]}
        self._lookup = lookup

    def look(self) -> Sighting:
        try:
            found = self._lookup(self._host)
        except OSError as error:
            return Sighting(trouble=reason(error))
        except ValueError as error:  # a name that cannot be one
            return Sighting(trouble=str(error))
        rows = at_addresses([it for it in found if version(it) in self._versions], self._port)
        return Sighting(rows) if rows else Sighting(trouble=self._none)


class AskedAddresses:
    """The same by name servers of the file; what each family was last stays for itself."""

    def __init__(self, table: DiscoveryTable, known: Rows = ()) -> None:
        assert table.dns is not None
        self._host, self._port = host_and_port(table.dns)
        self._none = NONE[table.family]
        self._kinds = FAMILIES[table.family]
        self._servers = [name_server(text) for text in table.nameservers]
        self._timeout = table.timeout
        before = [host for row in known if is_address(host := host_and_port(row.address)[0])]
        self._known = {
            kind: tuple(it for it in before if version(it) == VERSIONS[kind])
            for kind in self._kinds
        }

    def look(self) -> Sighting:
        servers = NameServers(self._servers, self._timeout)
        now, holds, troubles = dict(self._known), inf, dict[str, list[str]]()
        for kind in self._kinds:
            try:
                records = servers.records(self._host, kind)
            except Unanswered as error:
                troubles.setdefault(str(error), []).append(kind)
                continue
            now[kind] = tuple(record.address for record in records.values)
            holds = min(holds, records.holds) if records.values else holds
        if troubles:  # then that a family is empty may be part of it
            now = {kind: now.get(kind) or self._known.get(kind, ()) for kind in self._kinds}
        rows = at_addresses([it for kind in self._kinds for it in now.get(kind, ())], self._port)
        trouble = "; ".join(f"{', '.join(kinds)}: {why}" for why, kinds in troubles.items())
        if not rows:
            return Sighting(trouble=trouble or self._none)
        self._known = now
        return Sighting(rows, trouble, holds)


class Service:
    """Every record of a service. Targets are looked up here, where the file has name servers."""

    def __init__(self, table: DiscoveryTable, known: Rows = ()) -> None:
        assert table.srv is not None
        self._name = table.srv
        self._none = NONE[table.family]
        self._kinds = FAMILIES[table.family]
        self._servers = [name_server(text) for text in table.nameservers]
        self._timeout = table.timeout
        self._known = {  # the address of each target
            row.label.rpartition(":")[0]: host
            for row in known
            if is_address(host := host_and_port(row.address)[0])
            and version(host) in {VERSIONS[kind] for kind in self._kinds}
        }

    def look(self) -> Sighting:
        try:
            servers = NameServers(self._servers, self._timeout)
            records = servers.records(self._name, "SRV")
        except Unanswered as error:
            return Sighting(trouble=str(error))
        found = [it for it in map(_place, records.values) if it is not None]
        if not found:
            return Sighting(trouble="it has no SRV record")
        if not self._servers:
            return Sighting(in_tiers(found, {}), holds=records.holds)
        known, troubles = {}, []
        for target in dict.fromkeys(target for _, _, target, _ in found):
            try:
                known[target] = self._address(target, servers, records)
            except Unanswered as error:
                troubles.append(f"{target}: {error}")
        rows = in_tiers([it for it in found if it[2] in known], known)
        self._known = known
        return Sighting(rows or None, "; ".join(troubles), records.holds)

    def _address(self, target: str, servers: NameServers, records: Records) -> str:
        """One, and the same for as long as it is one. Raises Unanswered."""
        if is_address(target):
            return target
        before = self._known.get(target)
        found = _beside(target, records, self._kinds)
        why = self._none
        for kind in () if found else self._kinds:
            try:
                found += [it.address for it in servers.records(target, kind).values]
            except Unanswered as error:
                why = str(error)
        if not found and before is None:
            raise Unanswered(why)
        return min(found, key=in_order) if found and before not in found else str(before)


Place = tuple[int, float, str, int]
"""Priority, weight, target, port."""


def _place(record: object) -> Place | None:
    """Of one SRV record. A target that is the root is none: the service is not to be had.

    Nor is a port 0 one.
    """
    priority, weight, port = (getattr(record, key) for key in ("priority", "weight", "port"))
    target = record.target.to_text(omit_final_dot=True)  # type: ignore[attr-defined]
    try:
        return (priority, float(weight), host_name(target), port) if port else None
    except ValueError:
        return None


def _beside(target: str, records: Records, kinds: Sequence[str]) -> list[str]:
    """Addresses that a server has sent along."""
    return [
        record.address
        for rows in records.beside
        if rows.rdtype.name in kinds and rows.name.to_text(omit_final_dot=True) == target
        for record in rows
    ]


def in_tiers(found: Sequence[Place], addresses: Mapping[str, str]) -> tuple[BackendTable, ...]:
    """Backends of SRV records, called by target and port; where `addresses` has none of a target,
    that is its address. The lowest priority comes first, as 0.
    """
    ranks = {priority: rank for rank, priority in enumerate(sorted({it[0] for it in found}))}
    rows: dict[str, BackendTable] = {}
    for priority, weight, target, port in sorted(found, key=lambda it: (it[0], it[2], it[3])):
        others = [it[1] for it in found if it[0] == priority and it[1]]
        name = f"{target}:{port}"
        at = addresses.get(target)
        rows.setdefault(
            name,
            BackendTable(
                address=name if at is None else joined(at, port),
                name="" if at is None else name,
                weight=weight or (NEGLIGIBLE * min(others) if others else 1.0),
                priority=ranks[priority],
            ),
        )
    return tuple(rows.values())


def at_addresses(found: Sequence[str], port: int) -> tuple[BackendTable, ...]:
    """Backends, in an order that is always the same."""
    return tuple(
        BackendTable(address=joined(it, port)) for it in sorted(dict.fromkeys(found), key=in_order)
    )


def in_order(found: str) -> tuple[int, int]:
    """IPv4 first, then by number."""
    address = ip_address(found)
    return address.version, int(address)


def version(found: str) -> int:
    """4 or 6; 0 for what is tied to an interface of this machine, which no other one can mean."""
    return 0 if "%" in found else ip_address(found).version


def joined(found: str, port: int) -> str:
    """An address as a file has it."""
    return f"[{found}]:{port}" if ":" in found else f"{found}:{port}"
