"""Connections are shared out among workers, and wait where nobody has room."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest

from lb.config import Listener
from lb.workers.gate import Gate
from lb.workers.hand import Hand
from lb.workers.passing import Accepted

LIMIT = 20.0


class FakeHand:
    """A worker that takes what it is given, up to its room."""

    def __init__(self, number: int, room: int = 100) -> None:
        self.number = number
        self.room = room
        self.had: list[socket.socket] = []
        self.deaf = False
        self.ready = asyncio.get_running_loop().create_future()
        self.ready.set_result(None)

    @property
    def clients(self) -> int:
        return len(self.had)

    @property
    def takes(self) -> bool:
        return not self.deaf and self.clients <= self.room

    def pass_on(self, connections: Sequence[Accepted]) -> int:
        self.had += [one for _, one in connections]
        return len(connections)


class Place:
    """A gate at one address, with its workers and clients."""

    def __init__(self, rooms: Sequence[int], is_open: bool) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.hands = [FakeHand(number, room) for number, room in enumerate(rooms)]
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.clients: list[socket.socket] = []
        bound = [(Listener("127.0.0.1:0"), self.listener)]
        self.gate = Gate(bound, lambda: cast(list[Hand], self.hands), self._log)
        if is_open:
            self.gate.open()

    def _log(self, level: str, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    def come(self, count: int) -> None:
        address = self.listener.getsockname()
        self.clients += [socket.create_connection(address) for _ in range(count)]

    async def spread(self, *counts: int) -> None:
        """Wait until workers have so many each."""
        async with asyncio.timeout(LIMIT):
            while tuple(hand.clients for hand in self.hands) != counts:
                await asyncio.sleep(0.001)

    def close(self) -> None:
        self.gate.close(forgotten=True)
        self.gate.give_up()
        for one in (*self.clients, *(it for hand in self.hands for it in hand.had)):
            one.close()


def play(scene: Callable[[Place], Awaitable[None]], *rooms: int, is_open: bool = True) -> None:
    async def played() -> None:
        place = Place(rooms, is_open)
        try:
            await scene(place)
        finally:
            place.close()

    asyncio.run(played())


def test_whoever_has_the_fewest_gets_the_next_one() -> None:
    async def scene(place: Place) -> None:
        place.come(6)
        await place.spread(2, 2, 2)
        for one in place.hands[1].had:
            one.close()
        place.hands[1].had.clear()
        place.come(2)
        await place.spread(2, 2, 2)

    play(scene, 100, 100, 100)


def test_where_all_have_as_many_they_take_turns() -> None:
    async def scene(place: Place) -> None:
        for turn in range(4):  # a client a time, who leaves before the next one comes
            place.come(1)
            wanted = (1, 0) if turn % 2 == 0 else (0, 1)
            await place.spread(*wanted)
            hand = place.hands[turn % 2]
            hand.had.pop().close()

    play(scene, 100, 100)


def test_one_that_hangs_gets_nobody() -> None:
    async def scene(place: Place) -> None:
        place.hands[0].deaf = True
        place.come(3)
        await place.spread(0, 3)

    play(scene, 100, 100)


@pytest.mark.parametrize("way", ["somebody leaves", "a worker comes"])
def test_where_nobody_has_room_they_wait_and_are_served_later(way: str) -> None:
    async def scene(place: Place) -> None:
        place.come(5)
        await place.spread(2, 2)  # one beyond its room each: an idle client gives way
        async with asyncio.timeout(LIMIT):
            while not place.lines:
                await asyncio.sleep(0.001)
        assert place.lines[0][0] == "clients wait"
        assert place.lines[0][1]["reason"] == "all workers are full"
        if way == "a worker comes":
            place.hands.append(FakeHand(2))
            place.gate.look()
            await place.spread(2, 2, 1)
        else:
            place.hands[0].had.pop().close()
            place.gate.look()
            await place.spread(2, 2)
            assert place.gate.waiting == 0

    play(scene, 1, 1)


def test_who_was_on_the_way_to_one_that_died_goes_to_another() -> None:
    async def scene(place: Place) -> None:
        place.come(1)
        await place.spread(1, 0)
        [lost] = place.hands[0].had
        place.hands[0].had = []
        place.hands[0].deaf = True
        place.gate.serve([(0, lost)])
        await place.spread(0, 1)
        assert place.hands[1].had == [lost]

    play(scene, 100, 100)


def test_whoever_waits_in_the_queue_is_taken_in_before_it_closes() -> None:
    async def scene(place: Place) -> None:
        place.come(3)  # and the loop has not turned since
        place.gate.close(forgotten=True)
        assert sum(hand.clients for hand in place.hands) == 3
        assert place.listener.fileno() == -1

    play(scene, 100, 100)


def test_one_that_was_never_open_leaves_the_queue_to_somebody_else() -> None:
    async def scene(place: Place) -> None:
        somebody = place.listener.dup()
        place.come(1)
        place.gate.look()  # a worker serves already
        await asyncio.sleep(0)
        place.gate.close(forgotten=False)
        place.gate.give_up()
        assert place.hands[0].had == []
        served, _ = somebody.accept()
        served.sendall(b"hello")
        assert place.clients[0].recv(5) == b"hello"
        served.close()
        somebody.close()

    play(scene, 100, is_open=False)
