"""A crew of several: worker processes that serve, and one that looks after them.

It accepts connections and shares them out, carries out the health checks of all, tries every change
on a balancer of its own and then has all carry it out, puts together what they report, and starts a
worker anew that has died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from lb.balancing import Change, Setup
from lb.config import Scenario
from lb.errors import LbError
from lb.measures import Report
from lb.proxy.listening import Bound
from lb.proxy.logs.log import Log
from lb.proxy.tls.credentials import Credentials
from lb.system import reason
from lb.workers.beside import Beside
from lb.workers.division import change_of, offset_of, scenario_of, setup_of, workers
from lb.workers.drained import Drained
from lb.workers.gate import Gate
from lb.workers.hand import SILENT, Hand
from lb.workers.messages import (
    Adopt,
    AskWhole,
    Begin,
    Do,
    Done,
    Drain,
    Explain,
    Hasten,
    Hurry,
    Learn,
    Reopen,
    Said,
    Whole,
)
from lb.workers.reports import Reports
from lb.workers.watch import DRAINED, Watch

TICK = 1.0
"""Seconds between two looks at whether workers hang."""
SOON = 0.005
"""Seconds between two looks at whether connections have arrived."""
CARRIED_OUT = 5.0
"""Seconds for a worker to carry out a change; it does so later if it lives."""
READY_WITHIN = 60.0
"""Seconds for a worker to serve, from its start."""
YOUNG = 1.0
"""Seconds of service before which an end is an early one."""
FIRST, LONGEST, DOUBLED = 0.1, 5.0, 10
"""Seconds before a worker is started again: nothing for the first that ends, this for the next one
that ends early, then twice as long each time, at most so long, and so often."""
ALONE = 0.5
"""Seconds at most while nobody else serves."""
HURRIED = 2.0
"""Seconds that it gets to end at once: one that hangs does not."""
MARGIN = 3.0
"""Seconds that a worker gets to end beyond what its clients get."""


class Supervisor:
    """A `Crew`."""

    def __init__(self, scenario: Scenario, log: Log, beside: Beside) -> None:
        """Must be made inside a running event loop. Raises ConfigError, UsageError."""
        self._loop = asyncio.get_running_loop()
        self._scenario = scenario
        self._log = log
        self._beside = beside
        self._count = workers(scenario)
        self._drained = Drained(self._present, lambda: self._watch.draining, log)
        self._watch = Watch(scenario, log, self._tell_all, self._drained.wait_for)
        self._hands: dict[int, Hand] = {}
        self._keepers: dict[int, asyncio.Task[None]] = {}
        self._reports = Reports(self._watch.snapshot, self._present, beside.told)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._bound: Bound = []
        self._gate = Gate([], self._present, log)
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False
        self._stopping = asyncio.Event()
        self._hurried = False
        self._in_time = True

    # --- what is asked of it

    @property
    def algorithm(self) -> str:
        return self._watch.balancer.algorithm

    @property
    def backends(self) -> int:
        return len(self._watch.balancer.pool.backends)

    @property
    def workers(self) -> int:
        return self._count

    @property
    def clients(self) -> int:
        return sum(hand.clients for hand in self._hands.values())

    @property
    def setup(self) -> Setup:
        return self._watch.balancer.setup

    @property
    def states(self) -> dict[str, str]:
        return {wish.backend: wish.state.value for wish in self._watch.wishes}

    async def report(self) -> Report:
        return await self._reports.whole()

    async def perform(self, change: Change) -> None:
        self._watch.perform(change)
        count = self._count
        await self._all(lambda hand, number: Do(number, change_of(change, hand.number, count)))

    async def adopt(self, scenario: Scenario) -> None:
        self._watch.try_hearers(scenario)
        self._watch.adopt(scenario, await asyncio.to_thread(Credentials.read, scenario))
        self._scenario = scenario
        if (count := workers(scenario)) > 1:
            self._count = count
        if not self._begun:
            return
        self._resize()
        setup = self._watch.balancer.setup
        await self._all(
            lambda hand, number: Adopt(
                number,
                scenario_of(scenario, hand.number, self._count),
                setup_of(setup, hand.number, self._count),
            )
        )

    async def learn(self, scenario: Scenario) -> None:
        self._watch.learn(scenario)
        self._scenario, count = scenario, self._count
        await self._all(lambda hand, no: Learn(no, scenario_of(scenario, hand.number, count)))

    def reopen(self) -> None:
        self._tell_all(Reopen())

    def explain(self) -> None:
        self._tell_all(Explain())

    # --- life

    async def start(self, bound: Bound) -> None:
        self._beside.begin(self._count)
        self._bound, self._begun = bound, True
        self._gate = Gate(bound, self._present, self._log)
        self._watch.begin()
        self._resize()
        self._timer = self._loop.call_later(TICK, self._tick)
        await self._watch.answered.wait()
        waiting = {self._loop.create_task(self._first(number)) for number in self._keepers}
        try:
            await asyncio.gather(*waiting)
        finally:
            for task in waiting:
                task.cancel()
        self._gate.open()

    async def stop(self, patience: float) -> bool:
        self._stopping.set()
        self._gate.close(forgotten=not patience)
        with suppress(TimeoutError):
            async with asyncio.timeout(MARGIN):
                while self._gate.waiting or any(it.on_their_way for it in self._hands.values()):
                    await asyncio.sleep(SOON)
        for hand in self._hands.values():
            hand.send(Drain(patience))
            if self._hurried:
                hand.send(Hurry())
        self._gate.give_up()
        if keepers := set(self._keepers.values()):
            _, late = await asyncio.wait(keepers, timeout=self._scenario.timeouts.drain + MARGIN)
            for hand in self._hands.values():
                hand.kill()
            if late:
                self._in_time = False
                await asyncio.wait(late)
        if self._timer is not None:
            self._timer.cancel()
        await self._watch.close()
        return self._in_time

    def hurry(self) -> None:
        self._hurried = True
        for hand in self._hands.values():
            hand.send(Hurry())
            self._loop.call_later(HURRIED, hand.kill)

    # --- workers

    def _present(self) -> list[Hand]:
        """Those that serve."""
        hands = [self._hands[number] for number in sorted(self._hands)]
        return [hand for hand in hands if hand.ready.done() and not hand.ready.cancelled()]

    def _resize(self) -> None:
        """As many as there shall be."""
        for number in range(self._count):
            if number not in self._keepers:
                keeper = self._keepers[number] = self._loop.create_task(self._keep(number))
                keeper.add_done_callback(partial(self._keepers.pop, number))
        for hand in self._hands.values():
            if hand.number >= self._count and not hand.retiring:
                hand.retiring = True
                self._do(self._retire(hand))

    async def _retire(self, hand: Hand) -> None:
        """Let it finish what it has, and what is on the way to it."""
        while hand.on_their_way and self._hands.get(hand.number) is hand:
            await asyncio.sleep(SOON)
        hand.send(Drain(self._scenario.timeouts.drain))

    async def _first(self, number: int) -> None:
        """Wait until a worker serves for the first time. Raises LbError when it never does."""
        keeper = self._keepers[number]
        while not keeper.done():
            hand = self._hands.get(number)
            if hand is not None:
                await asyncio.wait({hand.ready, keeper}, return_when=asyncio.FIRST_COMPLETED)
                if not hand.ready.cancelled():
                    return
                raise LbError(await self._why_never(hand))
            await asyncio.sleep(0.01)

    async def _why_never(self, hand: Hand) -> str:
        why = await hand.ended()
        if not hand.pid:
            return "a worker process cannot be started"
        if hand.late:
            return f"worker {hand.pid} did not serve within {READY_WITHIN:g} s"
        return f"worker {hand.pid} ended with {why} before it served"

    async def _keep(self, number: int) -> None:
        """See to it that there is a worker of this number, as long as there shall be."""
        early = 0
        while number < self._count and not self._stopping.is_set():
            hand = self._hands[number] = Hand(number, self._hear, self._gate.serve)
            try:
                await hand.start(partial(self._begin, number))
                if self._stopping.is_set():  # nobody has told it
                    hand.send(Drain(0.0))
                await asyncio.wait({hand.ready}, timeout=READY_WITHIN)
                served = self._loop.time()
                if not hand.ready.done():
                    self._log("error", "worker ended: it does not serve", worker=hand.pid)
                    hand.late = True
                    hand.kill()
                    hand.ready.cancel()
                self._gate.look()
                if not hand.ready.cancelled() and not self._stopping.is_set():
                    self._log("info", "worker serves", worker=hand.pid)
                why = await hand.ended()
            except OSError as error:
                why, served = reason(error), self._loop.time()
                self._log("error", "no worker", reason=why)
            finally:
                hand.kill()
                del self._hands[number]
            self._in_time &= hand.in_time
            if hand.report is not None:
                self._reports.keep(hand.report)
            self._gate.serve(hand.unserved())
            self._drained.look()
            if hand.retiring:
                continue
            self._in_time &= not self._stopping.is_set()
            self._log("error", "worker died", worker=hand.pid, reason=why)
            early = min(early + 1, DOUBLED) if self._loop.time() - served < YOUNG else 0
            pause = FIRST * 2 ** (early - 2) if early > 1 else 0.0
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, LONGEST if self._present() else ALONE)):
                    await self._stopping.wait()

    def _begin(self, number: int) -> Begin:
        watch, count = self._watch, self._count
        setup = setup_of(watch.balancer.setup, number, count)
        return Begin(
            scenario_of(self._scenario, number, count),
            setup,
            watch.wishes,
            watch.known,
            tuple(listener for listener, _ in self._bound),
            offset_of(setup, number, count),
            *self._beside.of_worker(number + 1),
        )

    # --- talk

    def _tell_all(self, message: object) -> None:
        for hand in self._hands.values():
            hand.send(message)

    async def _all(self, question: Callable[[Hand, int], object]) -> None:
        """Have all carry something out. One that cannot is started anew."""

        async def one(hand: Hand) -> None:
            done = await hand.ask(lambda number: question(hand, number), CARRIED_OUT)
            if isinstance(done, Done) and done.problem:
                self._log("error", "worker does not follow", worker=hand.pid, reason=done.problem)
                hand.kill()
            elif done is None and hand.number in self._hands:
                self._log("warning", "worker does not answer", worker=hand.pid)

        hands = [hand for hand in self._hands.values() if hand.begun and not hand.retiring]
        await asyncio.gather(*map(one, hands))

    def _hear(self, hand: Hand, message: Any) -> None:
        match message:
            case Said(_, event, fields) if event == DRAINED:
                self._drained.say(hand, fields["backend"])
            case Said(level, event, fields):
                self._log(level, event, **fields, worker=hand.pid)
            case Hasten(backend):
                self._watch.hasten(backend)
            case AskWhole(number):
                self._do(self._tell_whole(hand, number))
        self._gate.look()

    def _do(self, job: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell_whole(self, hand: Hand, number: int) -> None:
        hand.send(Whole(number, await self.report()))

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK, self._tick)
        for hand in self._hands.values():
            if not hand.begun or hand.ready.cancelled():
                continue
            if not hand.ping() and hand.ready.done():
                self._log("error", "worker ended: it hangs", worker=hand.pid)
                hand.kill()
            elif hand.silent == SILENT and hand.ready.done():
                self._log("warning", "worker hangs", worker=hand.pid, connections=hand.clients)
