"""The simulated world: sites, balancers before them, and a source of requests.

SimPy keeps the time, the balancer of the live proxy decides.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import numpy as np

from lb.balancing import Balancer, Setup
from lb.config import ProxyModel, Scenario
from sim.analysis.brief import Brief
from sim.analysis.record import Record, Visits
from sim.engine.clients import Attended
from sim.engine.costly import Costly, Costs
from sim.engine.dispatcher import Dispatcher, Ways
from sim.engine.express import Express
from sim.engine.journal import Journal
from sim.engine.pressed import Pressed
from sim.engine.rotation import Rotation
from sim.engine.site import Site
from sim.engine.source import OpenLoop, Source
from sim.engine.staged import Stage, StagedSite
from sim.engine.struck import StruckSite
from sim.engine.tally import Tally
from sim.engine.timeline import Timeline
from sim.engine.users import ClosedLoop
from sim.model.arrivals import Schedule, further_delays, network_delays, streams
from sim.model.door import Door
from sim.model.faults import timely
from sim.model.flow import Flow
from sim.model.laws import draw, shape
from sim.model.making import make
from sim.model.occurrences import occurrences
from sim.model.separate import Dealer
from sim.model.stations import Station
from sim.model.users import Population


class World(Timeline):
    """One replication of one algorithm; call `replicate` once.

    `balancers` of one kind, each with its own randomness, stand before the same sites. A request
    comes to the one that the schedule says, where it knows as many; else to one drawn at random.
    """

    def __init__(
        self,
        scenario: Scenario,
        arrivals: Schedule | Flow | Source | None,
        algorithm: str | None = None,
        replication: int = 0,
        balancers: int | None = None,
        struck: int | None = None,
        watched: bool | None = None,
        express: bool = True,
        cut: float = 0.0,
    ) -> None:
        """`arrivals` is what a file's open loop has drawn, or a source of requests of any kind;
        None stands for the file's users.

        `balancers`: how many; the file's number unless given.
        `watched`: note who is in rotation when; where a run changes with time unless given.
        `struck` is the replication whose random faults strike here; its own unless given.
        `express`: let whatever can take the express lane; the record is the same either way.
        `cut` is from when on `count` counts.
        """
        super().__init__()
        seed = scenario.run.seed
        *_, picks, network = streams(seed, replication)
        balancers = scenario.run.balancers if balancers is None else balancers
        source: Source
        if arrivals is None:
            source = ClosedLoop(Population(scenario, replication, balancers))
        else:
            source = OpenLoop(arrivals) if isinstance(arrivals, Schedule | Flow) else arrivals
        self._source = source
        self._routes: list[int] = []
        offsets = [arrivals.before if isinstance(arrivals, Schedule) else 0]
        if balancers > 1:
            drawn, begun, *_ = streams(seed, replication, "balancers")
            self._routes = _known(arrivals, balancers)
            self._routes = self._routes or drawn.integers(balancers, size=len(source)).tolist()
            offsets = begun.integers(len(scenario.backends), size=balancers).tolist()
        traffic = scenario.offered()
        self._watched = scenario.eventful if watched is None else watched
        self._over = self.event()
        self._journal = self._journal_of(scenario, arrivals, cut)
        faults = occurrences(scenario.faults, seed, replication if struck is None else struck)
        self.sites: dict[str, Site] = {}
        self._troubles: list[tuple[int, float, float]] = []
        self._own: dict[int, Visits] = {}
        self._stages = self._shared(scenario, replication, len(source))
        for place, (row, model) in enumerate(scenario.modelled()):
            mine = [fault for fault in faults if fault.strikes(row)]
            self._troubles += [(place, fault.since, fault.until) for fault in mine]
            sizes = source.sizes[shape(model.service)]
            dealer: Dealer | None = None
            if model.separate:
                dealer = Dealer(Random(f"accept {row.address} {seed} {replication}"))
                self._own[place] = Visits(dealer.begun, dealer.rested)
            station = partial(make, model, timely(mine), noticed=traffic.noticed, dealer=dealer)
            door: Door | None = None
            if mine or model.then is not None:  # of a thousand backends luck is half of the start
                door = Door(mine, Random(f"{row.address} {seed} {replication}"))
            site: Site
            if model.then is not None and door is not None:
                stage = self._stages[model.then]
                site = StagedSite(self, place, station, model, sizes, door, stage)
                if site.visits is not None:
                    self._own.setdefault(place, site.visits)
            elif door:
                site = StruckSite(self, place, station, model, sizes, door)
            else:
                site = Site(self, place, station(), model, sizes)
            self.sites[row.address] = site
        law = traffic.network
        there: list[float]
        back: list[float]
        if isinstance(source, ClosedLoop):
            there, back = source.there, source.back
        elif isinstance(arrivals, Flow):
            there, back = arrivals.ways or ([], [])
        else:
            delays = network_delays(scenario, network, len(source))
            there, back = ([], []) if delays is None else delays.tolist()
        again = further_delays(scenario, replication)
        probe = 0.0 if law is None else law.mean
        self._ways = ways = Ways(there, back, probe, law is not None, again)
        kind: Callable[..., Dispatcher] = Dispatcher
        setup, limits = scenario.setup(algorithm), scenario.timeouts
        clients: dict[str, Any] = {
            "patience": source.patience if isinstance(source, OpenLoop | ClosedLoop) else [],
            "retries": traffic.client_retries,
            "noticed": traffic.noticed,
            "cancels": traffic.cancels,
        }
        if setup.hedging.after is not None or setup.retries.statuses or limits.total is not None:
            kind = partial(Pressed, total=limits.total, **clients)
        elif traffic.noticed or traffic.client_retries:
            kind = partial(Attended, **clients)
        own = scenario.server.model
        self._held: array[float] | None = None
        if own is not None:
            self._held = array("d", bytes(8 * len(source)))
            costs = _costs(own, seed, replication, len(source))
            kind = partial(Costly, costs=costs, held=self._held, total=limits.total, **clients)
        response = min(limits.response, limits.attempt or limits.response)
        self.dispatchers = [
            kind(
                Balancer(_numbered(setup, number), Random(int(picks.integers(2**63)))),
                self,
                self.sites,
                self._journal,
                ways,
                response,
            )
            for number in range(balancers)
        ]
        self._offsets = offsets
        plain = all(type(it) is Site for it in self.sites.values()) and kind is Dispatcher
        if express and plain and isinstance(source, OpenLoop):
            lane = Express(
                self,
                self._journal,
                self.dispatchers,
                self._routes,
                self.sites,
                source,
                ways,
                response,
            )
            self.lane, self._begin = lane, lane.start
        else:
            self._begin = partial(source.start, self, self._journal, self.dispatchers, self._routes)

    def count(self) -> Brief:
        """As `replicate`, of a flow: nothing is kept of its requests but what is counted."""
        self._run()
        assert isinstance(self._journal, Tally), "only a flow is counted"
        return self._journal.brief()

    def replicate(self) -> Record:
        """Simulate until every request has been answered or refused."""
        rotation = self._run()
        there, back = self._ways.there, self._ways.back
        delays = np.array([there, back]) if self._ways.delayed else None
        if self._held is not None:  # an answer that waits at the balancer has left its backend
            delays = np.zeros((2, len(self._source))) if delays is None else delays
            delays[1] += np.asarray(self._held)
        record = self._journal.record(delays, None if rotation is None else rotation.seen)
        return replace(
            record,
            troubles=self._troubles,
            own=self._own,
            proxies=[it.thread.visits for it in self.dispatchers if isinstance(it, Costly)],
            shared={name: stage.visits for name, stage in self._stages.items()},
        )

    def _run(self) -> Rotation | None:
        for dispatcher, offset in zip(self.dispatchers, self._offsets, strict=True):
            dispatcher.start(self.now)
            for _ in range(offset):  # as if it had taken turns before: nobody's first is the first
                dispatcher.balancer.pool.pick(self.now)
        rotation = Rotation(self, self.dispatchers, len(self.sites)) if self._watched else None
        self._begin()
        if self._journal.left:
            with _no_garbage_collection():
                self.run(until=self._over)
        return rotation

    def _journal_of(self, scenario: Scenario, arrivals: object, cut: float) -> Journal:
        def over(now: float) -> None:
            self.succeed(self._over, now)

        if not isinstance(arrivals, Flow):
            return Journal(over)
        laws = [model.service for _, model in scenario.modelled()]
        return Tally(over, arrivals, [shape(it) for it in laws], [it.mean for it in laws], cut)

    def _shared(self, scenario: Scenario, replication: int, requests: int) -> dict[str, Stage]:
        """The shared stations, each with sizes of its own."""
        stages = {}
        for row in scenario.shared:
            luck = streams(scenario.run.seed, replication, f"shared {row.name}")[0]
            station: Station[Any] = make(row, noticed=scenario.offered().noticed)
            stages[row.name] = Stage(self, station, draw(row.service, luck, requests).tolist())
        return stages


def _known(arrivals: object, balancers: int) -> list[int]:
    """Which of so many balancers each request comes to; empty where nobody says so, or says it of
    more than there are.
    """
    told = arrivals.balancers if isinstance(arrivals, Schedule) else None
    if told is None or int(told.max(initial=0)) >= balancers:
        return []
    routes: list[int] = told.tolist()
    return routes


def _costs(own: ProxyModel, seed: int, replication: int, requests: int) -> Costs:
    """What each request costs a balancer, and its answer."""
    coming, going, *_ = streams(seed, replication, "proxy")
    answers = [] if own.answer is None else draw(own.answer, going, requests).tolist()
    return Costs(draw(own.service, coming, requests).tolist(), answers)


def _numbered(setup: Setup, number: int) -> Setup:
    """That of the balancer of this number, which has a subset of its own."""
    instance = setup.subset.instance + number
    return replace(setup, subset=replace(setup.subset, instance=instance))


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A run makes many objects and no cycles; looking for cycles costs a tenth of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
