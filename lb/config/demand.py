"""What a file offers, over what its backends can serve: figures that are known before it runs."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import Field, PrivateAttr

from lb.config.arrivals import ArrivalsTable, Trace
from lb.config.faults import FaultTable
from lb.config.listeners import Listener, ListenerTable, listeners
from lb.config.model import DEFAULT_REQUESTS, BackendTable, Run, Traffic
from lb.config.pace import quickened
from lb.config.places import Origin
from lb.config.serving import Server
from lb.config.stations import Model, Shared
from lb.config.values import Table
from lb.errors import ConfigError, UsageError

DEFAULT_BACKENDS = ("127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003")
LONGEST = 1e8
"""Seconds of a run, three years: what takes longer was not meant, and seconds are written down."""
QUICKEST = 1e9
"""Requests per second on average: more are nearer to each other than a clock can tell."""


class Demand(Table):
    """The tables of traffic and backends. In code `backends` is the name of `[[backend]]`."""

    backends: Annotated[tuple[BackendTable, ...], Field(alias="backend", strict=False)] = tuple(
        BackendTable(address=place) for place in DEFAULT_BACKENDS
    )
    """Those that requests are sent to; on three ports of this machine unless given."""
    shared: Annotated[tuple[Shared, ...], Field(strict=False)] = ()
    """Stations where requests of several backends go on."""
    server: Server = Server()
    listeners: Annotated[tuple[ListenerTable, ...], Field(alias="listener", strict=False)] = ()
    """Further places to listen, each in its own way. In code the name of `[[listener]]`."""
    traffic: Traffic | None = None
    faults: Annotated[tuple[FaultTable, ...], Field(alias="fault", strict=False)] = ()
    """What goes wrong at modelled backends, and when."""
    run: Run = Run()
    _origin: Origin = PrivateAttr(default_factory=Origin)

    def place(self, *path: str | int) -> str:
        """Where a key stands, or would: `lb.toml:12 backend[1].model`."""
        return self._origin.at(path)

    def standing_at(self, other: Self) -> Self:
        """This one, whose keys stand where those of `other` do, which it was made from."""
        self._origin = other._origin
        return self

    def listening(self) -> tuple[Listener, ...]:
        """Every place to listen, in the order of the file."""
        server = self.server
        common = "listen" in server.model_fields_set or not self.listeners
        return listeners(server.addresses if common else (), server.tls, self.listeners)

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
        if not self.backends:
            why = "no backends to simulate: [[discovery]] finds some only while lb serve runs"
            return [f"{self.place('discovery')}: {why}; give [[backend]]s with a model"]
        return [
            f"{self.place('backend', at, 'model')}: missing; nothing to simulate {row.label} with"
            for at, row in enumerate(self.backends)
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
        stations = [*(model for _, model in self.modelled()), *self.shared]
        paced = any(station.speed is not None for station in stations)
        return bool(self.faults) or self.offered().changes or paced

    @property
    def eventful(self) -> bool:
        """Whether a run changes with time: by the clock, or by clients that leave."""
        return self.changing or self.offered().patience is not None

    @property
    def capacity(self) -> float:
        """Requests per second that all backends together can serve, on average over a run.

        Those that go on at one shared station can serve no more than it does, and all of them no
        more than the balancers see to.
        """
        served = sum(min(alone, after) for _, alone, after in self.stages())
        return min(served, self.seen_to)

    @property
    def seen_to(self) -> float:
        """Requests per second that all balancers together can see to."""
        own = self.server.model
        return math.inf if own is None else self.run.balancers * own.capacity

    def stages(self) -> list[tuple[Shared | None, float, float]]:
        """The capacity of those backends that go on at each shared station, and its own; that of
        the others, which are followed by none, is without end.
        """
        length = self.length
        stages: list[tuple[Shared | None, float, float]] = []
        for row in (None, *self.shared):
            name = None if row is None else row.name
            alone = sum(
                self.capacity_of(model, length)
                for _, model in self.modelled()
                if model.then == name
            )
            stages.append((row, alone, math.inf if row is None else row.capacity_over(length)))
        return stages

    def capacity_of(self, model: Model, seconds: float) -> float:
        """Of one backend on average over a run of that length, at most what its workers can do who
        wait for the end of what comes after.
        """
        most = model.capacity_over(seconds)
        if not model.holds:
            return most
        (after,) = (row.service.mean for row in self.shared if row.name == model.then)
        held = model.service.mean + after
        return min(most, model.workers / held) if held else most

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

    def at_rate(self, rate: float) -> Self:
        """The same with so many requests per second on average over a run.

        A process of several rates keeps their proportion. Raises UsageError where no rate is given.
        """
        traffic = self.offered()
        if traffic.arrivals is None:
            raise UsageError("users send when they have their answers: give another count or think")
        quicker = quickened(traffic.arrivals, rate / self.rate)
        return self.model_copy(update={"traffic": traffic.model_copy(update={"arrivals": quicker})})

    def at_load(self, load: float) -> Self:
        """The same with so much work offered, over the capacity of all backends. See `at_rate`."""
        if self.capacity == math.inf:
            raise UsageError("the backends take no time to serve, so there is no load to offer")
        return self.at_rate(load * self.capacity / self.offered().work)

    def endless(self) -> list[str]:
        """Why a run would neither settle nor end by itself, or not in any time that one waits, in
        one line, or nothing.
        """
        run = self.run
        if beyond := self._beyond():
            return [beyond]
        ends = run.duration or run.requests or isinstance(self.offered().arrivals, Trace)
        if ends or self.bounded or self.utilisation < 1:
            return []
        where, load = self.place("traffic", "arrivals"), f"{self.utilisation:.4g} of capacity"
        cure = "give a duration or requests, a limit, or a lower rate"
        return [f"{where}: offered load {load}: {cure}"]

    def _beyond(self) -> str | None:
        """What makes a run larger than any that can be meant."""
        traffic, run = self.offered(), self.run
        where = self.place("traffic", "users" if traffic.arrivals is None else "arrivals")
        if run.duration is not None:
            if run.duration > LONGEST:
                where = self.place("run", "duration")
                return f"{where}: {run.duration:g} s; give {LONGEST:g} s at most"
        elif not isinstance(traffic.arrivals, Trace):
            requests = run.requests or DEFAULT_REQUESTS
            if self.rate * LONGEST < requests:
                return (
                    f"{where}: {requests} requests at {self.rate:g}/s are a run of more than "
                    f"{LONGEST:g} s; give {requests / LONGEST:g}/s at least, or fewer requests"
                )
        if isinstance(traffic.arrivals, Trace | None) or self.rate <= QUICKEST:
            return None
        return f"{where}: {self.rate:g} requests/s; give {QUICKEST:g}/s at most"
