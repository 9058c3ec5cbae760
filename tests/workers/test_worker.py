"""A worker in this process, told what its main process would tell it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lb.balancing import Add, ProbeResult, Remove
from lb.config import Scenario
from lb.proxy.lifecycle import Proxy
from lb.workers.messages import Begin, Channel, Do, Done, Heard, Ping, Pong, Ready
from lb.workers.worker import Worker

LIMIT = 20.0
SCENARIO = Scenario.parse('[[backend]]\naddress = "127.0.0.1:1"\nname = "a"')
[SETTINGS] = SCENARIO.setup().backends
WELL = Heard("a", SETTINGS.address, ProbeResult(True))


class Main:
    """The other end."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.over = asyncio.Event()
        self.channel = Channel(self.heard.append, self.over.set)

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.channel.send(message)

    async def until(self, kind: type, count: int = 1) -> Any:
        """The last message of this kind, when there are so many."""
        while len(found := [it for it in self.heard if isinstance(it, kind)]) < count:
            await asyncio.sleep(0.001)
        return found[-1]


def begin(offset: int = 0) -> Begin:
    return Begin(SCENARIO, SCENARIO.setup(), (), (WELL,), (), offset)


def play(scene: Callable[[Worker, Main], Awaitable[None]]) -> None:
    async def played() -> None:
        ours, theirs = socket.socketpair()
        way, their_way = socket.socketpair()
        ours.setblocking(False)
        main = Main()
        async with asyncio.timeout(LIMIT):
            await asyncio.get_running_loop().create_unix_connection(lambda: main.channel, sock=ours)
            worker = Worker(theirs, their_way)
            running = asyncio.ensure_future(worker.run())
            try:
                await scene(worker, main)
            finally:
                main.channel.close()
                way.close()
                await running
                their_way.close()
                await main.over.wait()

    asyncio.run(played())


def test_what_is_not_foreseen_ends_it_and_is_said_in_one_line() -> None:
    async def scene(worker: Worker, main: Main) -> None:
        main.tell(begin(cast(int, "no number")))
        await main.over.wait()
        [said] = main.heard
        assert (said.level, said.event) == ("error", "worker cannot serve")
        assert said.fields["reason"].startswith("TypeError: ")

    play(scene)


def test_what_was_known_of_a_backend_is_forgotten_with_it() -> None:
    async def scene(worker: Worker, main: Main) -> None:
        known = {(WELL.backend, WELL.address): WELL.result}
        main.tell(begin())
        await main.until(Ready)
        assert worker._known == known
        main.tell(Do(1, Remove("a")))
        await main.until(Done)
        main.tell(WELL, Ping())  # of a check that was under way
        await main.until(Pong)
        assert worker._known == {}
        main.tell(Do(2, Add(SETTINGS)), WELL)
        await main.until(Done, 2)
        main.tell(Ping())
        await main.until(Pong, 2)
        assert worker._known == known, "it may be heard of before it is there"

    play(scene)


def test_it_goes_on_reporting_after_it_could_not_once() -> None:
    def once() -> None:
        raise RuntimeError("once")

    unable = SimpleNamespace(balancer=SimpleNamespace(admitted=1), report=once)

    async def scene(worker: Worker, main: Main) -> None:
        with pytest.raises(RuntimeError, match="once"):
            worker._report(cast(Proxy, unable))
        assert worker._timer is not None
        assert not worker._timer.cancelled()

    play(scene)
