"""Clients in a closed loop, as the file writes them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lb.config.arrivals import Requests
from lb.config.laws import Law
from lb.config.values import Table

MOST_USERS = 1_000_000


class Users(Table):
    """Each thinks, sends a request, waits for what becomes of it, and thinks again.

    They begin by thinking. One whose request failed, or who lost patience, thinks again too.
    """

    count: Annotated[int, Field(ge=1, le=MOST_USERS)]
    """How many there are."""
    think: Law
    """From what became of the last request to the next one."""
    session: Requests | None = None
    """How many requests one of them sends before another takes the place; for ever unless given.
    Where the traffic has no keys, each has a key of its own and keeps it."""
