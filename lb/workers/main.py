"""The main process of `lb serve`: what outlives a request, a file, and a worker.

It owns the listening sockets, reads the file again, takes every command of an operator, one after
the other, and hands over to a successor. Whoever serves is its crew.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic_ns
from typing import Any

from lb import BUILD
from lb.balancing import Change, Pick, SetState, State
from lb.config import Scenario
from lb.errors import ConfigError, LbError, UsageError
from lb.measures import Events, Report
from lb.proxy.listening import Bound, forget, place_of
from lb.proxy.names import Names
from lb.workers import notify
from lb.workers.chronicle import Chronicle, told
from lb.workers.crew import Crew
from lb.workers.expiring import Expiring
from lb.workers.finding import Finding, joined
from lb.workers.handover import Estate, Predecessor, Succession
from lb.workers.plane import Plane
from lb.workers.rereading import Read, differences, in_force, read_again, still_whole
from lb.workers.sockets import activated, gathered
from lb.workers.successor import send_for
from lb.workers.unchangeable import unchangeable

AWAITED = 2.0
"""Seconds that idle clients get when a manager holds the sockets: meanwhile others wait there."""


FIRST_PICKS = 0.5
"""Seconds in which there may be some, when nobody has asked before."""


class Main:
    """One running balancer: an `lb.admin.operations.Operations`. `start`, `ended`, `finish`."""

    def __init__(
        self,
        scenario: Scenario,
        log: Chronicle,
        crew: Callable[[Scenario], Crew],
        read: Read | None = None,
        predecessor: Predecessor | None = None,
    ) -> None:
        """Must be made inside a running event loop. Without `read` there is nothing to reload.

        Raises ConfigError where the control plane's token cannot be had.
        """
        self._loop = asyncio.get_running_loop()
        self.scenario = self._started = scenario
        self._log = log
        self._read = read
        self._predecessor = predecessor
        self._succession: Succession | None = None
        self.crew = crew(scenario)
        self._plane = Plane(self, scenario, log)
        known = predecessor.estate.found if predecessor is not None else None
        self._finding = Finding(log, self._news, known)
        self._following: set[asyncio.Task[None]] = set()
        self._expiring = Expiring(log)
        self._bound: Bound = []
        self._in_turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._gently = False  # a successor serves
        self._activated = False  # a manager holds the sockets
        self._succeeding = False  # a successor is starting
        self._relieved = predecessor is None  # nobody else serves at our sockets
        self._unwanted: list[socket.socket] = []  # sockets of the predecessor's, and not ours
        self._watchdog: asyncio.TimerHandle | None = None

    # --- what is asked of it

    @property
    def events(self) -> Events:
        return self._log.events

    @property
    def addresses(self) -> Sequence[str]:
        """Where it listens, as host:port or unix:/path."""
        return [place_of(one) for _, one in self._bound]

    async def report(self) -> Report:
        return await self.crew.report()

    async def picks(self) -> Sequence[Pick]:
        self.crew.explain()
        report = await self.report()
        if not report.picks:
            await asyncio.sleep(FIRST_PICKS)
            report = await self.report()
        return report.picks

    async def forecast(self) -> Mapping[str, Any]:
        return await self._plane.forecast(self.scenario, await self.report())

    async def perform(self, change: Change, who: str) -> None:
        async with self._in_turn:
            self._stay()
            await self.crew.perform(change)
            self._log("info", "control", who=who, **told(change))
            self._finding.heed(change)

    async def reload(self, who: str) -> Sequence[str]:
        async with self._in_turn:
            try:
                self._stay()
                notify.tell("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")
                kept = await self._reload(who)
            except LbError as error:
                problems = error.problems if isinstance(error, ConfigError) else [str(error)]
                for problem in problems:
                    self._log("error", "not reloaded", who=who, reason=problem)
                raise
            finally:
                if not self._stopping.is_set():
                    notify.tell("READY=1")
            for line in kept:
                self._log("warning", "not changed while it runs", reason=line)
            return kept

    async def _reload(self, who: str) -> Sequence[str]:
        if self._read is None:
            raise UsageError("there is no file to read again: this balancer was started without")
        scenario = await read_again(self._read)
        still_whole(self.scenario, scenario)
        token = await self._plane.token(scenario)
        kept = list(unchangeable(self._started, scenario, self.crew.workers))
        before = await self.report()
        await self._adopt(scenario)
        self._plane.ask_for(token)
        self.scenario = in_force(self._started, scenario)
        after = await self.report()
        news = differences(before.snapshot, after.snapshot)
        self._log("info", "reloaded", who=who, algorithm=self.crew.algorithm, **news)
        self._expiring.look(after.certificates)
        return kept

    async def _adopt(self, scenario: Scenario) -> None:
        plan = await self._finding.plan(scenario)
        try:
            self._stay()
            await self.crew.adopt(joined(scenario, plan.rows))
        except BaseException:
            self._finding.drop(plan)
            raise
        self._finding.adopt(plan)

    def _news(self, source: str) -> None:
        task = self._loop.create_task(self._follow(source))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _follow(self, source: str) -> None:
        """Go by what is found now."""
        who = f"discovery {source}"
        async with self._in_turn:
            if self._stopping.is_set():
                return
            try:
                await self._finding.follow(
                    self.crew,
                    self.scenario,
                    lambda change: self._log("info", "control", who=who, **told(change)),
                )
            except LbError as error:
                self._log("error", "not changed", who=who, reason=str(error))
            except Exception as error:  # ours; what is found next is gone by
                why = f"{type(error).__name__}: {error}"
                self._log("error", "not changed", who=who, reason=why)

    def _stay(self) -> None:
        """Raises UsageError when nothing shall be changed any more."""
        if self._stopping.is_set():
            raise UsageError("this balancer is about to end")

    def stop(self, who: str) -> None:
        if not self._stopping.is_set():
            self._log("info", "stop asked for", who=who)
        self._stopping.set()

    @property
    def leaving(self) -> bool:
        """A successor serves, and we only finish."""
        return self._gently

    def hurry(self) -> None:
        """Do not wait for what is in flight."""
        self.crew.hurry()

    def reopen(self, who: str) -> None:
        """Open log files again."""
        self.crew.reopen()
        self._log("info", "log files opened again", who=who)

    # --- life

    async def start(self) -> None:
        """Serve. Raises CannotListen."""
        async with self._in_turn:
            await self._start()

    async def _start(self) -> None:
        listeners = self.scenario.listening()
        addresses = [listener.address for listener in listeners]
        passed: list[tuple[str, socket.socket]] = []
        states: dict[str, str] = {}
        from_manager = notify.passed()
        self._activated = bool(from_manager)
        if self._predecessor is not None:
            estate = self._predecessor.estate
            passed, states, self._activated = estate.sockets, estate.states, estate.activated
            for one in from_manager:
                one.close()  # the predecessor has them already
        elif from_manager:
            at_admin = [listener.address for listener in self._plane.listeners]
            passed = activated([*addresses, *at_admin], from_manager)
        names = Names(self._log)
        ours, passed = self._plane.claim(passed, addresses)
        self._plane.bound, unwanted = await gathered(self._plane.listeners, ours, names)
        self._bound, more = await gathered(listeners, passed, names)
        self._unwanted = unwanted + more
        if self.scenario.discovery:
            await self._adopt(self.scenario)
        for name, state in states.items():
            with suppress(LbError, ValueError):  # it is not in our file
                await self.crew.perform(SetState(name, State(state)))
        await self.crew.start(self._bound)
        await self._plane.start()
        notify.tell("READY=1", f"MAINPID={os.getpid()}", f"STATUS=at {', '.join(self.addresses)}")
        if self._predecessor is not None:
            await self._relieve(self._predecessor)
        self._drop_unwanted(for_ever=not self._activated)
        self._succession = Succession(
            list(dict.fromkeys([*addresses, *self.addresses, f"pid {os.getpid()}"])),
            self._estate,
            self._succeeded,
        )
        self._log(
            "info",
            "listening",
            address=",".join(self.addresses),
            algorithm=self.crew.algorithm,
            backends=self.crew.backends,
            build=BUILD.name,
            pid=os.getpid(),
            **({"admin": ",".join(at)} if (at := self._plane.addresses) else {}),
        )
        self._expiring.look((await self.report()).certificates)
        if (seconds := notify.watchdog()) is not None:
            self._bark(seconds / 2)

    async def _relieve(self, predecessor: Predecessor) -> None:
        pid = predecessor.estate.pid
        if await asyncio.to_thread(predecessor.relieve):
            self._log("info", "took over", pid=pid)
        else:
            self._log("error", "predecessor does not answer, and may go on beside us", pid=pid)
        self._relieved = True

    def _drop_unwanted(self, *, for_ever: bool) -> None:
        for one in self._unwanted:
            if for_ever:
                forget(one)
            one.close()
        self._unwanted.clear()

    async def ended(self) -> None:
        """Wait until somebody asks for the end, or a successor has taken over."""
        await self._stopping.wait()

    async def finish(self) -> bool:
        """Finish what is in flight, for a while. False if time ran out."""
        patience = self._patience()
        began = self._stopping.is_set()  # else why it could not is told by whoever began it
        self._stopping.set()
        if self._succession is not None:
            self._succession.close()
        if self._relieved and not self._gently:
            notify.tell("STOPPING=1")
        self._expiring.close()
        await self._finding.close()
        if began:
            self._log("info", "draining", connections=self.crew.clients)
        if self._gently:
            await self._plane.stop(gently=True)  # what the successor says is true
        in_time = await self.crew.stop(patience)
        await self._plane.stop(gently=patience > 0)
        self._drop_unwanted(for_ever=False)
        if self._watchdog is not None:
            self._watchdog.cancel()
        return in_time

    def _patience(self) -> float:
        """Seconds that idle clients get, where the sockets are somebody else's, too."""
        if self._gently:
            return self.scenario.timeouts.drain
        awaited = self._succession is not None and self._succession.awaited
        return AWAITED if self._activated or awaited or not self._relieved else 0.0

    # --- the next process

    async def succeed(self, command: Sequence[str], who: str) -> None:
        """Start a successor, which takes over when it is ready; until then nothing changes."""
        if self._succession is None or self._stopping.is_set():
            why = "this balancer is about to end" if self._stopping.is_set() else "it is starting"
            self._log("error", "no successor", who=who, reason=why)
            return
        if self._succeeding:
            self._log("error", "no successor", who=who, reason="one is about to take over")
            return
        self._succeeding = True
        try:
            await send_for(command, self._log, who, self._stopping.is_set)
        finally:
            self._succeeding = False

    def _estate(self) -> Estate:
        return Estate(
            os.getpid(),
            [*((it.address, one) for it, one in self._bound), *self._plane.estate],
            self.crew.states,
            self._finding.known,
            self._activated,
        )

    async def _succeeded(self, pid: int) -> None:
        self._log("info", "succeeded", pid=pid)
        self._gently = True
        if self._watchdog is not None:
            self._watchdog.cancel()  # from here on the successor speaks
        self._stopping.set()

    def _bark(self, seconds: float) -> None:
        notify.tell("WATCHDOG=1")
        self._watchdog = self._loop.call_later(seconds, partial(self._bark, seconds))
