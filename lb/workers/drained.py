"""When a backend that drains has nothing in flight any more, in none of the workers."""

from __future__ import annotations

from collections.abc import Callable, Collection

from lb.proxy.logs.log import Log
from lb.workers.hand import Hand
from lb.workers.watch import DRAINED


class Drained:
    """Of one crew."""

    def __init__(
        self,
        present: Callable[[], Collection[Hand]],
        draining: Callable[[], Collection[str]],
        log: Log,
    ) -> None:
        """`present` are the workers that serve, `draining` the names of backends that drain."""
        self._present = present
        self._draining = draining
        self._log = log
        self._said: dict[str, set[Hand]] = {}  # of those that are waited for

    def wait_for(self, backend: str) -> None:
        """It begins to drain."""
        self._said[backend] = set()

    def say(self, hand: Hand, backend: str) -> None:
        """Nothing of this worker's is in flight there."""
        if backend in self._said:
            self._said[backend].add(hand)
            self.look()

    def look(self) -> None:
        """Tell the log of those that are done. Call it when a worker has ended, too."""
        present, draining = self._present(), self._draining()
        for backend, said in list(self._said.items()):
            if backend not in draining:
                del self._said[backend]
            elif said.issuperset(present):
                del self._said[backend]
                self._log("info", DRAINED, backend=backend)
