"""Descriptors pass between processes, and none is lost when one side dies."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from lb.workers.passing import AT_ONCE, Passing, Receiving

LIMIT = 20.0


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
        passing = Passing(ours)
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
        passing = Passing(ours)
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
        passing = Passing(ours)
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
        passing = Passing(ours)
        client, accepted = connection()
        rows = [(0, accepted.dup()) for _ in range(AT_ONCE + 1)]
        assert passing.pass_on(rows) == AT_ONCE
        for _, one in passing.close() + rows[AT_ONCE:]:
            one.close()
        for one in (client, accepted, theirs):
            one.close()

    run(scene)
