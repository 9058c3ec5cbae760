"""Where connections are accepted for several workers, each for the one that has the fewest.

While nobody has room they wait in the kernel's queue, as they would at a door (`lb.proxy.door`).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence

from lb.proxy.listening import Bound, forget
from lb.proxy.logs.log import Log
from lb.system import scarce
from lb.workers.hand import Hand
from lb.workers.passing import AT_ONCE, Accepted

TURN = 32
"""Connections accepted before others have their turn."""
PAUSE = 0.05
"""Seconds until it is tried again where nobody had room, or no descriptor was left."""
QUIET = 10.0
"""Seconds after a line of the log that another would tell nothing new."""


class Gate:
    """Shut until `open`."""

    def __init__(self, bound: Bound, hands: Callable[[], Sequence[Hand]], log: Log) -> None:
        """`hands` are all workers that there are."""
        self._loop = asyncio.get_running_loop()
        self._bound = [one for _, one in bound]
        self._hands = hands
        self._log = log
        self._waiting: list[Accepted] = []  # nobody has them
        self._opened = False
        self._reading = False
        self._closed = False
        self._again: asyncio.TimerHandle | None = None
        self._told_at = -QUIET
        self._last = -1  # who had the last one: where all have as many, the next one has the next

    def open(self) -> None:
        """Take connections."""
        if not (self._reading or self._closed):
            self._opened = self._reading = True
            for number, one in enumerate(self._bound):
                self._loop.add_reader(one, self._accept, number, one)

    def serve(self, connections: Sequence[Accepted]) -> None:
        """Find somebody for connections that are accepted already."""
        self._waiting += connections
        self._distribute()

    def look(self) -> None:
        """Somebody has room now, perhaps."""
        if self._again is None and self._opened and (self._waiting or not self._reading):
            self._go_on()

    @property
    def waiting(self) -> int:
        """Connections that nobody has."""
        return len(self._waiting)

    def close(self, forgotten: bool) -> None:
        """Take whoever waits in the kernel's queue, then no more.

        One that was never open takes nobody: the queue may be somebody else's too. `forgotten`:
        nobody else listens there.
        """
        self._stop()
        self._closed = True
        for number, one in enumerate(self._bound):
            if one.fileno() < 0:
                continue
            if forgotten:
                forget(one)
            while self._opened and self._take(number, one):
                pass
            one.close()
        self._distribute()

    def give_up(self) -> None:
        """Close what nobody has taken."""
        self._stop()
        for _, connection in self._waiting:
            connection.close()
        self._waiting.clear()

    # --- inside

    def _accept(self, number: int, one: socket.socket) -> None:
        for _ in range(TURN):
            if not self._take(number, one):
                break
        self._distribute()

    def _take(self, number: int, one: socket.socket) -> bool:
        """Accept one, if somebody waits."""
        try:
            connection, _ = one.accept()
        except OSError as error:
            if scarce(error) and error.errno != errno.EAGAIN:
                self._tell("no descriptors")
                self._pause()
            return False  # nobody waits, or somebody has left again
        self._waiting.append((number, connection))
        return True

    def _distribute(self) -> None:
        """Each goes to whoever has the fewest, several to one in one go."""
        waiting = self._waiting
        while waiting:
            hands = [hand for hand in self._hands() if hand.takes]
            if not hands:
                break
            count = {hand: hand.clients for hand in hands}
            shares: dict[Hand, list[Accepted]] = {}
            for row in waiting:
                hand = min(hands, key=lambda it: (count[it], it.number <= self._last, it.number))
                mine = shares.setdefault(hand, [])
                if count[hand] > hand.room or len(mine) == AT_ONCE:
                    break
                mine.append(row)
                count[hand] += 1
                self._last = hand.number
            given: set[int] = set()
            for hand, mine in shares.items():
                given.update(id(it[1]) for it in mine[: hand.pass_on(mine)])
            if not given:
                break
            waiting[:] = [row for row in waiting if id(row[1]) not in given]
        if waiting and not self._closed:
            ready = any(hand.ready.done() for hand in self._hands())
            self._tell("all workers are full" if ready else "no worker is there")
            self._pause()
        elif waiting and self._again is None:
            self._again = self._loop.call_later(PAUSE, self._go_on)

    def _pause(self) -> None:
        """Leave them in the kernel's queue for a moment."""
        self._stop()
        self._again = self._loop.call_later(PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._stop_timer()
        self._distribute()
        if self._again is None:
            self.open()

    def _stop(self) -> None:
        self._stop_timer()
        if self._reading:
            self._reading = False
            for one in self._bound:
                self._loop.remove_reader(one)

    def _stop_timer(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _tell(self, why: str) -> None:
        """Of episodes that follow each other closely only the first."""
        now = self._loop.time()
        if now - self._told_at >= QUIET:
            clients = sum(hand.clients for hand in self._hands())
            self._log("warning", "clients wait", connections=clients, reason=why)
        self._told_at = now
