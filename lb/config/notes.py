"""What is right in a file and changes nothing, or lacks something: notes, no mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lb import strategies
from lb.config.decisions import Algorithm
from lb.config.faults import HealthLost


def notes(file: Any, chosen: Algorithm) -> Iterator[str]:
    """Of a scenario under an algorithm, one line each."""
    row = strategies.spec(chosen.name)
    alike = len(file.backends) > 1 and len({row.weight for row in file.backends}) == 1
    if alike and "weights" in row.needs:
        yield f"{chosen.name} goes by weights, and all backends have the same"
    weighs = row.weighs
    if row.nests:
        inner = str(getattr(row.configure(chosen.settings), "inner", chosen.name))
        weighs = strategies.spec(inner.partition(":")[0]).weighs
    if file.slow_start.duration and not weighs:
        yield f"{chosen.name} ignores weights, so [slow_start] changes nothing"
    if file.hedging.after is not None and len(file.backends) == 1:
        yield "a hedge goes to another backend, and there is only one"
    if file.subset.size is not None and file.subset.size >= len(file.backends):
        yield "subset.size leaves no backend out"
    limits = file.timeouts
    if limits.attempt is not None and limits.attempt > limits.response:
        yield (
            f"timeouts.response, {limits.response:g} s, ends an attempt before timeouts.attempt "
            f"does, {limits.attempt:g} s"
        )
    yield from _slower(file)
    if "probes" not in row.needs:
        yield from _unheard(file)


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
