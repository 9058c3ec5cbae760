"""When the file was read again, and whether it could be used: what the log has told of that."""

from __future__ import annotations

from collections.abc import Sequence

from lb.admin.exposition import Family
from lb.measures import Event, Events

RELOADED = "reloaded"
NOT_RELOADED = "not reloaded"


class Reloads:
    """As far as it is remembered. `close` at the end."""

    def __init__(self, events: Events) -> None:
        self.worked = True
        """The last one; nothing was wrong yet without any."""
        self.at: float | None = None
        """When one worked last, seconds since 1970."""
        for event in events.since():
            self._heard(event)
        self.close = events.listen(self._heard)

    def _heard(self, event: Event) -> None:
        if event.event == RELOADED:
            self.worked, self.at = True, event.time
        elif event.event == NOT_RELOADED:
            self.worked = False

    def families(self) -> Sequence[Family]:
        """As metrics."""
        worked, at = self.worked, self.at
        return (
            Family(
                "lb_config_last_reload_successful",
                "gauge",
                "1 unless the file could not be used when it was read last.",
                lambda _: [("", (), worked)],
            ),
            Family(
                "lb_config_last_reload_success_timestamp_seconds",
                "gauge",
                "When the file was read again last and could be used; absent before.",
                lambda _: [] if at is None else [("", (), at)],
            ),
        )
