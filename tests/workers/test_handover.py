"""What a successor gets, and what becomes of it when it fails."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from lb.errors import CannotListen
from lb.workers import handover
from lb.workers.handover import READY, Estate, Predecessor, Succession

NAME = f"a test of {os.getpid()}"
HERE = os.getpid()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as it:
        yield it


class Serving:
    """The side that serves."""

    def __init__(self, *sockets: tuple[str, socket.socket], **states: str) -> None:
        self.successors: asyncio.Queue[int] = asyncio.Queue()
        self.succession = Succession(
            [NAME], lambda: Estate(HERE, [*sockets], states, {}, True), self._end
        )

        self.refused = 0
        come = self.succession._come

        def counted(one: socket.socket) -> None:
            self.refused += bool(self.succession._talks)
            come(one)

        for one in self.succession._waiting:
            asyncio.get_running_loop().add_reader(one, counted, one)

    async def _end(self, pid: int) -> None:
        self.successors.put_nowait(pid)


async def found() -> Predecessor | None:
    return await asyncio.to_thread(Predecessor.find, ["nobody has this", NAME])


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def test_sockets_and_what_operators_want_go_over(listening: socket.socket) -> None:
    async def test() -> None:
        serving = Serving(("127.0.0.1:80", listening), one="drain", two="maint")
        it = await found()
        assert it is not None
        assert it.estate.pid == HERE
        assert it.estate.states == {"one": "drain", "two": "maint"}
        assert it.estate.activated
        [(address, same)] = it.estate.sockets
        assert address == "127.0.0.1:80"
        assert same.getsockname() == listening.getsockname()
        assert serving.successors.empty(), "nothing has changed yet"
        assert await asyncio.to_thread(it.relieve)
        assert await serving.successors.get() == HERE
        assert not serving.succession.waits
        assert await found() is None
        same.close()

    run(test())


def test_a_successor_that_fails_leaves_everything_as_it_was(listening: socket.socket) -> None:
    async def test() -> None:
        serving = Serving(("127.0.0.1:80", listening))
        for _ in range(3):
            it = await found()
            assert it is not None
            for _, one in it.estate.sockets:
                one.close()
            it._connection.close()
        second = await found()
        assert second is not None, "and another one may try"
        assert await asyncio.to_thread(second.relieve)
        assert await serving.successors.get() == HERE
        assert serving.successors.empty()
        second.estate.sockets[0][1].close()

    run(test())


def test_there_is_one_successor_at_a_time(listening: socket.socket) -> None:
    async def test() -> None:
        serving = Serving(("127.0.0.1:80", listening))
        first = await found()
        assert first is not None
        second = asyncio.create_task(found())
        while serving.refused < 2:
            await asyncio.sleep(0.01)
        assert not second.done(), "two would serve side by side"
        assert await asyncio.to_thread(first.relieve)
        assert await serving.successors.get() == HERE
        assert await second is None, "and the first one serves"
        assert serving.successors.empty()
        first.estate.sockets[0][1].close()

    run(test())


def test_many_states_take_several_pieces() -> None:
    async def test() -> None:
        states = {f"backend {number}": "drain" for number in range(5000)}
        serving = Serving(**states)
        it = await found()
        assert it is not None
        assert it.estate.states == states
        it._connection.close()
        serving.succession.close()

    run(test())


def test_strangers_get_nothing(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        serving = Serving(("127.0.0.1:80", listening))
        monkeypatch.setattr(handover.os, "geteuid", lambda: 12345)
        monkeypatch.setattr(handover, "_peer", lambda _: (1, 54321))
        assert await found() is None
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(20)
            stranger.connect(handover._name(NAME))
            assert await asyncio.to_thread(stranger.recv, 1) == b""
        serving.succession.close()

    run(test())


def test_a_name_that_somebody_has_is_left_to_him() -> None:
    async def test() -> None:
        serving, other = Serving(), Serving()
        assert serving.succession.waits
        assert not other.succession.waits
        serving.succession.close()

    run(test())


def test_who_says_nonsense_is_no_predecessor() -> None:
    async def test() -> None:
        with socket.socket(socket.AF_UNIX) as liar:
            liar.bind(handover._name(NAME))
            liar.listen()
            finding = asyncio.create_task(found())
            connection, _ = await asyncio.to_thread(liar.accept)
            with connection:
                connection.sendall(b"\0\0\0\2[]" + READY)
                assert await finding is None

    run(test())


def test_who_is_there_and_silent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "WAIT", 0.05)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(handover._name(NAME))
        silent.listen()
        with pytest.raises(CannotListen, match=f"process {HERE} .* does not answer"):
            Predecessor.find([NAME])


def test_a_successor_that_never_is_ready_stands_in_nobodys_way(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "START", 0.05)

    async def test() -> None:
        serving = Serving(("127.0.0.1:80", listening))
        hung = await found()
        assert hung is not None
        second = await found()
        assert second is not None
        assert await asyncio.to_thread(second.relieve)
        assert await serving.successors.get() == HERE
        for it in (hung, second):
            it.estate.sockets[0][1].close()
        hung._connection.close()

    run(test())
