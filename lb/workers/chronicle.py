"""The log of the main process, which also remembers what it was told, for whoever looks later."""

from __future__ import annotations

import time
from typing import Any

from lb.balancing import Add, Apply, Change, Remove, SetState, SetWeight, Swap
from lb.measures import Events
from lb.proxy.logs.log import Log


class Chronicle:
    """A `Log`. For one thread."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.events = Events()

    def __call__(self, level: str, event: str, **fields: object) -> None:
        self._log(level, event, **fields)
        self.events.happened(time.time(), level, event, fields)


def told(change: Change) -> dict[str, Any]:
    """What the log says of a change."""
    match change:
        case Add(settings):
            return {"change": "add", "backend": settings.label, "address": settings.address}
        case Remove(backend):
            return {"change": "remove", "backend": backend}
        case SetState(backend, state):
            return {"change": state.value, "backend": backend}
        case SetWeight(backend, weight):
            return {"change": "weight", "backend": backend, "weight": weight}
        case Swap(algorithm, settings):
            return {"change": "algorithm", "algorithm": algorithm, **settings}
        case Apply():
            return {"change": "setup"}
