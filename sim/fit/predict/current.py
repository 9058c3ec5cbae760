"""The setting that a recording was made under: what it says itself, else what the file says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

from lb import strategies
from lb.balancing import Settings, Setup
from lb.balancing.health import ELSEWHERE
from lb.balancing.setup import POLICIES
from lb.config import Scenario, Table, changed
from lb.errors import ConfigError, nearest
from lb.terminal import listed
from lb.traces.observed import Observed
from sim.fit.apart import apart

NAMED = 8
"""Backends of a long list."""
OWN = ("weight", "max_in_flight", "priority", "zone")
"""Of a backend, what a setup and a file both say."""


@dataclass(frozen=True)
class Current:
    """What is running now, as a scenario."""

    scenario: Scenario
    told_by: Literal["file", "recording"]
    differs: tuple[str, ...] = ()
    """Where the recording and the file say different things, a phrase each; the recording counts.
    """

    @property
    def algorithm(self) -> str:
        """Its name, with parameters where it has any."""
        own = self.scenario.algorithm
        if not own.settings:
            return own.name
        return f"{own.name}:{','.join(f'{key}={value}' for key, value in own.settings.items())}"


def current(scenario: Scenario, seen: Observed | None) -> Current:
    """`scenario` as it was when `seen` was recorded. Raises ConfigError for another's recording."""
    if seen is None:
        workers = scenario.server.workers
        if isinstance(workers, int) and scenario.run.balancers == 1 < workers:
            scenario = apart(scenario, workers)
        return Current(scenario, "file")
    _same_backends(scenario, seen)
    there = _balanced(scenario, seen)
    if seen.setup is None:
        return Current(there, "file")
    changes = dict(_differences(there, seen.setup))
    differs = tuple(
        f"{_named(there, key)} {_value(value)}, in the file {_value(_own(there, key))}"
        for key, value in changes.items()
    )
    if 1 < scenario.run.balancers != there.run.balancers:
        more = f"{there.run.balancers} balancers, in the file {scenario.run.balancers}"
        differs = (more, *differs)
    return Current(changed(there, changes), "recording", differs)


def _balanced(scenario: Scenario, seen: Observed) -> Scenario:
    """With as many balancers as there were: those that the recording tells of, else the file's.

    The limits of a file that has one, or says how many workers serve it, are meant for all of them.
    """
    own, many, workers = scenario.run.balancers, seen.balancers, scenario.server.workers
    served = workers if isinstance(workers, int) else 1
    if seen.setup is None:
        many = max(many, served)
    if own > 1 and seen.balancers == 1:  # it may be one of them that was recorded
        return scenario
    if many > 1 and (own == 1 or served > 1):
        return apart(scenario, many)
    return scenario.with_run(balancers=many)


def placed(scenario: Scenario, seen: Observed) -> list[int]:
    """The place in `scenario` of each backend that `seen` names; -1 of one that it lacks."""
    known = {
        word: at for at, row in enumerate(scenario.backends) for word in (row.address, row.label)
    }
    return [known.get(name, -1) for name in seen.backends]


def _same_backends(scenario: Scenario, seen: Observed) -> None:
    names = [row.label for row in scenario.backends]
    words = dict.fromkeys(word for row in scenario.backends for word in (row.label, row.address))
    theirs = list(seen.backends)
    if seen.setup is not None:
        theirs = [row.label for row in seen.setup.backends]
        strange = [
            row.label for row in seen.setup.backends if not {row.label, row.address} & words.keys()
        ]
        there = {word for row in seen.setup.backends for word in (row.label, row.address)}
        missing = [row.label for row in scenario.backends if not {row.label, row.address} & there]
    else:
        strange, missing = [name for name in theirs if name not in words], []
    if not strange and not missing:
        return
    theirs_told, ours_told = (listed(those, NAMED) or "none" for those in (theirs, names))
    why = f"a recording of another file: its backends are {theirs_told}"
    if strange and len(strange) < len(theirs):
        why += f" ({listed(strange, NAMED)} unknown; {nearest(strange[0], words)})"
    hint = "; give the file that was served, or one made by lb calibrate"
    raise ConfigError([f"{seen.source}: {why}, and those of the scenario {ours_told}{hint}"])


def _differences(scenario: Scenario, setup: Setup) -> Iterator[tuple[str, Any]]:
    """Keys of the file and the values that `setup` has there, where they are others."""
    own = scenario.setup()
    row = strategies.spec(setup.algorithm)
    if own.algorithm != setup.algorithm or row.configure(own.settings) != row.configure(
        setup.settings
    ):
        yield "algorithm", {"name": setup.algorithm, **setup.settings}
    for at, mine in enumerate(own.backends):
        theirs = _like(mine, setup)
        for name in OWN:
            if getattr(mine, name) != getattr(theirs, name):
                yield f"backend.{at}.{name}", getattr(theirs, name)
    for name in POLICIES:
        table = getattr(scenario, name, None)
        if not isinstance(table, Table):
            continue
        mine, theirs = getattr(own, name), getattr(setup, name)
        for one in fields(mine):
            value = getattr(theirs, one.name)
            if name == "health" and value == ELSEWHERE:
                continue  # what a worker has is not what there is
            if one.name in type(table).model_fields and getattr(mine, one.name) != value:
                yield f"{name}.{one.name}", list(value) if isinstance(value, tuple) else value


def _like(mine: Settings, setup: Setup) -> Settings:
    """The one of `setup` that is the same backend: by address, else by name."""
    by = {row.label: row for row in setup.backends} | {row.address: row for row in setup.backends}
    return by.get(mine.address) or by[mine.label]


def _own(scenario: Scenario, key: str) -> Any:
    """What the file says there."""
    if key == "algorithm":
        return {"name": scenario.algorithm.name, **scenario.algorithm.settings}
    first, *more = key.split(".")
    if first == "backend":
        return getattr(scenario.backends[int(more[0])], more[1])
    return getattr(getattr(scenario, first), more[0])


def _named(scenario: Scenario, key: str) -> str:
    """A key in words: `weight of a`."""
    first, *more = key.split(".")
    if first == "backend":
        return f"{more[1]} of {scenario.backends[int(more[0])].label}"
    return key


def _value(value: Any) -> str:
    match value:
        case {"name": name, **settings}:
            told = ",".join(f"{key}={setting}" for key, setting in settings.items())
            return f"{name}:{told}" if told else str(name)
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case list() | tuple():
            return f"[{', '.join(map(str, value))}]"
    return str(value)
