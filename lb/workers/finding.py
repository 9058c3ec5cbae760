"""Backends that are found while it runs: what their sources say becomes changes of the crew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lb.balancing import Add, Change, Remove, Settings
from lb.config import BackendTable, Scenario
from lb.discovery import Discovery, changes
from lb.discovery.discovery import Plan
from lb.discovery.memory import Remembered
from lb.workers.chronicle import Chronicle
from lb.workers.crew import Crew

WITHIN = 5.0
"""Seconds that new sources may take to say something before it goes on without."""
AGAIN = 5.0
"""Seconds after which it is tried again what could not be done; twice as many each time."""
AGAIN_AT_MOST = 300.0


class Finding:
    """The sources of a file, and which of their backends the crew has."""

    def __init__(
        self,
        log: Chronicle,
        news: Callable[[str], None],
        known: Remembered | None = None,
    ) -> None:
        """`news` is told which source has some, for `follow`; `known` see `Discovery`."""
        self._found = Discovery(log, self._told, known)
        self._log = log
        self._news = news
        self._source = ""  # that had news last
        self._wait = AGAIN
        self._again: asyncio.TimerHandle | None = None
        self._had: tuple[BackendTable, ...] = ()
        self._added: dict[str, Settings] = {}  # by an operator
        self._out: dict[str, bool] = {}  # found, but removed by an operator: whether that is said

    @property
    def known(self) -> Remembered:
        """For a successor."""
        return self._found.known

    async def plan(self, scenario: Scenario) -> Plan:
        """What a file would find; to be adopted, or dropped."""
        return await self._found.plan(scenario.discovery, scenario.backends, WITHIN)

    def adopt(self, plan: Plan) -> None:
        """The crew has what is in the plan, and nothing that an operator has added or removed."""
        self._had = plan.rows
        self._added.clear()
        self._out.clear()
        self._done()
        self._found.adopt(plan)

    def drop(self, plan: Plan) -> None:
        """The crew has not."""
        self._found.drop(plan)

    def heed(self, change: Change) -> None:
        """An operator has done that. What is found neither takes it over nor undoes it."""
        match change:
            case Add(settings):
                self._added[settings.label] = settings
                self._out.pop(settings.label, None)
                self._had = tuple(row for row in self._had if row.label != settings.label)
                self._found.beside(tuple(self._added.values()))
            case Remove(name):
                gone = self._added.pop(name, None)
                self._found.beside(tuple(self._added.values()))
                at = None if gone is None else gone.address
                for row in self._found.rows:
                    if row.label == name or row.address == at:
                        self._out[row.label] = False

    async def follow(
        self, crew: Crew, scenario: Scenario, changed: Callable[[Change], None]
    ) -> None:
        """Make the crew have what is found now; `changed` hears of each thing that had to change.

        Raises ConfigError where a certificate is no good; nothing changes then. After this and any
        other error it is news again after a while.
        """
        before, after = self._had, self._wanted()
        names = {row.label for row in before}
        others = {row.label for row in crew.setup.backends} - names
        try:
            await self._follow(crew, scenario, changed, before, after)
        except Exception:
            there = {(row.label, row.address) for row in crew.setup.backends}
            ours = [row for row in (*after, *before) if row.label not in others]
            had = {row.label: row for row in ours if (row.label, row.address) in there}
            self._had = tuple(had.values())
            self._try_again()
            raise
        self._had = after
        self._done()

    async def _follow(
        self,
        crew: Crew,
        scenario: Scenario,
        changed: Callable[[Change], None],
        before: tuple[BackendTable, ...],
        after: tuple[BackendTable, ...],
    ) -> None:
        staying = {row.label for row in after}
        leaving = [row for row in before if row.label not in staying]
        await crew.learn(joined(scenario, (*after, *leaving)))
        rows = ([scenario.settings(row) for row in found] for found in (before, after))
        for change in changes(crew.setup, *rows):
            await crew.perform(change)
            changed(change)
            await asyncio.sleep(0)  # of a thousand, requests shall notice nothing

    def _told(self, source: str) -> None:
        self._source = source
        self._news(source)

    def _try_again(self) -> None:
        wait, self._wait = self._wait, min(2 * self._wait, AGAIN_AT_MOST)
        if self._again is not None:
            self._again.cancel()
        self._again = asyncio.get_running_loop().call_later(wait, self._news, self._source)

    def _done(self) -> None:
        """There is nothing to try again."""
        self._wait = AGAIN
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _wanted(self) -> tuple[BackendTable, ...]:
        """What is found, without what an operator has removed for as long as it is found."""
        found = self._found.rows
        listed = {row.label for row in found}
        self._out = {name: said for name, said in self._out.items() if name in listed}
        for name, said in self._out.items():
            if not said:
                why = "an operator removed it; add it, or reload"
                self._log("info", "backend stays out", backend=name, reason=why)
        self._out = dict.fromkeys(self._out, True)
        return tuple(row for row in found if row.label not in self._out)

    async def close(self) -> None:
        """Look for no more."""
        self._done()
        await self._found.close()


def joined(scenario: Scenario, found: tuple[BackendTable, ...]) -> Scenario:
    """A file, as if it had these backends, too."""
    return scenario.model_copy(update={"backends": (*scenario.backends, *found)})
