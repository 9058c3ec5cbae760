"""How busy the stations of a scenario are: its backends, and what comes after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lb.config import Scenario
from sim.analysis.brief import Brief
from sim.analysis.load import Steadiness, steadiness
from sim.analysis.record import Record, Visits, mean_inside, occupancy, time_average
from sim.result import BackendUse, StationUse


class Load(NamedTuple):
    """What one station is sent."""

    offered: float
    """Work per second over its capacity, the whole run."""
    bounded: bool
    """Whether its line cannot grow without end."""

    @property
    def steadiness(self) -> Steadiness:
        """Whether its latencies have a steady state."""
        return steadiness(self.offered, bounded=self.bounded)


def loads(
    scenario: Scenario, records: Sequence[Record] | Sequence[Brief], rate: float
) -> list[Load]:
    """Of each backend, then of each shared station, then of the balancers if their work takes time.

    `rate` is that of the requests, per second.

    Users decide themselves how many they send: their rate is what the records say.
    """
    traffic = scenario.offered()
    length = float(np.mean([record.until for record in records]))
    if traffic.users is not None:
        rate = float(np.mean([record.requests for record in records])) / length
    # Of users no more can wait than there are.
    few = traffic.patience is not None or traffic.users is not None
    rows = []
    each = [
        [it.entered(at) / it.requests for it in records] for at in range(len(scenario.backends))
    ]
    shares = np.mean(each, axis=1).tolist()  # one call for a thousand backends
    for sent, (backend, model) in zip(shares, scenario.modelled(), strict=True):
        offered = sent * rate * traffic.work / scenario.capacity_of(model, length)
        limited = model.queue is not None or backend.max_in_flight is not None
        rows.append(Load(offered, few or limited))
    for row in scenario.shared:
        sent = float(np.mean([len(it.shared[row.name][0]) / it.requests for it in records]))
        offered = sent * rate / row.capacity_over(length)
        rows.append(Load(offered, scenario.bounded or row.queue is not None))
    if scenario.server.model is not None:
        came = float(np.mean([1 + it.came_again / it.requests for it in records]))
        rows.append(Load(came * rate / scenario.seen_to, few))
    return rows


def backend_use(
    scenario: Scenario, records: Sequence[Record], cut: float, sent: Sequence[Load]
) -> list[BackendUse]:
    """Of each backend, mean of the replications, from `cut` to the last arrival."""
    # Silence is held against a backend when the limit of an answer is over.
    memory = scenario.outliers.window + scenario.timeouts.response
    after = [np.count_nonzero(record.arrived >= cut) for record in records]
    means = []
    for order, (_, model) in enumerate(scenario.modelled()):
        share, busy, in_flight = [], [], []
        for record, all_counted in zip(records, after, strict=True):
            counted = np.count_nonzero(record.arrived[record.answered_by(order)] >= cut)
            share.append(counted / max(int(all_counted), 1))
            times, inside = occupancy(*record.at_work(order))
            working = np.minimum(inside, model.workers)
            busy.append(time_average(times, working, cut, record.until) / model.workers)
            in_flight.append(mean_inside(*record.in_flight(order), cut, record.until))
        ejected, falsely = zip(*[it.ejections(order, memory) for it in records], strict=True)
        means.append((share, busy, in_flight, ejected, falsely))
    return [
        BackendUse(
            name=backend.label,
            share=share,
            utilisation=busy,
            mean_in_flight=in_flight,
            offered=load.offered,
            bounded=load.bounded,
            ejected=ejected,
            falsely_ejected=falsely,
        )
        for backend, load, (share, busy, in_flight, ejected, falsely) in zip(
            scenario.backends, sent, np.mean(means, axis=2).tolist(), strict=True
        )
    ]


def shared_use(
    scenario: Scenario, records: Sequence[Record], cut: float, sent: Sequence[Load]
) -> list[StationUse]:
    """Of each shared station; `sent` are the loads of these alone."""
    return [
        _use(row.name, row.workers, [(it.shared[row.name], it.until) for it in records], cut, load)
        for row, load in zip(scenario.shared, sent, strict=True)
    ]


def proxy_use(
    scenario: Scenario, records: Sequence[Record], cut: float, sent: Sequence[Load]
) -> StationUse | None:
    """Of the balancers' own threads, on average; `sent` is theirs alone, or nothing."""
    name = "the balancer" if scenario.run.balancers == 1 else "each balancer"
    visits = [(each, it.until) for it in records for each in it.proxies]
    return next((_use(name, 1, visits, cut, load) for load in sent), None)


def _use(
    name: str, workers: int, visits: Sequence[tuple[Visits, float]], cut: float, load: Load
) -> StationUse:
    """Of a station whose `visits` stand with the end of the time that counts."""
    busy, present = [], []
    for (entered, left), until in visits:
        came, went = np.asarray(entered), np.asarray(left)
        times, inside = occupancy(came, went)
        busy.append(time_average(times, np.minimum(inside, workers), cut, until) / workers)
        present.append(mean_inside(came, went, cut, until))
    return StationUse(
        name=name,
        utilisation=float(np.mean(busy)),
        mean_present=float(np.mean(present)),
        offered=load.offered,
        bounded=load.bounded,
    )
