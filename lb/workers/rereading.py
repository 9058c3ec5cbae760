"""Reading the file again: aside, for a while, and not if it has lost what it was about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from lb.aside import aside
from lb.balancing import BackendView, Snapshot
from lb.config import Scenario
from lb.errors import ConfigError, LbError

WAIT = 10.0
"""Seconds that a disk may take."""
Read = Callable[[], Scenario]
"""Reads the file, with the flags of the command line. Raises ConfigError, UsageError."""


async def read_again(read: Read) -> Scenario:
    """What the file says now. Raises ConfigError, UsageError."""
    loop = asyncio.get_running_loop()
    known: asyncio.Future[Scenario | LbError] = loop.create_future()

    def work() -> Scenario | LbError:
        try:
            return read()
        except LbError as error:
            return error
        except Exception as error:  # ours, and no reason to wait
            return ConfigError([f"cannot be read: {type(error).__name__}: {error}"])

    def told(result: Scenario | LbError) -> None:
        if not known.done():
            known.set_result(result)

    try:
        aside(loop, "reading the file", work, told)
        result = await asyncio.wait_for(known, WAIT)
    except (RuntimeError, TimeoutError):
        raise ConfigError([f"the file cannot be read: no answer within {WAIT:g} s"]) from None
    if isinstance(result, LbError):
        raise result
    return result


def still_whole(before: Scenario, after: Scenario) -> None:
    """Whether it names backends, or where they are found, if it did before.

    A file that is being written begins empty. Raises ConfigError.
    """
    if _names(before) and not _names(after):
        place = after.place("backend")
        raise ConfigError([f"{place}: missing, and it was there before; nothing is changed"])


def _names(scenario: Scenario) -> bool:
    return "backends" in scenario.model_fields_set or bool(scenario.discovery)


def in_force(started: Scenario, scenario: Scenario) -> Scenario:
    """`scenario`, but for what has to stay as it was when the process started."""
    kept = {name: getattr(started.server, name) for name in ("listen", "admin", "workers")}
    if scenario.server.workers != 1 != started.server.workers:
        del kept["workers"]
    server = scenario.server.model_copy(update=kept)
    return scenario.model_copy(update={"server": server}).standing_at(scenario)


def differences(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """What has changed of backends and the algorithm, for a line of the log."""
    old, new = _by_name(before), _by_name(after)
    found: dict[str, list[str]] = {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "weights": [
            f"{name}={row.weight:g}"
            for name, row in new.items()
            if name in old and old[name].weight != row.weight
        ],
    }
    told: dict[str, Any] = {name: ",".join(values) for name, values in found.items() if values}
    if (before.algorithm, before.settings) != (after.algorithm, after.settings):
        told["before"] = before.algorithm
    return told


def _by_name(snapshot: Snapshot) -> Mapping[str, BackendView]:
    return {backend.name: backend for backend in snapshot.backends}
