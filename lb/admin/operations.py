"""What the control plane asks of the process that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lb.balancing import Change, Pick
from lb.config import Scenario
from lb.measures import Events, Report


class Operations(Protocol):
    """All workers as one. What is asked at once is done in order.

    `who` is told in the log: the address of a client of the admin port, "signal SIGHUP", a file.
    """

    @property
    def scenario(self) -> Scenario:
        """What is in force, but for what `perform` has changed since it was read."""

    @property
    def events(self) -> Events:
        """What the log has told."""

    async def report(self) -> Report:
        """How everything is now."""

    async def picks(self) -> Sequence[Pick]:
        """Why the last picks fell as they did, the oldest first; none without requests."""

    async def forecast(self) -> Mapping[str, Any]:
        """What the simulator says it should look like, as JSON has it; `state` says if it does."""

    async def perform(self, change: Change, who: str) -> None:
        """Change one thing, everywhere. Raises UnknownBackend, UsageError; nothing changes then."""

    async def reload(self, who: str) -> Sequence[str]:
        """Read the file again; what of it cannot be changed while it runs, one line each.

        Raises ConfigError, with `file:line key: why` for every mistake; nothing changes then.
        UsageError where there is no file.
        """

    def stop(self, who: str) -> None:
        """Drain, then end. Returns at once."""
