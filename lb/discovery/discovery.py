"""All sources of a file, and what they say together: every backend once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from lb.balancing import Settings
from lb.config import BackendTable
from lb.config.discovery import DiscoveryTable
from lb.discovery.dns import source_of_names
from lb.discovery.file import WatchedFile
from lb.discovery.memory import Remembered, recalled, remembered
from lb.discovery.watching import Log, Rows, Source, Watch

Changed = Callable[[str], None]
"""Told which source has news; what all say together is in `rows`."""


def source_of(table: DiscoveryTable, known: Rows) -> Source:
    """What a table of the file names; `known` is what was found there before."""
    return source_of_names(table, known) if table.file is None else WatchedFile(table.file)


@dataclass
class Plan:
    """Where backends would be found."""

    static: Sequence[BackendTable]
    watches: list[Watch] = field(default_factory=list)
    new: list[Watch] = field(default_factory=list)
    """Those of them that are not at work yet."""
    rows: Rows = ()
    """All backends that would be found."""


class Discovery:
    """Backends that are found: a `plan` is made and adopted; then `changed` is called; `close`."""

    def __init__(
        self,
        log: Log,
        changed: Changed,
        known: Remembered | None = None,
        source_of: Callable[[DiscoveryTable, Rows], Source] = source_of,
    ) -> None:
        """`known` is what another one's sources said last, which ours may say again or not."""
        self._log = log
        self._changed = changed
        self._before = {source: recalled(rows) for source, rows in (known or {}).items()}
        self._source_of = source_of
        self._watches: list[Watch] = []
        self._static: Sequence[BackendTable] = ()
        self._operators: Sequence[Settings] = ()
        self._said: set[tuple[str, str]] = set()  # backends that somebody else has, by source
        self.rows: Rows = ()
        """All that are known, first come first."""

    @property
    def known(self) -> Remembered:
        """What every source said last, as plain values."""
        return {watch.table.source: remembered(watch.rows) for watch in self._watches}

    async def plan(
        self, tables: Sequence[DiscoveryTable], static: Sequence[BackendTable], within: float
    ) -> Plan:
        """What would be with other tables, and others that are there anyway and none of the found.

        Waits for what new ones say, but not longer than `within` seconds. All is as it was, until
        somebody either adopts or drops the plan.
        """
        left = {watch.table.source: watch for watch in self._watches}
        plan = Plan(static)
        for table in tables:
            watch = left.get(table.source)
            if watch is None or watch.table != table:
                source = table.source
                known = self._before.pop(source, ()) if watch is None else watch.rows
                watch = Watch(table, self._source_of(table, known), self._log, known)
                plan.new.append(watch)
            plan.watches.append(watch)
        try:
            await _looked(plan.new, within)
        except BaseException:
            self.drop(plan)
            raise
        plan.rows = self._together(plan.watches, static)
        return plan

    def adopt(self, plan: Plan) -> None:
        """Go by a plan. Tables that stay have forgotten nothing."""
        for watch in self._watches:
            if watch not in plan.watches:
                watch.end()
        self._watches, self._static, self.rows = plan.watches, plan.static, plan.rows
        self._operators = ()
        for watch in self._watches:
            watch.told = self._told
            self._told(watch)  # of what it has said since

    def beside(self, operators: Sequence[Settings]) -> None:
        """An operator has added these, until a plan is adopted; what is found is none of them."""
        self._operators = operators
        self.rows = self._together(self._watches, self._static, operators)

    def drop(self, plan: Plan) -> None:
        """Have nothing to do with it."""
        for watch in plan.new:
            watch.end()

    async def close(self) -> None:
        """Look no more. Looks that are under way are forgotten."""
        for watch in self._watches:
            watch.end()
        self._watches = []
        await asyncio.sleep(0)  # so do their tasks end

    # --- inside

    def _told(self, watch: Watch) -> None:
        found = self._together(self._watches, self._static, self._operators)
        if {row.label: row for row in self.rows} != {row.label: row for row in found}:
            self.rows = found
            self._changed(watch.table.source)

    def _together(
        self,
        watches: Sequence[Watch],
        static: Sequence[BackendTable],
        operators: Sequence[Settings] = (),
    ) -> Rows:
        """Each once: who is named first has it, and another source's word counts no more."""
        taken = {name: "an operator" for row in operators for name in (row.label, row.address)}
        taken |= {name: "the file" for row in static for name in (row.label, row.address)}
        rows: list[BackendTable] = []
        twice: set[tuple[str, str]] = set()
        for watch in watches:
            source = watch.table.source
            for found in watch.rows:
                row = watch.table.completed(found)
                other = taken.get(row.label) or taken.get(row.address)
                if other is None:
                    rows.append(row)
                    taken |= {row.label: source, row.address: source}
                else:
                    twice.add((source, row.label))
                    if (source, row.label) not in self._said:
                        self._log(
                            "info",
                            "backend known twice",
                            backend=row.label,
                            of=other,
                            not_of=source,
                        )
        self._said = twice
        return tuple(rows)


async def _looked(watches: Sequence[Watch], within: float) -> None:
    """Wait until each has looked once, but not for longer than that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            for watch in watches:
                await watch.looked.wait()
