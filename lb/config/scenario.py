"""A whole file: every table, and what follows from them together."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lb import strategies
from lb.balancing import HealthPolicy, Settings, Setup
from lb.balancing.setup import POLICIES
from lb.config.decisions import Algorithm, Hedging, Queue, Retries, Subset, policy_of
from lb.config.faults import FaultTable, check
from lb.config.health import HealthTable
from lb.config.laws import Profile
from lb.config.model import (
    DEFAULT_REQUESTS,
    BackendTable,
    Expect,
    Model,
    Run,
    Traffic,
    VerdictTable,
)
from lb.config.outliers import Outliers, SlowStart
from lb.config.places import Origin, lines_of
from lb.config.problems import not_toml, problems
from lb.config.serving import Limits, Server, Timeouts
from lb.config.tiers import Panic, Tiers, check_priorities, check_zone
from lb.config.values import Mistakes, RequestKey, Table
from lb.errors import ConfigError
from lb.system import reason

DEFAULT_BACKENDS = ("127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003")


class Scenario(Table):
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
    server: Server = Server()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    health: HealthTable = HealthTable()
    outliers: Outliers = Outliers()
    slow_start: SlowStart = SlowStart()
    retries: Retries = Retries()
    hedging: Hedging = Hedging()
    queue: Queue = Queue()
    subset: Subset = Subset()
    backends: Annotated[tuple[BackendTable, ...], Field(alias="backend", strict=False)] = tuple(
        BackendTable(address=place) for place in DEFAULT_BACKENDS
    )
    panic: Panic = Panic()
    tiers: Tiers = Tiers()
    traffic: Traffic | None = None
    faults: Annotated[tuple[FaultTable, ...], Field(alias="fault", strict=False)] = ()
    run: Run = Run()
    expect: Expect = Expect()
    verdict: VerdictTable = VerdictTable()
    _origin: Origin = PrivateAttr(default_factory=Origin)

    if TYPE_CHECKING:

        def __init__(self, **tables: Any) -> None: ...

    @field_validator("backends")
    @classmethod
    def _distinct(cls, backends: tuple[BackendTable, ...]) -> tuple[BackendTable, ...]:
        if not backends:
            raise ValueError("no backends; give at least one [[backend]]")
        found: list[tuple[tuple[int, str], str]] = []
        addresses: dict[str, int] = {}
        labels: dict[str, int] = {}
        for number, row in enumerate(backends):
            key = "name" if row.name else "address"
            for where, value, seen in (
                ("address", row.address, addresses),
                (key, row.label, labels),
            ):
                first = seen.setdefault(value, number)
                if first != number:
                    why = f"backend {value} is given twice, first as backend[{first}]"
                    found.append(((number, where), why))
                    break
        if found:
            raise Mistakes(*found)
        check_priorities(backends)
        return backends

    @field_validator("tiers")
    @classmethod
    def _somewhere(cls, tiers: Tiers, info: ValidationInfo) -> Tiers:
        if "backends" in info.data:  # else they have mistakes of their own
            check_zone(tiers, info.data["backends"])
        return tiers

    @field_validator("backends")
    @classmethod
    def _checkable(
        cls, backends: tuple[BackendTable, ...], info: ValidationInfo
    ) -> tuple[BackendTable, ...]:
        common = info.data.get("health", HealthTable())  # else it has mistakes of its own
        found = [
            ((number, "health", *key), why)
            for number, row in enumerate(backends)
            if row.health is not None
            for key, why in row.checked_by(common).useless(row.health)
        ]
        if found:
            raise Mistakes(*found)
        return backends

    @field_validator("hedging")
    @classmethod
    def _affordable(cls, hedging: Hedging, info: ValidationInfo) -> Hedging:
        retries = info.data.get("retries", Retries())  # else they have mistakes of their own
        if hedging.after is not None and retries.budget == retries.min_per_second == 0:
            why = "hedges draw from the budget of [retries], which is 0; give min_per_second"
            raise Mistakes((("after",), why))
        return hedging

    @field_validator("faults")
    @classmethod
    def _possible(
        cls, faults: tuple[FaultTable, ...], info: ValidationInfo
    ) -> tuple[FaultTable, ...]:
        if "backends" in info.data:  # else they have mistakes of their own
            check(faults, info.data["backends"])
        return faults

    @model_validator(mode="wrap")
    @classmethod
    def _told(
        cls, data: Any, handler: ModelWrapValidatorHandler[Scenario], info: ValidationInfo
    ) -> Scenario:
        """Mistakes become a ConfigError, each with its place."""
        try:
            return handler(data)
        except ValidationError as error:
            raise ConfigError(problems(error, cls, info.context or Origin())) from None

    @model_validator(mode="after")
    def _remembered(self, info: ValidationInfo) -> Scenario:
        if info.context is not None:
            self._origin = info.context
        return self

    @classmethod
    def load(cls, path: str | Path) -> Scenario:
        """Read a file. Raises ConfigError."""
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise ConfigError([f"{path}: cannot be read: not UTF-8 text"]) from None
        except OSError as error:
            raise ConfigError([f"{path}: cannot be read: {reason(error)}"]) from None
        return cls.parse(text, str(path))

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

    def setup(self, algorithm: str | None = None) -> Setup:
        """What makes the balancer of this file, for either driver.

        `algorithm` replaces the file's, see `chosen`. Raises UsageError for one that is unknown.
        """
        chosen = self.chosen(algorithm)
        return Setup(
            tuple(
                Settings(
                    row.address,
                    row.weight,
                    row.name,
                    row.max_in_flight,
                    row.priority,
                    row.zone,
                    health=self._own_health(row),
                )
                for row in self.backends
            ),
            chosen.name,
            chosen.settings,
            **{
                name: policy_of(getattr(self, name), kind)
                for name, kind in POLICIES.items()
                if name in type(self).model_fields
            },
        )

    def _own_health(self, row: BackendTable) -> HealthPolicy | None:
        """A backend's policy of checks, where it is not the common one."""
        own = policy_of(row.checked_by(self.health), HealthPolicy)
        return None if own == policy_of(self.health, HealthPolicy) else own

    def notes(self, algorithm: str | None = None) -> list[str]:
        """What an algorithm (the file's unless given) needs and is not given, one line each."""
        name = algorithm.partition(":")[0] if algorithm else self.algorithm.name
        alike = len(self.backends) > 1 and len({row.weight for row in self.backends}) == 1
        if alike and "weights" in strategies.spec(name).needs:
            return [f"{name} goes by weights, and all backends have the same"]
        return []

    def place(self, *path: str | int) -> str:
        """Where a key stands, or would: `lb.toml:12 backend[1].model`."""
        return self._origin.at(path)

    def modelled(self) -> list[tuple[BackendTable, Model]]:
        """Backends with their models. Raises ConfigError that names all that have none."""
        if missing := self._without_model():
            raise ConfigError(missing)
        return [(row, row.model) for row in self.backends if row.model is not None]

    def offered(self) -> Traffic:
        """The traffic. Raises ConfigError when there is none, with all else that is missing."""
        if self.traffic is None:
            why = (
                f"{self.place('traffic')}: missing; give [traffic] arrivals, a process and its rate"
            )
            raise ConfigError([why, *self._without_model()])
        return self.traffic

    def _without_model(self) -> list[str]:
        where = [self.place("backend", number, "model") for number in range(len(self.backends))]
        return [
            f"{place}: missing; nothing to simulate {row.label} with"
            for place, row in zip(where, self.backends, strict=True)
            if row.model is None
        ]

    @property
    def rate(self) -> float:
        """Requests per second on average over a run. Raises ConfigError without traffic."""
        run = self.run
        return self.offered().arrivals.mean_rate(run.duration, run.requests or DEFAULT_REQUESTS)

    @property
    def eventful(self) -> bool:
        """Whether a run changes with time: faults, a rate that changes, clients that leave."""
        traffic = self.offered()
        changes = isinstance(traffic.arrivals, Profile)
        return bool(self.faults) or changes or traffic.patience is not None

    @property
    def utilisation(self) -> float:
        """Offered load over capacity, all backends together."""
        return self.rate / sum(model.capacity for _, model in self.modelled())
