"""A main process whose backends are found: what its crew has, and what is said of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lb.balancing import Add, Remove, Settings
from lb.config import Scenario
from lb.errors import ConfigError
from lb.proxy.lifecycle import Proxy
from lb.workers.chronicle import Chronicle
from lb.workers.crew import Alone
from lb.workers.handover import Estate, Predecessor
from lb.workers.main import Main

LIMIT = 60.0
"""Seconds that no test here may take."""
FILE = """\
[server]
listen = "127.0.0.1:0"
[health]
enabled = false
[[discovery]]
file = "backends.json"
interval = "10ms"
{more}
"""


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources that say something at once have as long for it as they need."""
    monkeypatch.setattr("lb.workers.finding.WITHIN", LIMIT)


class House:
    """One `Main` over a file in a directory of its own."""

    def __init__(self, at: Path, more: str = "", predecessor: Predecessor | None = None) -> None:
        self.at = at
        self.file = at / "lb.toml"
        self.configure(more)
        self.log: list[tuple[str, dict[str, object]]] = []
        self._news = asyncio.Event()
        log = Chronicle(self._note)

        def crew(scenario: Scenario) -> Alone:
            self.proxy = Proxy(scenario, log)
            return Alone(self.proxy)

        self.main = Main(self._read(), log, crew, self._read, predecessor)

    def _read(self) -> Scenario:
        return Scenario.load(self.file)

    def _note(self, level: str, event: str, **fields: object) -> None:
        self.log.append((event, fields))
        self._news.set()

    def configure(self, more: str) -> None:
        self.file.write_text(FILE.format(more=more))

    def find(self, *rows: object) -> None:
        beside = self.at / "beside"
        beside.write_text(json.dumps(rows))
        beside.replace(self.at / "backends.json")

    async def until(self, seen: Callable[[], object]) -> None:
        """Something is logged of all that is waited for."""
        while not seen():
            await self._news.wait()
            self._news.clear()

    @property
    def names(self) -> list[str]:
        return [backend.name for backend in self.proxy.balancer.pool.backends]

    def said(self, wanted: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.log if event == wanted]

    def changes(self) -> list[dict[str, object]]:
        return self.said("control")


async def _bounded(test: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        await test()  # type: ignore[misc]


def run(test: Callable[[], object]) -> None:
    asyncio.run(_bounded(test))


def test_what_is_found_at_the_start_is_there_and_later_it_joins_and_leaves(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(tmp_path)
        house.find("127.0.0.1:1", "127.0.0.1:2")
        await house.main.start()
        assert house.names == ["127.0.0.1:1", "127.0.0.1:2"]
        assert house.changes() == []
        house.find("127.0.0.1:2*5", "127.0.0.1:3")
        await house.until(lambda: len(house.changes()) == 3)
        source = f"discovery file {tmp_path / 'backends.json'}"
        assert house.changes() == [
            {"who": source, "change": "weight", "backend": "127.0.0.1:2", "weight": 5},
            {
                "who": source,
                "change": "add",
                "backend": "127.0.0.1:3",
                "address": "127.0.0.1:3",
            },
            {"who": source, "change": "remove", "backend": "127.0.0.1:1"},
        ]
        assert house.names == ["127.0.0.1:2", "127.0.0.1:3"]
        await house.main.finish()

    run(test)


def test_with_nobody_found_it_serves_all_the_same(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(tmp_path)
        await house.main.start()
        assert house.names == []
        host, _, port = house.main.addresses[0].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        writer.close()
        house.find("127.0.0.1:1")
        await house.until(house.changes)
        assert house.names == ["127.0.0.1:1"]
        await house.main.finish()

    run(test)


def test_a_backend_of_the_file_stays_whatever_is_found(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(tmp_path, '[[backend]]\naddress = "127.0.0.1:9"\n')
        house.find("127.0.0.1:9", "127.0.0.1:1")
        await house.main.start()
        assert house.names == ["127.0.0.1:9", "127.0.0.1:1"]
        house.find("127.0.0.1:2")
        await house.until(lambda: len(house.changes()) == 2)
        assert house.names == ["127.0.0.1:9", "127.0.0.1:2"]
        await house.main.finish()

    run(test)


NEW = Add(Settings(address="127.0.0.1:9", name="new"))


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"address": "127.0.0.1:9", "name": "new"}, "new"),
        ({"address": "127.0.0.1:8", "name": "new"}, "new"),
        ({"address": "127.0.0.1:9", "name": "other"}, "other"),
    ],
)
def test_what_an_operator_has_added_stays_the_operators(
    tmp_path: Path, row: dict[str, str], name: str
) -> None:
    async def test() -> None:
        house = House(tmp_path)
        house.find("127.0.0.1:1")
        await house.main.start()
        await house.main.perform(NEW, "me")
        house.find("127.0.0.1:2", row)
        await house.until(lambda: len(house.changes()) == 3)
        assert house.names == ["new", "127.0.0.1:2"]
        house.find("127.0.0.1:3", row)
        await house.until(lambda: len(house.changes()) == 5)
        assert house.said("backend known twice") == [
            {
                "backend": name,
                "of": "an operator",
                "not_of": f"file {tmp_path / 'backends.json'}",
            }
        ]
        house.find("127.0.0.1:4")
        await house.until(lambda: len(house.changes()) == 7)
        assert house.names == ["new", "127.0.0.1:4"]
        await house.main.finish()

    run(test)


def test_what_an_operator_has_removed_stays_out_until_it_is_added_or_all_is_read_again(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        house = House(tmp_path)
        house.find("127.0.0.1:1", "127.0.0.1:2")
        await house.main.start()
        await house.main.perform(Remove("127.0.0.1:1"), "me")
        house.find("127.0.0.1:1*5", "127.0.0.1:3")
        await house.until(lambda: len(house.changes()) == 3)
        house.find("127.0.0.1:1*6", "127.0.0.1:4")
        await house.until(lambda: len(house.changes()) == 5)
        assert house.names == ["127.0.0.1:4"]
        why = "an operator removed it; add it, or reload"
        assert house.said("backend stays out") == [{"backend": "127.0.0.1:1", "reason": why}]
        await house.main.reload("me")
        assert house.names == ["127.0.0.1:4", "127.0.0.1:1"]
        await house.main.perform(Remove("127.0.0.1:1"), "me")
        await house.main.perform(Add(Settings(address="127.0.0.1:1")), "me")
        house.find("127.0.0.1:5")
        await house.until(lambda: len(house.changes()) == 9)
        assert house.names == ["127.0.0.1:1", "127.0.0.1:5"]
        await house.main.finish()

    run(test)


@pytest.mark.parametrize("name", ["new", "other"])
def test_what_an_operator_has_added_and_removed_does_not_come_back_by_a_source(
    tmp_path: Path, name: str
) -> None:
    async def test() -> None:
        house = House(tmp_path)
        row = {"address": "127.0.0.1:9", "name": name}
        await house.main.start()
        await house.main.perform(NEW, "me")
        house.find("127.0.0.1:1", row)
        await house.until(lambda: len(house.changes()) == 2)
        await house.main.perform(Remove("new"), "me")
        house.find("127.0.0.1:2", row)
        await house.until(lambda: len(house.changes()) == 5)
        assert house.names == ["127.0.0.1:2"]
        assert [fields["backend"] for fields in house.said("backend stays out")] == [name]
        house.find("127.0.0.1:3")
        await house.until(lambda: len(house.changes()) == 7)
        house.find("127.0.0.1:3", row)
        await house.until(lambda: len(house.changes()) == 8)
        assert house.names == ["127.0.0.1:3", name]
        await house.main.finish()

    run(test)


def test_a_reload_keeps_what_is_found_and_takes_other_tables(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(tmp_path)
        house.find("127.0.0.1:1")
        await house.main.start()
        (first,) = house.proxy.balancer.pool.backends
        house.configure("[discovery.backend]\nmax_in_flight = 7\n")
        await house.main.reload("test")
        assert house.proxy.balancer.pool.backends == [first]
        assert first.limit == 7
        (tmp_path / "more.toml").write_text('backend = ["127.0.0.1:2"]')
        house.configure('[[discovery]]\nfile = "more.toml"\ninterval = "10ms"\n')
        await house.main.reload("test")
        assert house.names == ["127.0.0.1:1", "127.0.0.1:2"]
        house.file.write_text('[server]\nlisten = "127.0.0.1:0"\n[[backend]]\naddress = "h:1"\n')
        await house.main.reload("test")
        assert house.names == ["h:1"]
        await house.main.finish()

    run(test)


def test_a_reload_that_fails_changes_nothing_of_what_is_found(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(tmp_path)
        house.find("127.0.0.1:1")
        await house.main.start()
        house.configure('backend = { tls = { ca = "missing.pem" } }\n')
        with pytest.raises(ConfigError, match=r"lb.toml:\d+ discovery\[0\].backend.tls.ca: "):
            await house.main.reload("test")
        house.find("127.0.0.1:2")
        await house.until(lambda: len(house.changes()) == 2)
        assert house.names == ["127.0.0.1:2"]
        await house.main.finish()

    run(test)


def test_backends_that_are_found_are_reached_and_checked_as_their_table_says(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        more = "[discovery.backend]\ntls = { verify = false }\nproxy_protocol = 'v2'\n"
        house = House(tmp_path, more)
        house.find("127.0.0.1:1")
        await house.main.start()
        house.find("127.0.0.1:2")
        await house.until(lambda: len(house.changes()) == 2)
        way = house.proxy.context.ways.to("127.0.0.1:2", "127.0.0.1:2")
        assert way.secure is not None
        assert way.proxy_protocol == "v2"
        await house.main.finish()

    run(test)


def test_a_certificate_that_is_no_good_keeps_its_backend_out_and_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(tmp_path)
        house.find("127.0.0.1:1")
        await house.main.start()
        house.find({"address": "127.0.0.1:2", "tls": {"ca": str(tmp_path / "missing.pem")}})
        await house.until(lambda: [it for it in house.log if it[0] == "not changed"])
        assert house.names == ["127.0.0.1:1"]
        house.find("127.0.0.1:3")
        await house.until(lambda: len(house.changes()) == 2)
        assert house.names == ["127.0.0.1:3"]
        await house.main.finish()

    run(test)


def test_a_successor_has_what_was_known_though_its_sources_say_nothing(tmp_path: Path) -> None:
    class Told(Predecessor):
        def __init__(self, estate: Estate) -> None:
            self.estate = estate

        def relieve(self) -> bool:
            return True

    async def test() -> None:
        house = House(tmp_path)
        house.find("127.0.0.1:1*3")
        await house.main.start()
        (tmp_path / "backends.json").unlink()
        known = json.loads(json.dumps(house.main._estate().found))
        successor = House(tmp_path, predecessor=Told(Estate(1, found=known)))
        await successor.main.start()
        assert successor.names == ["127.0.0.1:1"]
        await successor.main.finish()
        await house.main.finish()

    run(test)
