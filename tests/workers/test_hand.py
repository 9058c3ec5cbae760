"""A worker process as its main process has it: started, asked, given up."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lb.balancing import Setup
from lb.config import Scenario
from lb.workers.hand import LOST, SILENT, Hand, command_line
from lb.workers.messages import Begin, Departed, Pong, Tell

LIMIT = 20.0
BEGIN = Begin(Scenario(), Setup(), (), (), (), 0)
TALK = """
import pickle, socket, struct, sys, time
from lb.workers.messages import *
channel, way = (socket.socket(fileno=int(it)) for it in sys.argv[1:])
def say(message):
    data = pickle.dumps(message)
    channel.sendall(struct.pack('!I', len(data)) + data)
def hear():
    size, = struct.unpack('!I', channel.recv(4, socket.MSG_WAITALL))
    return pickle.loads(channel.recv(size, socket.MSG_WAITALL))
"""
"""What a worker in a test can do."""


def play(scene: Callable[[Hand, list[Any]], Awaitable[None]]) -> None:
    async def played() -> None:
        heard: list[Any] = []
        hand = Hand(0, lambda _, message: heard.append(message), heard.append)
        try:
            async with asyncio.timeout(LIMIT):
                await scene(hand, heard)
        finally:
            hand.kill()
            await hand.ended()
            assert hand.unserved() == []

    asyncio.run(played())


async def started(hand: Hand, *lines: str) -> None:
    command = [sys.executable, "-c", TALK + "\n".join(lines)]
    await hand.start(lambda: BEGIN, command)


@pytest.mark.parametrize(
    ("lines", "how"),
    [
        (["sys.exit(3)"], "status 3"),
        (["import os, signal", "os.kill(os.getpid(), signal.SIGKILL)"], "signal SIGKILL"),
        (["say(Ready(5))", "channel.close()", "time.sleep(60)"], "signal SIGKILL"),
    ],
)
def test_how_it_has_ended(lines: Sequence[str], how: str) -> None:
    async def scene(hand: Hand, heard: list[Any]) -> None:
        await started(hand, *lines)
        assert await hand.ended() == how
        assert not hand.takes
        assert await hand.ask(Tell, LIMIT) is None, "nobody answers"

    play(scene)


def test_it_takes_clients_when_it_says_so_and_as_long_as_it_answers() -> None:
    async def scene(hand: Hand, heard: list[Any]) -> None:
        await started(hand, "say(Ready(5))", "time.sleep(60)")
        await hand.ready
        assert (hand.takes, hand.room) == (True, 5)
        assert all(hand.ping() for _ in range(SILENT))
        assert not hand.takes, "it hangs"
        assert [hand.ping() for _ in range(LOST + 1 - SILENT)] == [True] * (LOST - SILENT) + [False]

    play(scene)


def test_whatever_it_says_shows_that_it_lives() -> None:
    async def scene(hand: Hand, heard: list[Any]) -> None:
        await started(
            hand, "hear()", "say(Ready(5))", "hear()", "say(Departed(0))", "time.sleep(60)"
        )
        await hand.ready
        hand.ping()
        while Departed(0) not in heard:
            await asyncio.sleep(0.001)
        assert hand.silent == 0
        assert (hand.takes, hand.clients) == (True, 0)
        assert Pong() not in heard

    play(scene)


def test_a_question_is_waited_for_no_longer_than_it_may_take() -> None:
    async def scene(hand: Hand, heard: list[Any]) -> None:
        await started(hand, "say(Ready(5))", "time.sleep(60)")
        await hand.ready
        assert await hand.ask(Tell, 0.01) is None
        asking = asyncio.ensure_future(hand.ask(Tell, 10 * LIMIT))
        await asyncio.sleep(0)
        for _ in range(SILENT):
            assert not asking.done()
            hand.ping()
        assert await asking is None, "it hangs"

    play(scene)


def test_a_command_that_is_not_there() -> None:
    async def scene(hand: Hand, heard: list[Any]) -> None:
        with pytest.raises(OSError, match="No such file"):
            await hand.start(lambda: BEGIN, ["/nowhere/python"])
        assert await hand.ended() == "it was not started"
        assert not hand.takes

    play(scene)


@pytest.mark.parametrize("given", [0, 1, 2])
def test_descriptors_that_are_not_to_be_had(monkeypatch: pytest.MonkeyPatch, given: int) -> None:
    pairs: list[socket.socket] = []
    make = socket.socketpair

    def scarce() -> tuple[socket.socket, socket.socket]:
        if len(pairs) == 2 * given:
            raise OSError(24, "Too many open files")
        pairs.extend(pair := make())
        return pair

    async def scene(hand: Hand, heard: list[Any]) -> None:
        def begin() -> Begin:
            raise OSError(24, "Too many open files")

        with monkeypatch.context() as patched:
            patched.setattr(socket, "socketpair", scarce)
            with pytest.raises(OSError, match="Too many"):
                await hand.start(begin)
        assert hand.ready.cancelled(), "nobody waits for it"
        assert await hand.ended() == "it was not started"
        await asyncio.sleep(0)
        assert [one.fileno() for one in pairs] == [-1] * 2 * given

    play(scene)


def test_whom_it_has_no_descriptor_for_comes_back_and_it_rests_until_a_client_leaves() -> None:
    async def scene(hand: Hand, heard: list[Any]) -> None:
        await started(
            hand,
            "hear()",
            "say(Ready(5))",
            "socket.recv_fds(way, 100, 1)",
            "way.sendall(bytes([1, 1]))",
            "hear()",
            "say(Departed(1))",
            "time.sleep(60)",
        )
        await hand.ready
        ends = [socket.socketpair() for _ in range(2)]
        rows = [(0, theirs) for _, theirs in ends]
        assert hand.pass_on(rows) == 2
        assert hand.clients == 2
        while rows[1:] not in heard:
            await asyncio.sleep(0.001)
        assert (hand.clients, hand.on_their_way, hand.takes) == (1, 0, False)
        hand.ping()
        while Departed(1) not in heard:
            await asyncio.sleep(0.001)
        assert (hand.clients, hand.takes) == (0, True)
        for one in (it for pair in ends for it in pair):
            one.close()

    play(scene)


def test_modules_are_looked_for_where_we_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/elsewhere"])
    assert "-P" in command_line()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert "-P" not in command_line()
