"""The file format: one TOML for the proxy, the simulator and the load test.

Every mistake in a file is reported at once as `file:line key: why`. Durations become seconds.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    field_validator,
    model_validator,
)

from lb import strategies
from lb.balancing import Balancer, HealthPolicy, QueuePolicy, RetryPolicy, Settings, SubsetPolicy
from lb.config.problems import problems
from lb.errors import ConfigError, UsageError
from lb.strategies import Random
from lb.units import seconds, size

DEFAULT_BACKENDS = ("127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003")

# --- values

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/*\[\]]+):(?P<port>\d+)")


def address(text: str) -> str:
    """Check `host:port`; IPv6 hosts stand in brackets. Raises ValueError."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is not host:port, such as "127.0.0.1:3001"')
    if not 0 <= int(match["port"]) <= 65535:
        raise ValueError(f"port {match['port']} is not between 0 and 65535")
    return text


def host_and_port(checked: str) -> tuple[str, int]:
    """Split a checked address; brackets of an IPv6 host are dropped."""
    host, _, port = checked.rpartition(":")
    return host.strip("[]"), int(port)


def backend_flag(text: str) -> dict[str, object]:
    """`host:port` or `host:port*weight`, as given on a command line. Raises UsageError."""
    spec, star, weight = text.strip().partition("*")
    try:
        row: dict[str, object] = {"address": address(spec)}
    except ValueError as error:
        raise UsageError(f"backend {text!r}: {error}") from None
    if star:
        if not re.fullmatch(r"\d+(\.\d+)?", weight) or float(weight) == 0:
            raise UsageError(f"backend {text!r}: weight {weight!r} is not a number above zero")
        row["weight"] = float(weight) if "." in weight else int(weight)
    return row


def backend_flags(text: str) -> list[dict[str, object]]:
    """A comma-separated list of backends. Raises UsageError, also for one named twice."""
    rows = [backend_flag(part) for part in text.split(",") if part.strip()]
    if not rows:
        raise UsageError("no backends given: write host:port, separated by commas")
    seen = set()
    for row in rows:
        if row["address"] in seen:
            raise UsageError(f"backend {row['address']} is given twice")
        seen.add(row["address"])
    return rows


def law_flag(text: str) -> LawTable:
    """A law as given on a command line: `exponential:20ms`, `lognormal:20ms,cv=1`.

    A bare value is the mean. Raises UsageError.
    """
    name, _, rest = text.partition(":")
    table: dict[str, object] = {"law": name}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        table[key if equals else "mean"] = _number_or_text(value if equals else key)
    try:
        return Model.model_validate({"service": table}).service
    except ValidationError as error:
        whole = f'[backend.model]\nservice = "{text}"'
        first = problems(whole, "law", error, Model)[0]
        raise UsageError(f"{text!r}: {first.partition(' ')[2]}") from None


def _number_or_text(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _known_algorithm(name: str) -> str:
    try:
        strategies.spec(name)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return name


_KEY = re.compile(r"client_ip|path|uri|(header|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]+")
KEYS = "client_ip, header:NAME, cookie:NAME, path, uri"


def _key(text: str) -> str:
    """What hash strategies see of a request. Raises ValueError."""
    if _KEY.fullmatch(text):
        return text
    kind, colon, name = text.partition(":")
    if kind in ("header", "cookie"):
        wrong = f"{name!r} is no name" if name else "its name is missing"
        raise ValueError(f'{text!r}: {wrong}; write "{kind}:NAME"')
    if colon and kind in ("client_ip", "path", "uri"):
        raise ValueError(f"{text!r}: {kind} takes no name")
    near = difflib.get_close_matches(kind, ("client_ip", "header", "cookie", "path", "uri"), 1)
    hint = f"did you mean {near[0] + colon + name!r}? " if near else ""
    raise ValueError(f"{text!r} is unknown; {hint}known: {KEYS}")


def _weight(value: object) -> float:
    """A number above zero, whole ones kept whole."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError(f"a weight is a number above zero, not {value!r}")
    return value


def _warmup(value: object) -> float | None:
    return None if value == "auto" else seconds(value)


Duration = Annotated[float, BeforeValidator(seconds)]
Size = Annotated[int, BeforeValidator(size)]
PositiveDuration = Annotated[float, BeforeValidator(seconds), Field(gt=0)]
Address = Annotated[str, AfterValidator(address)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Table(BaseModel):
    """A table of the file. Unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, strict=True, allow_inf_nan=False
    )


# --- laws


class Exponential(Table):
    law: Literal["exponential"]
    mean: PositiveDuration


class Deterministic(Table):
    law: Literal["deterministic", "constant"]
    mean: Duration


class Lognormal(Table):
    law: Literal["lognormal"]
    mean: PositiveDuration
    cv: Positive
    """Standard deviation over mean."""


class Gamma(Table):
    law: Literal["gamma"]
    mean: PositiveDuration
    cv: Positive


class Erlang(Table):
    law: Literal["erlang"]
    mean: PositiveDuration
    k: Annotated[int, Field(ge=1)]


class Hyperexponential(Table):
    """Two exponential phases with balanced means."""

    law: Literal["hyperexponential"]
    mean: PositiveDuration
    cv: Annotated[float, Field(ge=1)]


class Uniform(Table):
    law: Literal["uniform"]
    low: Duration
    high: PositiveDuration

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


LawTable = Exponential | Deterministic | Lognormal | Gamma | Erlang | Hyperexponential | Uniform
Law = Annotated[LawTable, Field(discriminator="law")]


class Zipf(Table):
    """Keys 0 .. count-1, key k with probability proportional to (k + 1) ** -s."""

    law: Literal["zipf"]
    count: Annotated[int, Field(ge=1)]
    s: Annotated[float, Field(ge=0)]


class Poisson(Table):
    process: Literal["poisson"]
    rate: Positive
    """Requests per second."""


class Paced(Table):
    process: Literal["deterministic"]
    rate: Positive


Arrivals = Annotated[Poisson | Paced, Field(discriminator="process")]

# --- tables of the file


class Algorithm(Table):
    """`"p2c"`, `"p2c:choices=3"` or `{ name = "p2c", choices = 3 }`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: Annotated[str, AfterValidator(_known_algorithm)]

    @classmethod
    def of(cls, text: str) -> Algorithm:
        """From a command line. Raises UsageError."""
        name, settings = strategies.parse(text)
        return cls.model_validate({"name": name, **settings})

    @property
    def settings(self) -> Mapping[str, object]:
        return self.model_extra or {}

    @model_validator(mode="after")
    def _parameters(self) -> Algorithm:
        try:
            strategies.spec(self.name).configure(self.settings)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return self


class Server(Table):
    listen: Address = "127.0.0.1:8080"
    health_path: str = "/lb-health"
    """Answers 200 while some backend is usable; empty to switch it off."""
    stats_path: str = "/lb-stats"
    trusted_proxies: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Networks whose X-Forwarded-* fields are kept and extended instead of replaced."""
    access_log: bool = False

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)
        return networks


class Timeouts(Table):
    connect: PositiveDuration = 1.0
    header: PositiveDuration = 10.0
    """For a client to send a whole request head."""
    response: PositiveDuration = 60.0
    """Silence of a backend that owes an answer. The simulator applies it when the file names it."""
    idle: PositiveDuration = 15.0
    """Unused connections to backends are closed after this."""
    client_idle: PositiveDuration = 60.0
    drain: PositiveDuration = 30.0
    """After SIGTERM, for requests in flight."""
    tunnel: PositiveDuration = 3600.0
    """Silence of both sides of a WebSocket, or of whatever else a connection was upgraded to."""


class Limits(Table):
    """How large a message may be; what is larger is refused."""

    request_line: Annotated[Size, Field(ge=64)] = 8 * 1024
    """Method, target and version; 414."""
    header_bytes: Annotated[Size, Field(ge=256)] = 64 * 1024
    """The fields of one head, or its trailers; 431, and 502 when a backend says them."""
    header_count: Annotated[int, Field(ge=8)] = 200
    """Fields in one head; the same."""
    body: Annotated[Size, Field(ge=0)] | None = None
    """Of a request; 413. Unlimited unless given: bodies are passed on as they come."""


class HealthTable(Table):
    enabled: bool = True
    path: Annotated[str, Field(pattern=r"^/\S*$")] = "/health"
    expect: Annotated[str, Field(pattern=r"^\d{3}(-\d{3})?$")] = "200-299"
    interval: PositiveDuration = 30.0
    fast_interval: PositiveDuration = 1.0
    timeout: PositiveDuration = 2.0
    rise: Annotated[int, Field(ge=1)] = 2
    fall: Annotated[int, Field(ge=1)] = 3
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.1

    def expects(self, status: int) -> bool:
        low, _, high = self.expect.partition("-")
        return int(low) <= status <= int(high or low)


class Retries(Table):
    max: Annotated[int, Field(ge=0)] = 1
    budget: Share = 0.2
    min_per_second: Annotated[float, Field(ge=0)] = 10.0
    window: PositiveDuration = 10.0


class Queue(Table):
    limit: Annotated[int, Field(ge=0)] = 0
    timeout: PositiveDuration = 1.0


class Subset(Table):
    """For one of many balancers that are to use only some of many backends each."""

    size: Annotated[int, Field(ge=1)] | None = None
    """Backends used; all unless given."""
    instance: Annotated[int, Field(ge=0)] = 0
    """Number of this balancer; balancers with numbers that follow share the backends out."""


class Model(Table):
    """A modelled backend, read by the simulator and by `lb backend`."""

    service: Law
    discipline: Literal["fifo", "ps"] = "fifo"
    workers: Annotated[int, Field(ge=1)] = 1
    queue: Annotated[int, Field(ge=0)] | None = None
    """Requests that may wait at the backend; unlimited unless given."""

    @property
    def capacity(self) -> float:
        """Requests per second at full use."""
        return self.workers / self.service.mean if self.service.mean else float("inf")


class BackendTable(Table):
    address: Address
    weight: Annotated[float, PlainValidator(_weight)] = 1
    name: str = ""
    max_in_flight: Annotated[int, Field(ge=1)] | None = None
    model: Model | None = None

    @property
    def label(self) -> str:
        return self.name or self.address


class Traffic(Table):
    arrivals: Arrivals
    keys: Zipf | None = None
    network: Law | None = None
    """One-way delay between balancer and backend."""


class Run(Table):
    duration: PositiveDuration | None = None
    requests: Annotated[int, Field(ge=1)] | None = None
    warmup: Annotated[float | None, BeforeValidator(_warmup)] = None
    """Cut off each replication's start; None stands for "auto", which is MSER-5."""
    replications: Annotated[int, Field(ge=1)] = 5
    seed: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode="after")
    def _one_length(self) -> Run:
        if self.duration is not None and self.requests is not None:
            raise ValueError("give duration or requests, not both")
        return self


class Expect(Table):
    """Objectives: upper bounds on what clients see."""

    mean: PositiveDuration | None = None
    p50: PositiveDuration | None = None
    p90: PositiveDuration | None = None
    p95: PositiveDuration | None = None
    p99: PositiveDuration | None = None
    p999: PositiveDuration | None = None


class Verify(Table):
    """How far a live run may lie outside the prediction's own interval, relative to it."""

    p50: Share = 0.05
    p95: Share = 0.10
    p99: Share = 0.15
    share: Share = 0.05
    """Of each backend's share of the requests."""


class Scenario(Table):
    """A whole file."""

    algorithm: Algorithm = Algorithm(name="round_robin")
    key: Annotated[str, AfterValidator(_key)] = "client_ip"
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
    verify: Verify = Verify()

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
