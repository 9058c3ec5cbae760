"""Calls between two tries: those that have failed everywhere, and go there again after a pause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from lb.balancing.agenda import INFINITY, Agenda
from lb.balancing.call import C
from lb.strategies import Outcome


class Pause(Generic[C]):
    """One call's, on the agenda."""

    order = -1

    def __init__(
        self, call: C, outcome: Outcome, ended: Callable[[C, float, Outcome], None]
    ) -> None:
        self.due_at = INFINITY
        self._call = call
        self._outcome = outcome
        self._ended = ended

    def fall_due(self, now: float) -> None:
        self._ended(self._call, now, self._outcome)


class Pauses(Generic[C]):
    """All of them. There are none on sunny days, so each has its own item on the agenda."""

    def __init__(self, agenda: Agenda, ended: Callable[[C, float, Outcome], None]) -> None:
        """`ended` hears whose pause is over, and how its last attempt had ended."""
        self._agenda = agenda
        self._ended = ended
        self._pauses: dict[C, Pause[C]] = {}

    def __len__(self) -> int:
        return len(self._pauses)

    def begin(self, call: C, outcome: Outcome, until: float) -> None:
        """A call waits."""
        pause = self._pauses[call] = Pause(call, outcome, self._over)
        self._agenda.set(pause, until)

    def leave(self, call: C) -> bool:
        """False when the call was not here."""
        pause = self._pauses.pop(call, None)
        if pause is not None:
            self._agenda.set(pause, INFINITY)
        return pause is not None

    def _over(self, call: C, now: float, outcome: Outcome) -> None:
        del self._pauses[call]
        self._ended(call, now, outcome)
