"""A whole file: every table, and what follows from them together."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from contextlib import suppress
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
from lb.config.arrivals import ArrivalsTable, Trace
from lb.config.decisions import Algorithm, Hedging, Queue, Retries, Subset, policy_of
from lb.config.faults import FaultTable
from lb.config.health import HealthTable
from lb.config.model import (
    DEFAULT_REQUESTS,
    BackendTable,
    Expect,
    Run,
    Traffic,
    VerdictTable,
)
from lb.config.outliers import Outliers, SlowStart
from lb.config.pace import quickened
from lb.config.places import Origin, Place, lines_of
from lb.config.problems import mistakes, not_toml, written, wrong_tables
from lb.config.serving import Limits, Server, Timeouts
from lb.config.stations import Model
from lb.config.tiers import Panic, Tiers
from lb.config.together import contradictions
from lb.config.values import Mistakes, RequestKey, Table
from lb.errors import ConfigError, UsageError
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
        return backends

    @model_validator(mode="wrap")
    @classmethod
    def _told(
        cls, data: Any, handler: ModelWrapValidatorHandler[Scenario], info: ValidationInfo
    ) -> Scenario:
        """Mistakes become a ConfigError, each with its place; those between tables too."""
        found: list[tuple[Place, str]] = []
        wrong: set[str] = set()
        try:
            file: Scenario | None = handler(data)
        except ValidationError as error:
            found, wrong, file = mistakes(error, cls), wrong_tables(error, cls), None
            if isinstance(data, dict):
                with suppress(ValidationError):
                    names = {field.alias: name for name, field in cls.model_fields.items()}
                    right = {k: it for k, it in data.items() if names.get(k, k) not in wrong}
                    file = handler(right)
        if file is not None:
            found += contradictions(file, wrong)
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
        chosen = self.chosen(algorithm)
        row = strategies.spec(chosen.name)
        found = []
        alike = len(self.backends) > 1 and len({row.weight for row in self.backends}) == 1
        if alike and "weights" in row.needs:
            found.append(f"{chosen.name} goes by weights, and all backends have the same")
        weighs = row.weighs
        if row.nests:
            inner = str(getattr(row.configure(chosen.settings), "inner", chosen.name))
            weighs = strategies.spec(inner.partition(":")[0]).weighs
        if self.slow_start.duration and not weighs:
            found.append(f"{chosen.name} ignores weights, so [slow_start] changes nothing")
        if self.hedging.after is not None and len(self.backends) == 1:
            found.append("a hedge goes to another backend, and there is only one")
        if self.subset.size is not None and self.subset.size >= len(self.backends):
            found.append("subset.size leaves no backend out")
        return found

    def lacking(self) -> list[str]:
        """What else a simulation of this file asks for, one line each."""
        found = [] if self.offered().keyed else self.keyless([self.algorithm.name])
        length = self.length
        if (self.run.warmup or 0.0) >= length:
            why = f"is not shorter than the run, about {length:.3g} s; nothing would be left of it"
            found.append(f"{self.place('run', 'warmup')}: {why}")
        return found + self.endless()

    def keyless(self, names: Sequence[str]) -> list[str]:
        """What each algorithm of `names` lacks that goes by keys, where the traffic has none."""
        place, example = self.place("traffic", "keys"), '{ law = "zipf", count = 10000, s = 1.1 }'
        needy = [name for name in names if "key" in strategies.spec(name.partition(":")[0]).needs]
        return [f"{place}: missing; {name} needs keys = {example}" for name in needy]

    def place(self, *path: str | int) -> str:
        """Where a key stands, or would: `lb.toml:12 backend[1].model`."""
        return self._origin.at(path)

    def standing_at(self, other: Scenario) -> Scenario:
        """This one, whose keys stand where those of `other` do, which it was made from."""
        self._origin = other._origin
        return self

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

    def arrivals(self) -> ArrivalsTable:
        """How requests arrive, whatever becomes of them. Raises ConfigError where users wait."""
        process = self.offered().arrivals
        if process is None:
            why = "whoever waits for an answer has no timetable; give arrivals, or use lb simulate"
            raise ConfigError([f"{self.place('traffic', 'users')}: {why}"])
        return process

    def _without_model(self) -> list[str]:
        where = [self.place("backend", number, "model") for number in range(len(self.backends))]
        return [
            f"{place}: missing; nothing to simulate {row.label} with"
            for place, row in zip(where, self.backends, strict=True)
            if row.model is None
        ]

    @property
    def rate(self) -> float:
        """Requests per second on average over a run; of users the most that they can send.

        Nobody waits then, and each gets the quickest backend. Raises ConfigError without traffic.
        """
        traffic, run = self.offered(), self.run
        if traffic.arrivals is not None:
            most = math.inf if isinstance(traffic.arrivals, Trace) else DEFAULT_REQUESTS
            return traffic.arrivals.mean_rate(run.duration, run.requests or most)
        assert traffic.users is not None
        way = 0.0 if traffic.network is None else traffic.network.mean
        served = min(model.service.mean for _, model in self.modelled())
        cycle = traffic.users.think.mean + served + 2 * way
        return traffic.users.count / cycle if cycle else float("inf")

    @property
    def length(self) -> float:
        """About how many seconds a run takes. Raises ConfigError without traffic."""
        run, process = self.run, self.offered().arrivals
        ends = process.ends if isinstance(process, Trace) else math.inf
        if run.duration is None and run.requests is None and ends < math.inf:
            return ends
        return min(run.duration or (run.requests or DEFAULT_REQUESTS) / self.rate, ends)

    @property
    def changing(self) -> bool:
        """Whether what happens follows the clock, so that there is no steady state."""
        paced = any(model.speed is not None for _, model in self.modelled())
        return bool(self.faults) or self.offered().changes or paced

    @property
    def eventful(self) -> bool:
        """Whether a run changes with time: by the clock, or by clients that leave."""
        return self.changing or self.offered().patience is not None

    @property
    def capacity(self) -> float:
        """Requests per second that all backends together can serve, on average over a run."""
        length = self.length
        return sum(model.capacity_over(length) for _, model in self.modelled())

    @property
    def utilisation(self) -> float:
        """Offered load over capacity, all backends together."""
        return self.rate * self.offered().work / self.capacity

    @property
    def bounded(self) -> bool:
        """Whether no line can grow for ever: clients leave it or are few, or it is full one day."""
        traffic = self.offered()
        if traffic.patience is not None or traffic.users is not None:
            return True
        return all(
            model.queue is not None or row.max_in_flight is not None
            for row, model in self.modelled()
        )

    def at_rate(self, rate: float) -> Scenario:
        """The same with so many requests per second on average over a run.

        A process of several rates keeps their proportion. Raises UsageError where no rate is given.
        """
        traffic = self.offered()
        if traffic.arrivals is None:
            raise UsageError("users send when they have their answers: give another count or think")
        quicker = quickened(traffic.arrivals, rate / self.rate)
        return self.model_copy(update={"traffic": traffic.model_copy(update={"arrivals": quicker})})

    def at_load(self, load: float) -> Scenario:
        """The same with so much work offered, over the capacity of all backends. See `at_rate`."""
        if self.capacity == math.inf:
            raise UsageError("the backends take no time to serve, so there is no load to offer")
        return self.at_rate(load * self.capacity / self.offered().work)

    def endless(self) -> list[str]:
        """Why a run would neither settle nor end by itself, in one line, or nothing."""
        run = self.run
        ends = run.duration or run.requests or isinstance(self.offered().arrivals, Trace)
        if ends or self.bounded or self.utilisation < 1:
            return []
        where, load = self.place("traffic", "arrivals"), f"{self.utilisation:.4g} of capacity"
        cure = "give a duration or requests, a limit, or a lower rate"
        return [f"{where}: offered load {load}: {cure}"]
