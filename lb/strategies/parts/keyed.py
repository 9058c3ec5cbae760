"""Membership for strategies that lead from a key through a table to a backend.

Tables hold the places of backends (`order`), never the backends, so whoever has left is not kept
alive. Whether a place may be picked is looked up on the way; being blocked rebuilds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lb.native.marks import mypyc_attr
from lb.strategies.candidate import B, Candidate
from lb.strategies.parts.heedless import Heedless
from lb.strategies.parts.turns import SmoothSequence
from lb.strategies.reasons import Reasons, Rule

TRIES = 21
"""Places looked at for one key before its call goes to whoever has the turn: nginx's number."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Keyed(Heedless[B]):
    """Who has joined, who of them is usable, and whose turn it is when a key finds nobody."""

    def __init__(self) -> None:
        self._joined: dict[int, B] = {}  # by order, blocked ones too
        self._usable: dict[int, B] = {}  # by order
        self._turns: SmoothSequence[B] = SmoothSequence()

    def join(self, backend: B, now: float) -> None:
        self._joined[backend.order] = self._usable[backend.order] = backend
        self._turns.join(backend, now)

    def leave(self, backend: B, now: float) -> None:
        self._joined.pop(backend.order, None)
        self._usable.pop(backend.order, None)
        self._turns.leave(backend, now)

    def block(self, backend: B, now: float) -> None:
        self._usable.pop(backend.order, None)
        self._turns.block(backend, now)

    def unblock(self, backend: B, now: float) -> None:
        if backend.order in self._joined:
            self._usable[backend.order] = backend
            self._turns.unblock(backend, now)

    def reweigh(self, backend: B, now: float) -> None:
        self._turns.reweigh(backend, now)

    def _avoidable(self, avoid: Sequence[B]) -> Sequence[B]:
        """`avoid`, or nobody when no other is left."""
        if self._usable.keys() <= {backend.order for backend in avoid}:
            return ()
        return avoid

    def _because(
        self, why: str, places: Iterable[int], now: float, key: bytes, avoid: Sequence[B]
    ) -> Reasons:
        """Of a search through `places`, orders of backends, which may end in a turn."""
        looked: list[tuple[Candidate, float]] = []
        for order in places:
            passed = self._joined.get(order)
            if passed is not None:
                looked.append((passed, 0.0))
            if self._at(order, avoid) is not None:
                return Reasons(why, Rule.FOUND, "", looked)
        turn = self._turns.explain(now, key, avoid)
        assert turn is not None
        return turn._replace(why=f"nobody has room where the key leads: {turn.why}")

    def _at(self, order: int, avoid: Sequence[B]) -> B | None:
        """Who may be picked at a place."""
        backend = self._usable.get(order)
        return None if backend is None or backend in avoid else backend
