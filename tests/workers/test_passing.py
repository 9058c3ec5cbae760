"""Descriptors pass between processes, and none is lost when one side dies."""

import asyncio
import os
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from lb.workers.passing import AT_ONCE, Accepted, Passing, Receiving

LIMIT = 20.0


def nobody(_: Sequence[Accepted]) -> None:
    raise AssertionError("all have arrived")


def connection() -> tuple[socket.socket, socket.socket]:
    """A client's end, and the accepted one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    return client, accepted


def run(scene: Callable[[socket.socket, socket.socket], Awaitable[None]]) -> None:
    async def played() -> None:
        ours, theirs = socket.socketpair()
        for one in (ours, theirs):
            one.setblocking(False)
        async with asyncio.timeout(LIMIT):
            await scene(ours, theirs)

    asyncio.run(played())


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0)


def test_they_arrive_with_the_number_of_their_listener() -> None:
    async def scene(ours: socket.socket, theirs: socket.socket) -> None:
        arrived: list[tuple[int, socket.socket]] = []
        passing = Passing(ours, nobody)
        receiving = Receiving(theirs, lambda number, one: arrived.append((number, one)))
        pairs = [connection() for _ in range(3)]
        rows = [
            (number, accepted) for number, (_, accepted) in zip((0, 300, 1), pairs, strict=True)
        ]
        assert passing.pass_on(rows) == 3
        await until(lambda: len(arrived) == 3 and not passing.held)
        assert [number for number, _ in arrived] == [0, 300, 1]
        assert all(accepted.fileno() == -1 for _, accepted in pairs), "ours are closed"
        for (client, _), (_, there) in zip(pairs, arrived, strict=True):
            assert there.getblocking() is False
            assert there.proto == socket.IPPROTO_TCP, "asyncio sends small packets at once then"
            client.sendall(b"hello")
            assert await asyncio.get_running_loop().sock_recv(there, 5) == b"hello"
            client.close()
            there.close()
        receiving.close()
        assert passing.close() == []

    run(scene)


def test_what_has_not_arrived_comes_back() -> None:
    async def scene(ours: socket.socket, theirs: socket.socket) -> None:
        passing = Passing(ours, nobody)
        client, accepted = connection()
        assert passing.pass_on([(0, accepted)]) == 1
        theirs.close()  # and nobody has read it
        [(number, back)] = passing.close()
        assert (number, back.fileno() >= 0) == (0, True)
        client.sendall(b"still here")
        assert back.recv(20) == b"still here"
        client.close()
        back.close()

    run(scene)


def test_a_way_that_is_full_or_closed_takes_nobody() -> None:
    async def scene(ours: socket.socket, theirs: socket.socket) -> None:
        passing = Passing(ours, nobody)
        theirs.close()
        client, accepted = connection()
        assert passing.pass_on([(0, accepted)]) == 0
        assert accepted.fileno() >= 0
        client.close()
        accepted.close()
        assert passing.close() == []
        assert passing.close() == [], "a second time too"

    run(scene)


def test_of_many_the_first_go_on_at_once() -> None:
    async def scene(ours: socket.socket, theirs: socket.socket) -> None:
        passing = Passing(ours, nobody)
        client, accepted = connection()
        rows = [(0, accepted.dup()) for _ in range(AT_ONCE + 1)]
        assert passing.pass_on(rows) == AT_ONCE
        for _, one in passing.close() + rows[AT_ONCE:]:
            one.close()
        for one in (client, accepted, theirs):
            one.close()

    run(scene)


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as some:
        taken: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        try:
            while True:
                taken.append(os.dup(some.fileno()))
        except OSError:
            for _ in range(count):
                os.close(taken.pop())
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in taken:
                os.close(one)


def test_those_for_whom_no_descriptor_is_left_come_back() -> None:
    async def scene(ours: socket.socket, theirs: socket.socket) -> None:
        arrived: list[tuple[int, socket.socket]] = []
        back: list[Accepted] = []
        passing = Passing(ours, back.extend)
        pairs = [connection() for _ in range(5)]
        rows = [(number, accepted) for number, (_, accepted) in enumerate(pairs)]
        assert passing.pass_on(rows[:3]) == 3
        assert passing.pass_on(rows[3:]) == 2
        with descriptors_left(1):
            receiving = Receiving(theirs, lambda number, one: arrived.append((number, one)))
            await until(lambda: not passing.held)
        assert [number for number, _ in arrived] == [0], "the first one"
        assert back == rows[1:]
        assert [one.fileno() >= 0 for _, one in rows] == [False, True, True, True, True]
        for one in (*(it for pair in pairs for it in pair), *(it for _, it in arrived)):
            one.close()
        receiving.close()
        assert passing.close() == []

    run(scene)
