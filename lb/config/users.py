"""Clients in a closed loop, as the file writes them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from lb.config.arrivals import Requests
from lb.config.laws import Law
from lb.config.values import Duration, Mistakes, Table

MOST_USERS = 1_000_000


def _step(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError('a step is a time and the users from there on, such as ["20s", 150]')
    return tuple(value)


Step = Annotated[
    tuple[Duration, Annotated[int, Field(ge=1, le=MOST_USERS)]], BeforeValidator(_step)
]


class Users(Table):
    """Each thinks, sends a request, waits for what becomes of it, and thinks again.

    They begin by thinking. One whose request failed, or who lost patience, thinks again too.
    """

    count: Annotated[int, Field(ge=1, le=MOST_USERS)]
    """How many there are; with `steps` how many there are at most."""
    think: Law
    """From what became of the last request to the next one."""
    session: Requests | None = None
    """How many requests one of them sends before another takes the place; for ever unless given.
    Where the traffic has no keys, each has a key of its own and keeps it."""
    steps: Annotated[tuple[Step, ...] | None, Field(strict=False)] = None
    """Times, and how many are there from each on; the first number holds before, the last to the
    end. Who comes begins by thinking, and who is to go does so in place of the next request."""

    @model_validator(mode="after")
    def _in_turn(self) -> Users:
        if self.steps is None:
            return self
        times = [at for at, _ in self.steps]
        if not times:
            raise Mistakes((("steps",), "there are none; give one at least, or leave it out"))
        if any(after <= before for before, after in pairwise(times)):
            raise Mistakes((("steps",), "their times do not ascend"))
        if (most := max(count for _, count in self.steps)) > self.count:
            why = f"there are {most} users in one, and {self.count} at most; give that as count"
            raise Mistakes((("steps",), why))
        return self

    def present(self, at: float) -> int:
        """How many are there at a time."""
        if self.steps is None:
            return self.count
        return next((n for since, n in reversed(self.steps) if since <= at), self.steps[0][1])
