"""A discovery whose sources the test has in its hand, and all that it has told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable

from lb.config import BackendTable
from lb.config.discovery import DiscoveryTable
from lb.discovery import Discovery
from lb.discovery.discovery import source_of
from lb.discovery.memory import Remembered
from lb.discovery.watching import Rows, Sighting, Source

WITHIN = 30.0
"""Seconds: far more than anything here takes."""


class Script:
    """A source whose sightings the test hands out; the last one is seen again and again."""

    def __init__(self, *labels: str) -> None:
        self.sighting = rows(*labels)
        self.go_on = threading.Event()
        self.go_on.set()

    def look(self) -> Sighting:
        self.go_on.wait()
        return self.sighting


def rows(*labels: str) -> Sighting:
    return Sighting(tuple(BackendTable.model_validate(label) for label in labels))


def labels(found: Iterable[BackendTable]) -> list[str]:
    return [row.label for row in found]


def file_table(name: str, **keys: object) -> DiscoveryTable:
    return DiscoveryTable.model_validate({"file": name, "interval": 0.01, **keys})


class House:
    """A discovery over scripts, or over what there is, and all that it has told."""

    def __init__(
        self,
        *tables: DiscoveryTable,
        static: Iterable[str] = (),
        scripts: dict[str, Script] | None = None,
        known: Remembered | None = None,
    ) -> None:
        def script(table: DiscoveryTable, known: Rows) -> Source:
            return scripts[table.source] if scripts else source_of(table, known)

        self.log: list[tuple[str, dict[str, object]]] = []
        self.heard: list[tuple[str, list[str]]] = []
        self.news = asyncio.Event()
        self._tables = tables
        self._static = rows(*static).rows or ()
        self.found = Discovery(
            self._note,
            self._changed,
            known,
            script,
        )

    async def first(self, within: float = WITHIN) -> Rows:
        """What is found at the start."""
        self.found.adopt(await self.found.plan(self._tables, self._static, within))
        return self.found.rows

    def _note(self, _level: str, event: str, **fields: object) -> None:
        self.log.append((event, fields))
        self.news.set()

    def _changed(self, who: str) -> None:
        self.heard.append((who, labels(self.found.rows)))
        self.news.set()

    async def until(self, seen: Callable[[], object]) -> None:
        while not seen():
            await self.news.wait()
            self.news.clear()

    def events(self, event: str) -> list[dict[str, object]]:
        return [fields for other, fields in self.log if other == event]
