"""A worker: the process that serves the clients which its main process gives it.

It is told everything through one channel and ends when that does. Signals are for the main process.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from time import monotonic
from typing import Any

from lb.balancing import Backend, ProbeResult
from lb.balancing.health import Health
from lb.errors import LbError
from lb.measures import Report
from lb.proxy.descriptors import raise_limit
from lb.proxy.garbage import in_small_portions
from lb.proxy.lifecycle import Proxy
from lb.proxy.logs.log import Told as ToldByLibraries
from lb.proxy.logs.recorder import Recorder
from lb.proxy.sharing import Part
from lb.proxy.tls.credentials import Credentials
from lb.workers.messages import (
    Adopt,
    AskWhole,
    Begin,
    Channel,
    Departed,
    Do,
    Done,
    Drain,
    Ended,
    Explain,
    Hasten,
    Heard,
    Hurry,
    Learn,
    Ping,
    Pong,
    Ready,
    Reopen,
    Said,
    Tell,
    Told,
    Whole,
)
from lb.workers.passing import Receiving
from lb.workers.watch import DRAINED

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop

DEAF = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
UNASKED = 0
"""The number of a question that nobody has asked."""
SOON = 0.01
"""Seconds until it is said that clients have left."""
REPORTED = 0.5
"""Seconds between two reports that nobody has asked for, so that what is counted outlives us."""
SHARE = 200.0
"""Times that a report took: so long there is no other at least."""
PATIENCE = 1.5
"""Seconds for the others to say how they are; else it tells what it knows by itself."""
PLAIN = (str, int, float, bool, type(None))


class Worker:
    """What one worker does. `run` ends when its channel does, or all its clients are gone."""

    def __init__(self, channel: socket.socket, way: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._control, self._way = channel, way
        self._channel = Channel(self._hear, self._abandoned)
        self._over = asyncio.Event()
        self._proxy: Proxy | None = None
        self._receiving: Receiving | None = None
        self._known: dict[tuple[str, str], ProbeResult] = {}
        self._in_turn = asyncio.Lock()
        self._pending = 0  # changes that are not carried out yet
        self._quiet = False  # the main process says it for all
        self._came = 0
        self._counting = False
        self._numbers = count(1)
        self._asked: dict[int, Callable[[Report], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._ending = False
        self._reported = 0

    async def run(self) -> None:
        """Serve."""
        for one in (self._control, self._way):
            one.setblocking(False)
        await self._loop.create_unix_connection(lambda: self._channel, sock=self._control)
        await self._over.wait()
        if self._timer is not None:
            self._timer.cancel()
        if self._receiving is not None:
            self._receiving.close()
        self._channel.close()
        await asyncio.sleep(0)

    # --- what it is told

    def _hear(self, message: Any) -> None:
        if isinstance(message, Begin):
            self._begin(message)
            return
        proxy = self._proxy
        if proxy is None:
            if isinstance(message, Drain):
                self._over.set()
            return
        match message:
            case Heard():
                self._heard(proxy, message)
            case Ping():
                self._channel.send(Pong())
            case Tell(number):
                self._channel.send(Told(number, proxy.report()))
            case Whole(number, report):
                self._answer(number, report)
            case Do() | Adopt() | Learn():
                self._pending += 1
                self._do(self._carry_out(proxy, message))
            case Explain():
                proxy.explaining.begin()
            case Reopen():
                proxy.reopen()
            case Drain(patience):
                self._do(self._end(proxy, patience))
            case Hurry():
                proxy.hurry()

    def _begin(self, begin: Begin) -> None:
        for heard in begin.known:
            self._known[heard.backend, heard.address] = heard.result
        part = Part(begin.setup, self._health, self._whole)
        try:
            record = None if begin.record is None else begin.record.unused()
            recorder = Recorder.of(record, self._log, begin.feed)
            proxy = Proxy(begin.scenario, self._log, recorder=recorder, part=part)
            self._proxy = proxy
            for change in begin.changes:
                proxy.dispatcher.perform(change)
        except Exception as error:
            self._fail(error)
            return
        self._do(self._serve(proxy, begin))

    async def _serve(self, proxy: Proxy, begin: Begin) -> None:
        self._quiet = True
        await proxy.start([])
        self._quiet = False
        now = proxy.context.now()
        for _ in range(begin.offset):  # as if it had taken turns before
            proxy.balancer.pool.pick(now, b"", ())
        if proxy.context.recorded is not None:
            proxy.context.recorded.stepped(begin.offset, now)

        def welcome(number: int, connection: socket.socket) -> None:
            self._came += 1
            proxy.welcome(begin.listeners[number], connection)

        self._receiving = Receiving(self._way, welcome)
        proxy.clients.departed = partial(self._notice, proxy)
        self._report(proxy)
        self._channel.send(Ready(proxy.room))

    def _heard(self, proxy: Proxy, heard: Heard) -> None:
        key = heard.backend, heard.address
        for backend in proxy.balancer.pool.backends:
            if (backend.name, backend.address) == key:
                self._known[key] = heard.result
                self._quietly(partial(proxy.dispatcher.heard, backend, heard.result))
                return
        if self._pending:  # it may be about to come
            self._known[key] = heard.result

    def _forget(self, proxy: Proxy) -> None:
        """What was known of backends that are gone, or it would be believed if they came again."""
        there = {(backend.name, backend.address) for backend in proxy.balancer.pool.backends}
        for key in self._known.keys() - there:
            del self._known[key]

    async def _carry_out(self, proxy: Proxy, message: Do | Adopt | Learn) -> None:
        problem = ""
        async with self._in_turn:
            try:
                match message:
                    case Do(_, change):
                        self._quietly(partial(proxy.dispatcher.perform, change))
                    case Adopt(_, scenario, setup):
                        credentials = await asyncio.to_thread(Credentials.read, scenario)
                        self._quietly(partial(proxy.adopt, scenario, credentials, setup))
                    case Learn(_, scenario):
                        self._quietly(partial(proxy.learn, scenario))
            except LbError as error:
                problem = str(error)
            except Exception as error:  # then it is not as the others, and is started anew
                problem = f"{type(error).__name__}: {error}"
        self._pending -= 1
        if not self._pending:
            self._forget(proxy)
        self._channel.send(Done(message.number, proxy.room, problem))

    def _quietly(self, what: Callable[[], None]) -> None:
        before, self._quiet = self._quiet, True
        try:
            what()
        finally:
            self._quiet = before

    async def _end(self, proxy: Proxy, patience: float) -> None:
        if self._ending:
            for client in list(proxy.clients) if not patience else ():
                client.fade()  # those who are idle are waited for no longer
            return
        self._ending = True
        in_time = await proxy.stop(patience)
        self._channel.send(Ended(in_time, proxy.report()))
        self._over.set()

    def _abandoned(self) -> None:
        """The main process is gone, and nobody gives us clients any more."""
        if self._proxy is None or self._over.is_set():
            self._over.set()
        else:
            self._proxy.hurry()
            self._do(self._end(self._proxy, 0.0))

    # --- what it says

    def _notice(self, proxy: Proxy) -> None:
        """A client has left: it is said of several at once."""
        if not self._counting:
            self._counting = True
            self._loop.call_later(SOON, self._count, proxy)

    def _count(self, proxy: Proxy) -> None:
        self._counting = False
        self._channel.send(Departed(self._came - proxy.clients.present))

    def _report(self, proxy: Proxy) -> None:
        began, admitted = monotonic(), proxy.balancer.admitted
        try:
            if admitted != self._reported:
                self._reported = admitted
                self._channel.send(Told(UNASKED, proxy.report()))
        finally:
            pause = max(REPORTED, SHARE * (monotonic() - began))
            self._timer = self._loop.call_later(pause, self._report, proxy)

    def _health(self, backend: Backend) -> ProbeResult | None:
        if backend.health.state is Health.UNKNOWN:
            return self._known.get((backend.name, backend.address))
        self._channel.send(Hasten(backend.name))
        return None

    def _whole(self, tell: Callable[[Report], None]) -> None:
        number = next(self._numbers)
        self._asked[number] = tell
        self._channel.send(AskWhole(number))
        self._loop.call_later(PATIENCE, self._answer_alone, number)

    def _answer(self, number: int, report: Report) -> None:
        tell = self._asked.pop(number, None)
        if tell is not None:
            tell(report)

    def _answer_alone(self, number: int) -> None:
        if number in self._asked and self._proxy is not None:
            self._answer(number, self._proxy.report())

    def _log(self, level: str, event: str, **fields: object) -> None:
        if not self._quiet or event == DRAINED:
            plain = {
                name: value if isinstance(value, PLAIN) else str(value)
                for name, value in fields.items()
            }
            self._channel.send(Said(level, event, plain))

    def _do(self, job: Any) -> None:
        task = self._loop.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End: somebody whole takes our place."""
        self._quiet = False
        why = str(error) if isinstance(error, LbError) else f"{type(error).__name__}: {error}"
        self._log("error", "worker cannot serve", reason=why)
        self._over.set()

    def say(self, level: str, event: str, **fields: object) -> None:
        """A line of the log that libraries ask for."""
        self._loop.call_soon_threadsafe(lambda: self._log(level, event, **fields))


async def _run(channel: int, way: int) -> None:
    worker = Worker(socket.socket(fileno=channel), socket.socket(fileno=way))
    logging.getLogger().addHandler(ToldByLibraries(worker.say))
    with in_small_portions():
        await worker.run()


def main() -> None:
    """Serve; the arguments are descriptors, see `Hand`."""
    for name in DEAF:
        if name in signal.Signals.__members__:
            signal.signal(signal.Signals[name], signal.SIG_IGN)
    raise_limit()
    channel, way = map(int, sys.argv[1:])
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_run(channel, way))


if __name__ == "__main__":
    main()
