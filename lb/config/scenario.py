"""A whole file: every table, and what follows from them together."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from lb import strategies
from lb.balancing import Balancer, HealthPolicy, QueuePolicy, RetryPolicy, Settings, SubsetPolicy
from lb.config.decisions import Algorithm, HealthTable, Queue, Retries, Subset
from lb.config.model import BackendTable, Expect, Model, Run, Traffic, Verdict
from lb.config.problems import problems
from lb.config.serving import Limits, Server, Timeouts
from lb.config.values import RequestKey, Table
from lb.errors import ConfigError, UsageError
from lb.strategies import Random

DEFAULT_BACKENDS = ("127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003")


class Scenario(Table):
    """A whole file."""

    algorithm: Algorithm = Algorithm(name="round_robin")
    key: RequestKey = "client_ip"
    """What strategies that hash see of a request: client_ip, header:NAME, cookie:NAME, path (the
    target up to its query), or uri (the whole target). The simulator draws keys from [traffic]."""
    server: Server = Server()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    health: HealthTable = HealthTable()
    retries: Retries = Retries()
    queue: Queue = Queue()
    subset: Subset = Subset()
    backends: Annotated[tuple[BackendTable, ...], Field(alias="backend", strict=False)] = tuple(
        BackendTable(address=place) for place in DEFAULT_BACKENDS
    )
    traffic: Traffic | None = None
    run: Run = Run()
    expect: Expect = Expect()
    verdict: Verdict = Verdict()

    @field_validator("algorithm", mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        name, colon, _ = value.partition(":")
        if not colon:
            return {"name": name}
        try:
            name, settings = strategies.parse(value)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return {"name": name, **settings}

    @field_validator("backends")
    @classmethod
    def _distinct(cls, backends: tuple[BackendTable, ...]) -> tuple[BackendTable, ...]:
        if not backends:
            raise ValueError("no backends; give at least one [[backend]]")
        for what in ("address", "label"):
            seen: set[str] = set()
            for backend in backends:
                value = getattr(backend, what)
                if value in seen:
                    raise ValueError(f"backend {value} is given twice")
                seen.add(value)
        return backends

    @classmethod
    def load(cls, path: str | Path) -> Scenario:
        """Read a file. Raises ConfigError."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise ConfigError([f"{path}: cannot be read: {reason}"]) from None
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, source: str = "scenario") -> Scenario:
        """Read TOML text; `source` names it in errors. Raises ConfigError."""
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError([f"{source}: not TOML: {error}"]) from None
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(problems(text, source, error, cls)) from None

    def balancer(
        self,
        rng: Random,
        now: float = 0.0,
        algorithm: str | None = None,
        make: Callable[..., Balancer[Any]] = Balancer,
    ) -> Balancer[Any]:
        """The balancer this file describes, for either driver.

        `algorithm` replaces the file's, in the form "name" or "name:parameter=value"; the file's
        own name alone keeps the file's parameters. `make` is the kind of balancer.
        """
        chosen = self.algorithm
        if algorithm is not None and algorithm != chosen.name:
            chosen = Algorithm.of(algorithm)
        policy = self.health
        return make(
            [
                Settings(row.address, row.weight, row.name, row.max_in_flight)
                for row in self.backends
            ],
            chosen.name,
            chosen.settings,
            rng=rng,
            now=now,
            health=HealthPolicy(
                policy.enabled,
                policy.interval,
                policy.fast_interval,
                policy.timeout,
                policy.rise,
                policy.fall,
                policy.jitter,
            ),
            retries=RetryPolicy(**self.retries.model_dump()),
            queue=QueuePolicy(**self.queue.model_dump()),
            subset=SubsetPolicy(**self.subset.model_dump()),
        )

    def notes(self, algorithm: str | None = None) -> list[str]:
        """What an algorithm (the file's unless given) needs and is not given, one line each."""
        name = algorithm.partition(":")[0] if algorithm else self.algorithm.name
        alike = len(self.backends) > 1 and len({row.weight for row in self.backends}) == 1
        if alike and "weights" in strategies.spec(name).needs:
            return [f"{name} goes by weights, and all backends have the same"]
        return []

    def modelled(self) -> list[tuple[BackendTable, Model]]:
        """Backends with their models; ConfigError names those that have none."""
        missing = [
            f"backend {row.label}: no [backend.model], nothing to simulate it with"
            for row in self.backends
            if row.model is None
        ]
        if missing:
            raise ConfigError(missing)
        return [(row, row.model) for row in self.backends if row.model is not None]

    def offered(self) -> Traffic:
        """The traffic; ConfigError when the file has none."""
        if self.traffic is None:
            raise ConfigError(["traffic: missing; give [traffic] arrivals, a process and its rate"])
        return self.traffic

    @property
    def utilisation(self) -> float:
        """Offered load over capacity, all backends together."""
        capacity = sum(model.capacity for _, model in self.modelled())
        return self.offered().arrivals.rate / capacity
