"""The main process of `lb serve`: what outlives a request, a file, and a worker.

It owns the listening sockets, reads the file again, takes every command of an operator, one after
the other, and hands over to a successor. Whoever serves is its crew.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic_ns
from typing import Any

from lb import BUILD
from lb.balancing import Change, SetState, State
from lb.config import Scenario
from lb.errors import ConfigError, LbError, UsageError
from lb.measures import Events, Report
from lb.proxy.listening import Bound, place_of
from lb.proxy.names import Names
from lb.system import reason
from lb.workers import notify
from lb.workers.chronicle import Chronicle, told
from lb.workers.crew import Crew
from lb.workers.expiring import Expiring
from lb.workers.finding import Finding, joined
from lb.workers.handover import Estate, Predecessor, Succession
from lb.workers.plane import Plane
from lb.workers.rereading import Read, differences, in_force, read_again, still_whole
from lb.workers.sockets import activated, gathered
from lb.workers.unchangeable import unchangeable

AWAITED = 2.0
"""Seconds that idle clients get when a manager holds the sockets: meanwhile others wait there."""
LOOK = 0.1
"""Seconds between two looks at whether a successor lives."""


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
            notify.tell("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")
            try:
                kept = await self._reload(who)
            except LbError as error:
                problems = error.problems if isinstance(error, ConfigError) else [str(error)]
                for problem in problems:
                    self._log("error", "not reloaded", who=who, reason=problem)
                raise
            finally:
                notify.tell("READY=1")
            for line in kept:
                self._log("warning", "not changed while it runs", reason=line)
            return kept

    async def _reload(self, who: str) -> Sequence[str]:
        self._stay()
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
        if self._predecessor is not None:
            passed, states = self._predecessor.estate.sockets, self._predecessor.estate.states
        elif from_manager := notify.passed():
            self._activated = True
            at_admin = [listener.address for listener in self._plane.listeners]
            passed = activated([*addresses, *at_admin], from_manager)
        names = Names(self._log)
        ours, passed = self._plane.claim(passed, addresses)
        self._plane.bound = await gathered(self._plane.listeners, ours, names)
        self._bound = await gathered(listeners, passed, names)
        if self.scenario.discovery:
            await self._adopt(self.scenario)
        await self.crew.start(self._bound)
        for name, state in states.items():
            try:
                await self.crew.perform(SetState(name, State(state)))
            except LbError:
                continue  # it is not in our file
        await self._plane.start()
        if self._predecessor is not None:
            await asyncio.to_thread(self._predecessor.relieve)
            self._log("info", "took over", pid=self._predecessor.estate.pid)
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
        notify.tell("READY=1", f"MAINPID={os.getpid()}", f"STATUS=at {', '.join(self.addresses)}")
        if (seconds := notify.watchdog()) is not None:
            self._bark(seconds / 2)

    async def ended(self) -> None:
        """Wait until somebody asks for the end, or a successor has taken over."""
        await self._stopping.wait()

    async def finish(self) -> bool:
        """Finish what is in flight, for a while. False if time ran out."""
        if self._succession is not None:
            self._succession.close()
        if not self._gently:
            notify.tell("STOPPING=1")
        self._expiring.close()
        await self._finding.close()
        if self._stopping.is_set():  # else it could not begin, and why is told by whoever began
            self._log("info", "draining", connections=self.crew.clients)
        if self._gently:
            await self._plane.stop(gently=True)  # what the successor says is true
        in_time = await self.crew.stop(self._patience())
        await self._plane.stop(gently=self._gently or self._activated)
        if self._watchdog is not None:
            self._watchdog.cancel()
        return in_time

    def _patience(self) -> float:
        """Seconds that idle clients get, where others take those who come."""
        if self._gently:
            return self.scenario.timeouts.drain
        return AWAITED if self._activated else 0.0

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
            await self._send_for(command, who)
        finally:
            self._succeeding = False

    async def _send_for(self, command: Sequence[str], who: str) -> None:
        environment = {**os.environ, "LB_PREDECESSOR": f"pid {os.getpid()}"}
        environment.pop("WATCHDOG_PID", None)
        try:
            # asyncio's own would be killed with our loop.
            successor = await asyncio.to_thread(subprocess.Popen, command, env=environment)
        except OSError as error:
            self._log("error", "no successor", who=who, reason=reason(error))
            return
        self._log("info", "successor started", who=who, pid=successor.pid)
        while not self._stopping.is_set() and successor.poll() is None:
            await asyncio.sleep(LOOK)
        if self._stopping.is_set():
            successor.returncode = 0  # it is nobody's child, and goes on
        else:
            status = successor.returncode
            self._log("error", "successor failed", pid=successor.pid, status=status)

    def _estate(self) -> Estate:
        return Estate(
            os.getpid(),
            [*((it.address, one) for it, one in self._bound), *self._plane.estate],
            self.crew.states,
            self._finding.known,
        )

    async def _succeeded(self, pid: int) -> None:
        self._log("info", "succeeded", pid=pid)
        self._gently = True
        self._stopping.set()

    def _bark(self, seconds: float) -> None:
        notify.tell("WATCHDOG=1")
        self._watchdog = self._loop.call_later(seconds, partial(self._bark, seconds))


def command_line() -> list[str]:
    """How this process was started."""
    return [sys.executable, *sys.orig_argv[1:]]
