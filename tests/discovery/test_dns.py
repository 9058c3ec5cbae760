"""Names and services: what each answer of a name server comes to."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from lb.config.discovery import DiscoveryTable
from lb.discovery.dns import in_tiers, source_of_names
from lb.discovery.watching import Sighting, Source
from tests.discovery.nameserver import BROKEN, EMPTY, NO_SUCH_NAME, SILENCE, NameServer, Reply

WEB = "web.internal"
SERVICE = "_http._tcp.web.internal"


def name(server: NameServer, **keys: object) -> Source:
    return source_of_names(table(server, dns=f"{WEB}:3000", **keys))


def service(server: NameServer, **keys: object) -> Source:
    return source_of_names(table(server, srv=SERVICE, **keys))


def table(server: NameServer, **keys: object) -> DiscoveryTable:
    return DiscoveryTable.model_validate({"nameservers": [server.address], "timeout": 60.0, **keys})


def addresses(sighting: Sighting) -> list[str]:
    return [row.address for row in sighting.rows or ()]


def places(sighting: Sighting) -> list[tuple[str, str, float, int]]:
    return [(row.label, row.address, row.weight, row.priority) for row in sighting.rows or ()]


# --- addresses


def test_every_address_of_a_name_is_a_backend_ipv4_first(server: NameServer) -> None:
    server.says(WEB, "A", "10.0.0.10", "10.0.0.9")
    server.says(WEB, "AAAA", "fd00::2", "fd00::1")
    found = name(server).look()
    assert addresses(found) == [
        "10.0.0.9:3000",
        "10.0.0.10:3000",
        "[fd00::1]:3000",
        "[fd00::2]:3000",
    ]
    assert not found.trouble


def test_a_rotated_answer_is_the_same(server: NameServer) -> None:
    source = name(server)
    server.says(WEB, "A", "10.0.0.1", "10.0.0.2", "10.0.0.3")
    first = source.look()
    server.says(WEB, "A", "10.0.0.3", "10.0.0.1", "10.0.0.2")
    assert source.look() == first


@pytest.mark.parametrize(
    ("family", "found"), [("ipv4", ["10.0.0.1:3000"]), ("ipv6", ["[fd00::1]:3000"])]
)
def test_only_one_family_is_asked_for(server: NameServer, family: str, found: list[str]) -> None:
    server.says(WEB, "A", "10.0.0.1")
    server.says(WEB, "AAAA", "fd00::1")
    assert addresses(name(server, family=family).look()) == found
    assert len(server.asked) == 1


def test_an_answer_that_is_cut_short_is_asked_for_by_tcp(server: NameServer) -> None:
    many = [f"10.0.{n // 250}.{n % 250}" for n in range(400)]
    server.says(WEB, "A", *many, cut=True)
    assert len(addresses(name(server, family="ipv4").look())) == 400
    assert server.asked == [(WEB, "A", "udp"), (WEB, "A", "tcp")]


def test_records_hold_for_the_shortest_ttl(server: NameServer) -> None:
    server.says(WEB, "A", "10.0.0.1", ttl=30)
    server.says(WEB, "AAAA", "fd00::1", ttl=7)
    assert name(server).look().holds == 7


TROUBLE = {
    "no such name": (NO_SUCH_NAME, "it has no address"),
    "a name without addresses": (EMPTY, "it has no address"),
    "a server that fails": (BROKEN, "SERVFAIL from 127.0.0.1:"),
    "a server that refuses": (Reply(code="REFUSED"), "REFUSED from 127.0.0.1:"),
    "silence": (SILENCE, "no answer of a name server within 0.3 s"),
}


@pytest.mark.parametrize(("reply", "why"), TROUBLE.values(), ids=TROUBLE)
def test_trouble_tells_no_backends(server: NameServer, reply: Reply, why: str) -> None:
    source = name(server, timeout=0.3 if reply is SILENCE else 60.0)
    server.zone[WEB, "A"] = server.zone[WEB, "AAAA"] = reply
    sighting = source.look()
    assert sighting.rows is None
    assert why in sighting.trouble


def test_a_family_of_which_nothing_is_heard_stays_what_it_was(server: NameServer) -> None:
    source = name(server)
    server.says(WEB, "A", "10.0.0.1")
    server.says(WEB, "AAAA", "fd00::1")
    source.look()
    server.says(WEB, "A", "10.0.0.2")
    server.zone[WEB, "AAAA"] = BROKEN
    found = source.look()
    assert addresses(found) == ["10.0.0.2:3000", "[fd00::1]:3000"]
    assert found.trouble.startswith("AAAA: SERVFAIL")


def test_a_family_is_not_over_while_nothing_is_heard_of_the_other(server: NameServer) -> None:
    source = name(server)
    server.says(WEB, "A", "10.0.0.1")
    server.says(WEB, "AAAA", "fd00::1")
    first = source.look()
    server.zone[WEB, "A"] = NO_SUCH_NAME
    server.zone[WEB, "AAAA"] = BROKEN
    assert source.look().rows == first.rows


def test_a_family_may_come_to_an_end(server: NameServer) -> None:
    source = name(server)
    server.says(WEB, "A", "10.0.0.1")
    server.says(WEB, "AAAA", "fd00::1")
    source.look()
    server.zone[WEB, "A"] = EMPTY
    found = source.look()
    assert (addresses(found), found.trouble) == (["[fd00::1]:3000"], "")


def test_the_next_server_is_asked_where_the_first_is_silent_or_not_there() -> None:
    with NameServer() as silent, NameServer() as good:
        silent.zone[WEB, "A"] = SILENCE
        good.says(WEB, "A", "10.0.0.1")
        source = name(silent, nameservers=[silent.address, good.address], family="ipv4")
        assert addresses(source.look()) == ["10.0.0.1:3000"]


def test_the_system_is_asked_where_the_file_has_no_name_servers() -> None:
    def lookup(host: str) -> Sequence[str]:
        assert host == WEB
        return ["fd00::1", "10.0.0.2", "fe80::1%eth0", "10.0.0.1", "10.0.0.2"]

    source = source_of_names(DiscoveryTable(dns=f"{WEB}:80"), lookup=lookup)
    assert addresses(source.look()) == ["10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80"]


NOT_KNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (NOT_KNOWN, "name or service not known"),
        (UnicodeError("label too long"), "label too long"),
        (None, "it has no IPv4 address"),
    ],
)
def test_the_systems_trouble_is_told(error: Exception | None, why: str) -> None:
    def lookup(_: str) -> Sequence[str]:
        if error is not None:
            raise error
        return ["fd00::1"]

    source = source_of_names(DiscoveryTable(dns=f"{WEB}:80", family="ipv4"), lookup=lookup)
    assert source.look() == Sighting(None, why)


def test_localhost_is_known_to_the_system() -> None:
    source = source_of_names(DiscoveryTable(dns="localhost:80", family="ipv4"))
    assert "127.0.0.1:80" in addresses(source.look())


# --- services


def test_a_service_gives_targets_ports_weights_and_tiers(server: NameServer) -> None:
    server.says(
        SERVICE,
        "SRV",
        "20 5 3000 c.internal.",
        "10 60 3001 b.internal.",
        "10 20 3000 a.internal.",
        ttl=5,
    )
    server.says("a.internal", "A", "10.0.0.1")
    server.says("b.internal", "A", "10.0.0.2")
    server.says("c.internal", "AAAA", "fd00::3")
    found = service(server).look()
    assert places(found) == [
        ("a.internal:3000", "10.0.0.1:3000", 20, 0),
        ("b.internal:3001", "10.0.0.2:3001", 60, 0),
        ("c.internal:3000", "[fd00::3]:3000", 5, 1),
    ]
    assert (found.trouble, found.holds) == ("", 5)


def test_addresses_that_come_along_are_not_asked_for(server: NameServer) -> None:
    beside = [("a.internal", "A", "10.0.0.1"), ("b.internal", "AAAA", "fd00::2")]
    server.says(SERVICE, "SRV", "1 1 80 a.internal.", "1 1 80 b.internal.", beside=beside)
    found = service(server).look()
    assert addresses(found) == ["10.0.0.1:80", "[fd00::2]:80"]
    assert server.asked == [(SERVICE, "SRV", "udp")]


def test_a_target_keeps_the_address_that_it_has(server: NameServer) -> None:
    source = service(server)
    server.says(SERVICE, "SRV", "1 1 80 a.internal.")
    server.says("a.internal", "A", "10.0.0.2")
    assert addresses(source.look()) == ["10.0.0.2:80"]
    server.says("a.internal", "A", "10.0.0.1", "10.0.0.2")
    assert addresses(source.look()) == ["10.0.0.2:80"]
    server.zone["a.internal", "A"] = BROKEN
    assert addresses(source.look()) == ["10.0.0.2:80"]
    server.says("a.internal", "A", "10.0.0.1")
    assert places(source.look()) == [("a.internal:80", "10.0.0.1:80", 1, 0)]


def test_a_target_without_an_address_does_not_hold_the_others_up(server: NameServer) -> None:
    server.says(SERVICE, "SRV", "1 1 80 a.internal.", "1 1 80 b.internal.")
    server.says("b.internal", "A", "10.0.0.2")
    found = service(server).look()
    assert addresses(found) == ["10.0.0.2:80"]
    assert found.trouble == "a.internal: it has no address"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (EMPTY, "it has no SRV record"),
        (NO_SUCH_NAME, "it has no SRV record"),
        (Reply(["0 0 0 ."]), "it has no SRV record"),
        (BROKEN, "SERVFAIL from 127.0.0.1:"),
        (SILENCE, "no answer of a name server within 0.3 s"),
    ],
)
def test_trouble_of_a_service(server: NameServer, reply: Reply, why: str) -> None:
    server.zone[SERVICE, "SRV"] = reply
    sighting = service(server, timeout=0.3 if reply is SILENCE else 60.0).look()
    assert sighting.rows is None
    assert why in sighting.trouble


def test_a_long_service_comes_by_tcp(server: NameServer) -> None:
    records = [f"1 1 80 t{n}.internal." for n in range(100)]
    beside = [(f"t{n}.internal", "A", f"10.0.0.{n}") for n in range(100)]
    server.says(SERVICE, "SRV", *records, cut=True, beside=beside)
    assert len(addresses(service(server).look())) == 100
    assert server.asked[-1][2] == "tcp"


WEIGHTS = {
    "as they are": ([(1, 3.0), (1, 5.0)], [3, 5]),
    "all zero are alike": ([(1, 0.0), (1, 0.0)], [1, 1]),
    "zero beside others is hardly ever": ([(1, 0.0), (1, 50.0)], [0.5, 50]),
    "each priority for itself": ([(1, 0.0), (2, 7.0)], [1, 7]),
}


@pytest.mark.parametrize(("records", "weights"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights(records: list[tuple[int, float]], weights: list[float]) -> None:
    found = [(priority, weight, f"t{n}", 80) for n, (priority, weight) in enumerate(records)]
    assert [row.weight for row in in_tiers(found, {})] == weights


def test_without_addresses_a_target_is_called_by_its_name() -> None:
    (row,) = in_tiers([(7, 1.0, "a.internal", 80)], {})
    assert (row.address, row.label, row.priority) == ("a.internal:80", "a.internal:80", 0)


def test_one_target_counts_once() -> None:
    rows = in_tiers([(2, 9.0, "a", 80), (1, 1.0, "a", 80), (1, 1.0, "a", 81)], {})
    assert [(row.label, row.priority) for row in rows] == [("a:80", 0), ("a:81", 0)]


def test_services_are_asked_of_the_systems_servers(
    server: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dns.resolver import Resolver

    host, _, port = server.address.rpartition(":")
    file = tmp_path / "resolv.conf"
    file.write_text(f"nameserver {host}\nsearch internal\n")
    read = Resolver.read_resolv_conf

    def ours(self: Resolver, _: object) -> None:
        read(self, str(file))
        self.port = int(port)

    monkeypatch.setattr(Resolver, "read_resolv_conf", ours)
    server.says(SERVICE, "SRV", "1 1 80 a.internal.")
    source = source_of_names(DiscoveryTable(srv="_http._tcp.web"))
    assert places(source.look()) == [("a.internal:80", "a.internal:80", 1, 0)]
    file.unlink()
    assert "resolv.conf" in source.look().trouble
