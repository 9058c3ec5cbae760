"""Backends and what only a model needs of them, the traffic, the run, and how it is judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from lb.config.arrivals import Arrivals, Trace, Zipf
from lb.config.health import HealthTable, Port
from lb.config.laws import Law
from lb.config.listeners import BackendTls
from lb.config.shapes import BACKEND, WARMUP, Shape
from lb.config.stations import Model
from lb.config.users import Users
from lb.config.values import (
    UNIX,
    Address,
    BackendName,
    MaxInFlight,
    Mistakes,
    Positive,
    PositiveDuration,
    Printable,
    Share,
    Table,
    Weight,
    backend_row,
    duration,
    in_the_file,
    reachable,
)

MOST_BALANCERS = 10_000
DEFAULT_REQUESTS = 100_000
"""Length of a replication when the file gives none."""


def _warmup(value: object, info: ValidationInfo) -> float | None:
    return None if value is None or value == "auto" else duration(value, info)


class BackendKeys(Table):
    """What may be said of any backend, however it is found."""

    weight: Weight = 1
    """Its share beside those of the others, where the algorithm minds weights."""
    priority: Annotated[int, Field(ge=0)] = 0
    """0 comes first; the others are given what those before them cannot take."""
    zone: Printable = ""
    """Where it is; see [tiers] local_zone."""
    max_in_flight: MaxInFlight = None
    """Requests at a time; "adaptive" finds it by how answers slow down."""
    health_port: Port | None = None
    """Where its health checks go, when not to its own port."""
    health: HealthTable | None = None
    """What holds for its health checks, before the file's own [health]."""
    tls: BackendTls | None = None
    """It speaks TLS, to health checks as well."""
    proxy_protocol: Literal["v1", "v2"] | None = None
    """Connections to it begin with a PROXY header of this version, which says who the client is.
    So each of them is for one client alone, whose requests wait for nobody else's."""

    @model_validator(mode="after")
    def _one_port(self) -> Self:
        if self.health_port and self.health is not None and self.health.port:
            raise Mistakes((("health_port",), "is given as health.port too; give one of them"))
        return self

    def checked_by(self, common: HealthTable) -> HealthTable:
        """How this backend is checked where `common` is the file's own table."""
        return common.with_own(self.health, self.health_port)


class BackendTable(BackendKeys):
    """A table, or `"host:port"`, `"host:port*weight"`."""

    address: Address
    """Where it listens: host:port, IPv6 hosts in brackets."""
    name: BackendName = ""
    """What people call it, in logs, statistics and control; its address unless given."""
    model: Model | None = None
    """What it does on paper, and as `lb backend`."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return backend_row(value) if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> Shape:
        return {"anyOf": [handler(core), BACKEND]}

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.model is None:  # on paper nobody calls it
            try:
                reachable(self.address)
            except ValueError as error:
                raise Mistakes((("address",), str(error))) from None
        return self

    @model_validator(mode="after")
    def _of_a_socket(self) -> Self:
        if self.address.startswith(UNIX):
            if self.health_port:
                raise Mistakes((("health_port",), f"{self.address} has no ports; leave it out"))
            if self.health is not None and self.health.port:
                raise Mistakes((("health", "port"), f"{self.address} has no ports; leave it out"))
            named = self.tls is None or self.tls.server_name or not self.tls.verify
            if not named:
                why = "missing; a Unix socket has no name that its certificate could be for"
                raise Mistakes((("tls", "server_name"), why))
        return self

    @property
    def label(self) -> str:
        return self.name or self.address

    def after(self, common: BackendKeys) -> BackendTable:
        """The same, with the keys of `common` that it does not say itself."""
        missing = common.model_fields_set - self.model_fields_set
        if self.address.startswith(UNIX) or (self.health is not None and self.health.port):
            missing -= {"health_port"}
        if not missing:
            return self
        return self.model_copy(update={key: getattr(common, key) for key in missing})


def distinct(backends: tuple[BackendTable, ...]) -> tuple[BackendTable, ...]:
    """`backends`, of which no two share a name or an address, and none is called by another's.

    Raises Mistakes.
    """
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
    for number, row in enumerate(backends):
        other = addresses.get(row.name, number)
        if other != number and backends[other].name:
            why = f"{row.name} is the address of backend[{other}]; a command could mean either"
            found.append(((number, "name"), why))
    if found:
        raise Mistakes(*found)
    return backends


KEYS_EXAMPLE = 'keys = { law = "zipf", count = 10000, s = 1.1 }'


class Traffic(Table):
    """What comes in."""

    arrivals: Arrivals | None = None
    """When requests come, whatever becomes of them."""
    users: Users | None = None
    """Clients who wait for their answers, in place of arrivals that nothing holds up."""
    keys: Zipf | None = None
    """Where a trace has none of its own."""
    work_by_key: Positive | None = None
    """How much keys differ in the work that they bring: each has a factor, lognormal with this
    coefficient of variation, that multiplies the size of all its requests, where that is drawn. The
    mean over all requests stays. (What slows every backend for a while is a fault of kind slow.)"""
    network: Law | None = None
    """One-way delay between balancer and backend."""
    patience: Law | None = None
    """How long a client waits from its arrival, all tries together; then it leaves: the balancer's
    line, or its backend's. Whom it waits for is not told that it is gone but by the connection,
    which closes; with patience in the file backends' lines lose everybody whose connection does."""
    client_retries: Annotated[int, Field(ge=0)] = 0
    """How often a client whose request failed comes again, as a request like any other: 0.1 s after
    its first failure, and twice as long after each further one. Who leaves for want of patience has
    not failed but gone: that client comes no more."""
    cancels: bool = False
    """A backend stops serving, too, whom nobody waits for."""

    @model_validator(mode="after")
    def _one_source(self) -> Traffic:
        if self.arrivals is None and self.users is None:
            why = "missing; give arrivals, a process and its rate, or users, their count and think"
            raise Mistakes((("arrivals",), why))
        if self.arrivals is not None and self.users is not None:
            raise Mistakes((("users",), "stands in place of arrivals; give one of the two"))
        nowhere = self.keys is None and self.users is None and not isinstance(self.arrivals, Trace)
        if self.work_by_key is not None and nowhere:
            raise Mistakes((("work_by_key",), f"there are no keys; give {KEYS_EXAMPLE}"))
        return self

    @property
    def changes(self) -> bool:
        """Whether the rate follows the clock."""
        if self.users is not None:
            return self.users.steps is not None
        return self.arrivals is not None and self.arrivals.changes

    @property
    def keyed(self) -> bool:
        """Whether requests have keys; users are their own. Raises ConfigError."""
        if isinstance(self.arrivals, Trace) and self.arrivals.rows.keys is not None:
            return True
        return self.keys is not None or self.users is not None

    @property
    def work(self) -> float:
        """The mean of the sizes that it gives itself, relative to a backend's mean; else 1.

        Raises ConfigError.
        """
        return self.arrivals.rows.work if isinstance(self.arrivals, Trace) else 1.0

    @property
    def noticed(self) -> bool:
        """Whether backends notice that nobody waits for an answer."""
        return self.cancels or self.patience is not None


class Run(Table):
    """How long is simulated, and how often."""

    duration: PositiveDuration | None = None
    """How long each replication is."""
    requests: Annotated[int, Field(ge=1)] | None = None
    """How many it has, in place of a duration."""
    warmup: Annotated[
        float | None, BeforeValidator(_warmup), PlainSerializer(in_the_file), WithJsonSchema(WARMUP)
    ] = None
    """Cut off each replication's start; None stands for "auto", which is MSER-5."""
    replications: Annotated[int, Field(ge=1)] = 5
    """Independent repetitions, which say how certain a figure is."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Of everything random."""
    balancers: Annotated[int, Field(ge=1, le=MOST_BALANCERS)] = 1
    """Independent balancers before the same backends, each of which sees its own requests only, and
    has its own limits and budgets; a request comes to one of them drawn at random."""

    @model_validator(mode="after")
    def _one_length(self) -> Run:
        if self.duration is not None and self.requests is not None:
            raise ValueError("give duration or requests, not both")
        return self


class Expect(Table):
    """Objectives: upper bounds on what clients see."""

    mean: PositiveDuration | None = None
    """Of all successful requests, the average."""
    p50: PositiveDuration | None = None
    """Of all successful requests, what half of them keep."""
    p90: PositiveDuration | None = None
    """Of all successful requests, what 90 % of them keep."""
    p95: PositiveDuration | None = None
    """Of all successful requests, what 95 % of them keep."""
    p99: PositiveDuration | None = None
    """Of all successful requests, what 99 % of them keep."""
    p999: PositiveDuration | None = None
    """Of all successful requests, what 99.9 % of them keep."""


class VerdictTable(Table):
    """How far a live run may lie outside the prediction's own interval, relative to it."""

    p50: Share = 0.05
    """Of the median."""
    p95: Share = 0.10
    """Of the latency that 95 % keep."""
    p99: Share = 0.15
    """Of the latency that 99 % keep."""
    share: Share = 0.05
    """Of each backend's share of the requests."""
    failed: Share = 0.05
    """Of the number of failed requests."""
