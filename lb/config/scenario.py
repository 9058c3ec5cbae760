"""A whole file: every table, and what follows from them together."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lb import strategies
from lb.balancing import HealthPolicy, Settings, Setup
from lb.balancing.setup import POLICIES
from lb.config.access_log import AccessLog
from lb.config.calibration import Calibration
from lb.config.decisions import Algorithm, Hedging, Queue, Retries, Subset, policy_of
from lb.config.demand import Demand
from lb.config.discovery import DiscoveryTable
from lb.config.health import HealthTable
from lb.config.model import (
    KEYS_EXAMPLE,
    BackendTable,
    Expect,
    VerdictTable,
    distinct,
)
from lb.config.notes import notes, notes_of_runs
from lb.config.outliers import Outliers, SlowStart
from lb.config.places import Origin, Place, lines_of
from lb.config.problems import mistakes, not_toml, written, wrong_tables
from lb.config.salvage import rest_of
from lb.config.serving import Limits, Timeouts
from lb.config.tiers import Panic, Tiers
from lb.config.together import contradictions
from lb.config.tracing import Tracing
from lb.config.unwise import Unwise, open_secrets, warnings
from lb.config.values import RequestKey
from lb.errors import ConfigError, UsageError
from lb.system import text_of

BACKENDS = {"backend", "backends"}
"""What the list of backends is called, in files and in code."""


class Scenario(Demand):
    """A whole file, read with `load` or `parse`, or built in code from the same tables.

    In code durations may be numbers of seconds, and `backends` is the name of `[[backend]]`.
    Mistakes raise ConfigError.

    >>> scenario = Scenario(
    ...     algorithm="p2c:choices=3",
    ...     backends=["10.0.0.1:80*2", {"address": "10.0.0.2:80", "max_in_flight": 100}],
    ...     timeouts={"connect": "250ms", "response": 5},
    ... )
    >>> [row.weight for row in scenario.backends], scenario.timeouts.connect
    ([2, 1], 0.25)
    """

    algorithm: Algorithm = Algorithm(name="round_robin")
    key: RequestKey = "client_ip"
    """What strategies that hash see of a request: client_ip, header:NAME, cookie:NAME, path (the
    target up to its query), or uri (the whole target). The simulator draws keys from [traffic]."""
    access_log: AccessLog | None = None
    tracing: Tracing = Tracing()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    health: HealthTable = HealthTable()
    outliers: Outliers = Outliers()
    slow_start: SlowStart = SlowStart()
    retries: Retries = Retries()
    hedging: Hedging = Hedging()
    queue: Queue = Queue()
    subset: Subset = Subset()
    panic: Panic = Panic()
    tiers: Tiers = Tiers()
    discovery: Annotated[tuple[DiscoveryTable, ...], Field(strict=False)] = ()
    """Where more backends are found while the proxy runs."""
    expect: Expect = Expect()
    verdict: VerdictTable = VerdictTable()
    calibration: Calibration | None = None

    if TYPE_CHECKING:

        def __init__(self, **tables: Any) -> None: ...

    @field_validator("backends")
    @classmethod
    def _distinct(cls, backends: tuple[BackendTable, ...]) -> tuple[BackendTable, ...]:
        return distinct(backends)

    @model_validator(mode="wrap")
    @classmethod
    def _told(
        cls, data: Any, handler: ModelWrapValidatorHandler[Scenario], info: ValidationInfo
    ) -> Scenario:
        """Mistakes become a ConfigError, each with its place; those between tables too."""
        found: list[tuple[Place, str]] = []
        if isinstance(data, dict) and data.get("discovery") and not BACKENDS & data.keys():
            data = {**data, "backend": ()}  # all are found, and none is there by default
        try:
            file: Scenario | None = handler(data)
            found += contradictions(file)
        except ValidationError as error:
            found, file = mistakes(error, cls), None
            if isinstance(data, dict):
                rest = rest_of(data, found, wrong_tables(error, cls))
                with suppress(ValidationError):
                    file = handler(rest.data)
                    between = contradictions(file, rest.wrong, named=rest.named)
                    found += [(place, why) for place, why in between if rest.says(place)]
        if found or file is None:
            raise ConfigError(written(found, info.context or Origin()))
        return file

    @model_validator(mode="after")
    def _remembered(self, info: ValidationInfo) -> Scenario:
        if info.context is not None:
            self._origin = info.context
        return self

    @classmethod
    def load(cls, path: str | Path) -> Scenario:
        """Read a file. Raises ConfigError."""
        return cls.parse(text_of(Path(path)), str(path))

    @classmethod
    def parse(cls, text: str, source: str = "scenario") -> Scenario:
        """Read TOML text; `source` names it in errors. Raises ConfigError."""
        try:
            data = tomllib.loads(text)
            origin = Origin(source, lines_of(text))
        except (ValueError, RecursionError) as error:
            raise ConfigError([not_toml(text, source, error)]) from None
        return cls.model_validate(data, context=origin, by_alias=True, by_name=False)

    def chosen(self, algorithm: str | None) -> Algorithm:
        """The one of the file, or that of a command line, such as "p2c" or "p2c:choices=3".

        The file's own name alone keeps the file's parameters. Raises UsageError.
        """
        if algorithm is None or algorithm == self.algorithm.name:
            return self.algorithm
        return Algorithm.of(algorithm)

    def with_flags(self, **tables: object) -> Scenario:
        """With these in place of the file's. Raises UsageError when they contradict the others.

        Faults are no matter of whoever serves: they may name backends that flags have replaced.
        """
        changed = self.model_copy(update=tables)
        if found := list(contradictions(changed, {"faults"})):
            raise UsageError("\n".join(written(found, self._origin)))
        return changed

    def with_run(self, **keys: object) -> Scenario:
        """With these keys of [run] in place of the file's; values are as the file's are read."""
        return self.model_copy(update={"run": self.run.model_copy(update=keys)})

    def setup(self, algorithm: str | None = None) -> Setup:
        """What makes the balancer of this file, for either driver.

        `algorithm` replaces the file's, see `chosen`. Raises UsageError for one that is unknown.
        """
        chosen = self.chosen(algorithm)
        return Setup(
            tuple(map(self.settings, self.backends)),
            chosen.name,
            chosen.settings,
            **{
                name: policy_of(getattr(self, name), kind)
                for name, kind in POLICIES.items()
                if name in type(self).model_fields
            },
        )

    def settings(self, row: BackendTable) -> Settings:
        """What a balancer is told of a backend, one of this file's or one that joins them."""
        return Settings(
            row.address,
            row.weight,
            row.name,
            row.max_in_flight,
            row.priority,
            row.zone,
            health=self._own_health(row),
        )

    def _own_health(self, row: BackendTable) -> HealthPolicy | None:
        """A backend's policy of checks, where it is not the common one."""
        own = policy_of(row.checked_by(self.health), HealthPolicy)
        return None if own == policy_of(self.health, HealthPolicy) else own

    def notes(self, algorithm: str | None = None) -> list[str]:
        """What an algorithm (the file's unless given) needs and is not given, one line each."""
        return list(notes(self, self.chosen(algorithm)))

    def warnings(self) -> list[Unwise]:
        """What is right and unwise for whoever serves this file, in the order of its lines."""
        return self._in_order(warnings(self))

    def open_secrets(self) -> list[Unwise]:
        """Those of them that are about tokens and keys which everybody may read."""
        return self._in_order(open_secrets(self))

    def _in_order(self, found: Iterable[tuple[Place, str]]) -> list[Unwise]:
        ordered = sorted(found, key=lambda one: self._origin.line(one[0]))
        return [Unwise(self.place(*place), why) for place, why in ordered]

    def notes_of_runs(self) -> list[str]:
        """What a simulation of this file would not show, or take for something else, one line each.

        Raises ConfigError where it cannot be simulated.
        """
        return list(notes_of_runs(self))

    def lacking(self) -> list[str]:
        """What else a simulation of this file asks for, one line each."""
        found = [] if self.offered().keyed else self.keyless([self.algorithm.name])
        length = self.length
        if (self.run.warmup or 0.0) >= length:
            why = f"is not shorter than the run, about {length:.3g} s; nothing would be left of it"
            found.append(f"{self.place('run', 'warmup')}: {why}")
        return found + self.endless()

    def keyless(self, names: Sequence[str]) -> list[str]:
        """What is lacking where the traffic has no keys: algorithms of `names` may go by them."""
        place = self.place("traffic", "keys")
        needy = [name for name in names if "key" in strategies.spec(name.partition(":")[0]).needs]
        needy += ["work_by_key"] * (self.offered().work_by_key is not None)
        return [f"{place}: missing; {name} needs {KEYS_EXAMPLE}" for name in needy]
