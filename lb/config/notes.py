"""What is right in a file and changes nothing, or lacks something: notes, no mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lb import strategies
from lb.config.arrivals import Trace
from lb.config.decisions import Algorithm
from lb.config.discovery import sources
from lb.config.faults import HealthLost
from lb.config.values import AUTO
from lb.system import cores

LONGER = 1.5
"""A run of so many requests may take this many times as long as on average."""
SMALL, LARGE = 0.05, 20.0
"""Mean sizes, relative to a backend's mean service, outside which they are likely mistaken."""


def notes(file: Any, chosen: Algorithm) -> Iterator[str]:
    """Of a scenario under an algorithm, one line each."""
    row = strategies.spec(chosen.name)
    known = not file.discovery  # who there will be
    alike = known and len(file.backends) > 1 and len({row.weight for row in file.backends}) == 1
    if alike and "weights" in row.needs:
        yield f"{chosen.name} goes by weights, and all backends have the same"
    weighs = row.weighs
    if row.nests:
        inner = str(getattr(row.configure(chosen.settings), "inner", chosen.name))
        weighs = strategies.spec(inner.partition(":")[0]).weighs
    if file.slow_start.duration and not weighs:
        yield f"{chosen.name} ignores weights, so [slow_start] changes nothing"
    if known and file.hedging.after is not None and len(file.backends) == 1:
        yield "a hedge goes to another backend, and there is only one"
    if known and file.subset.size is not None and file.subset.size >= len(file.backends):
        yield "subset.size leaves no backend out"
    limits = file.timeouts
    if limits.attempt is not None and limits.attempt > limits.response:
        yield (
            f"timeouts.response, {limits.response:g} s, ends an attempt before timeouts.attempt "
            f"does, {limits.attempt:g} s"
        )
    yield from _crowded(file)
    yield from _slower(file)
    if "probes" not in row.needs:
        yield from _unheard(file)


def _crowded(file: Any) -> Iterator[str]:
    many, there = file.server.workers, cores()
    if many != AUTO and many > there > 0 and many > 1:
        some = "1 core" if there == 1 else f"{there} cores"
        yield (
            f'server.workers, {many}, is more than the {some} here: they take turns; "auto" is one '
            "for each"
        )


def _slower(file: Any) -> Iterator[str]:
    tables = {"health": file.health}
    for number, row in enumerate(file.backends):
        if row.health is not None:
            tables[f"backend[{number}].health"] = row.checked_by(file.health)
    for name, table in tables.items():
        if table.fast_interval > table.interval:
            yield (
                f"{name}.fast_interval, {table.fast_interval:g} s, is longer than interval, "
                f"{table.interval:g} s: checks are slower where they should be fast"
            )


def _unheard(file: Any) -> Iterator[str]:
    for number, fault in enumerate(file.faults):
        struck = [row for row in file.backends if fault.strikes(row)]
        if isinstance(fault, HealthLost) and not any(
            row.checked_by(file.health).enabled for row in struck
        ):
            yield f"fault[{number}] changes nothing: health checks are off, and nobody else asks"


def notes_of_runs(file: Any) -> Iterator[str]:
    """Of a scenario that can be simulated, whatever decides: one line each. Raises ConfigError."""
    if file.discovery:
        yield f"backends found by {sources(file.discovery)} are none of these: lb serve finds them"
    yield from _too_late(file)
    yield from _sizes(file)


def _too_late(file: Any) -> Iterator[str]:
    """Faults that no run sees."""
    if not file.faults:
        return
    run, length = file.run, file.length
    if run.duration is not None:
        known = length
    elif file.traffic.users is not None:  # nobody knows how long they wait
        return
    else:
        known = LONGER * length
    # What has come by then is served afterwards, longer where it is more than the backends can do.
    end = known * max(file.utilisation, 1.0)
    about = "about " * (run.duration is None)
    for fault in file.faults:
        if fault.since >= end:
            yield (
                f"the fault of {', '.join(fault.backends)} begins at {fault.since:g} s, after the "
                f"run ends, {about}{length:.4g} s"
            )


def _sizes(file: Any) -> Iterator[str]:
    """Sizes that look like seconds, or milliseconds."""
    if not isinstance(trace := file.traffic.arrivals, Trace):
        return
    work = trace.rows.work
    if not SMALL <= work <= LARGE:
        yield (
            f"the sizes of {Path(trace.file).name} average {work:.4g} of the mean service; they "
            "are multiples of it, not seconds"
        )
