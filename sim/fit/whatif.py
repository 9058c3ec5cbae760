"""What somebody would change of a scenario, in words, and the scenario that comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lb.config import Scenario, Trace, changed, enlarged, reduced, struck
from lb.errors import UsageError, nearest
from lb.strategies import parse
from sim.fit.apart import apart, undivided

EVER = 1e8
"""Seconds: longer than any run."""


@dataclass(frozen=True)
class Loss:
    """A backend that refuses connections for a time; what it has in flight then is lost."""

    backend: str
    since: float = 0.0
    until: float | None = None
    """Seconds from the start of the run; it does not come back unless given."""

    def __str__(self) -> str:
        if self.until is not None:
            return f"{self.backend} lost from {self.since:g} s to {self.until:g} s"
        return f"{self.backend} lost" + (f" from {self.since:g} s on" if self.since else "")


@dataclass(frozen=True)
class WhatIf:
    """Changes that are made together; none of them is the setting as it is."""

    algorithm: str | None = None
    """A name, with parameters behind a colon; the one there is unless given."""
    keys: Mapping[str, object] = field(default_factory=dict)
    """Any keys of the file by their dotted paths, see `lb.config.changed`; a backend may be named
    in place of its number."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """By backend."""
    more: tuple[str, ...] = ()
    """One backend more like each of these."""
    without: tuple[str, ...] = ()
    lost: tuple[Loss, ...] = ()
    rate_times: float = 1.0
    """How many times the traffic: time runs so much faster, which keeps how bursty it is."""
    balancers: int | None = None

    def __str__(self) -> str:
        """`p2c, rate x 1.5, without b`."""
        return ", ".join(self.parts) or "as it is"

    @property
    def parts(self) -> tuple[str, ...]:
        """Each change in a few words."""
        return (
            *([] if self.algorithm is None else [self.algorithm]),
            *(f"{key} = {_shown(value)}" for key, value in self.keys.items()),
            *(f"weight of {name} = {weight:g}" for name, weight in self.weights.items()),
            *(f"one more like {name}" for name in self.more),
            *(f"without {name}" for name in self.without),
            *map(str, self.lost),
            *([] if self.rate_times == 1 else [f"rate x {self.rate_times:g}"]),
            *([] if self.balancers is None else [f"balancers = {self.balancers}"]),
        )

    @property
    def weighs_in(self) -> bool:
        """Whether it changes weights."""
        return bool(self.weights) or any(key.endswith(".weight") for key in self.keys)

    @property
    def choice(self) -> WhatIf:
        """What somebody may do of it."""
        return replace(self, lost=(), rate_times=1.0)

    @property
    def circumstances(self) -> WhatIf:
        """What nobody chooses of it: how much traffic there is, and who is lost."""
        return WhatIf(lost=self.lost, rate_times=self.rate_times)

    def applied(self, scenario: Scenario) -> Scenario:
        """`scenario` with the changes. Raises UsageError for what is not there, or cannot be."""
        there, workers = self._changed(scenario)
        if workers is not None:  # each balances the requests that come to it
            there = apart(there, workers, scenario.run.balancers)
        for name in self.more:
            there = enlarged(there, place(scenario, name))
        for name in self.without:
            place(scenario, name)
            there = reduced(there, place(there, name))
        for loss in self.lost:
            name = there.backends[place(there, loss.backend)].label
            until = EVER if loss.until is None else loss.until
            there = struck(
                there, {"backend": name, "kind": "down", "from": loss.since, "to": until}
            )
        return there if self.rate_times == 1 else there.at_rate(self.rate_times * there.rate)

    def remarks(self, scenario: Scenario) -> list[str]:
        """What the changed `scenario` cannot have quite as the file would."""
        there, workers = self._changed(scenario)
        return [] if workers is None else undivided(there, workers, scenario.run.balancers)

    def _changed(self, scenario: Scenario) -> tuple[Scenario, int | None]:
        """With its keys, and how many workers they ask for."""
        keys: dict[str, object] = {}
        for path in self.keys:
            _check(scenario, path)
        if self.algorithm is not None:
            keys["algorithm"] = _table(scenario, self.algorithm)
        keys |= {_numbered(scenario, path): value for path, value in self.keys.items()}
        for name, weight in self.weights.items():
            keys[f"backend.{place(scenario, name)}.weight"] = weight
        if self.balancers is not None:
            keys["run.balancers"] = self.balancers
        workers = keys.get("server.workers")
        return changed(scenario, keys), workers if isinstance(workers, int) else None

    def left(self, scenario: Scenario) -> Scenario:
        """The backends of `scenario`, to which this has been applied, that are not lost for good.

        Raises UsageError where none is.
        """
        for loss in self.lost:
            if loss.until is None:
                scenario = reduced(scenario, place(scenario, loss.backend))
        return scenario


def place(scenario: Scenario, name: str) -> int:
    """Of the backend of that name or address. Raises UsageError."""
    for at, row in enumerate(scenario.backends):
        if name in (row.label, row.address):
            return at
    known = dict.fromkeys(word for row in scenario.backends for word in (row.label, row.address))
    raise UsageError(f"no backend is named {name!r}; {nearest(name, known)}")


def _check(scenario: Scenario, path: str) -> None:
    """Raise UsageError for what must be the same on both sides of a comparison."""
    if path.startswith("run.") and path != "run.balancers":
        raise UsageError(f"{path}: all settings are simulated over the same run; change the file")
    traffic = scenario.traffic
    traced = traffic is not None and isinstance(traffic.arrivals, Trace)
    if path.startswith("traffic.arrivals") and traced:
        why = "what was recorded comes again; for more or less of it give --rate-times"
        raise UsageError(f"{path}: {why}")


def _table(scenario: Scenario, algorithm: str) -> dict[str, object]:
    """As a file has it; the name alone of the one there is keeps its parameters."""
    name, settings = parse(algorithm)
    own = scenario.algorithm
    return {"name": name, **(own.settings if algorithm == own.name else settings)}


def _numbered(scenario: Scenario, path: str) -> str:
    """With a backend's number in place of its name."""
    for at, row in enumerate(scenario.backends):
        for name in (row.label, row.address):
            if path.startswith(f"backend.{name}."):
                return f"backend.{at}.{path.removeprefix(f'backend.{name}.')}"
    return path


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
