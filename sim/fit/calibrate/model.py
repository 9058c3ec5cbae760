"""What a calibration is: backends, ways, arrivals, keys, faults, each figure with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lb.config import Deterministic, Exponential, Unknown
from sim.analysis.statistics import Estimate
from sim.fit.calibrate.arrivals import Process
from sim.fit.calibrate.keys import Keys
from sim.fit.calibrate.services import Service
from sim.fit.calibrate.station import TELLING, UNBOUNDED, Station
from sim.fit.calibrate.troubles import Trouble
from sim.fit.seen import Seen
from sim.model.laws import Floats


@dataclass(frozen=True)
class Way:
    """What each request takes beside its service: network there and back, connections, proxy."""

    overhead: Estimate
    """Seconds of each stay that no worker is busy with."""
    identified: bool
    """Whether it can be told from service: where nobody ever waits, it cannot."""


@dataclass(frozen=True)
class Backend:
    """One backend, fitted."""

    name: str
    station: Station
    service: Service
    sample: Floats
    """Its services at a speed of 1, in seconds."""
    course: tuple[tuple[float, float], ...] = ()
    """Times and its speed from there on; none where it never changes."""
    doubt: str = ""
    """What speaks against the whole model; empty where nothing does."""
    guessed: bool = False
    """Whether it is another one's, for want of answers."""


@dataclass(frozen=True)
class Fitted:
    """A model and how certain it is."""

    seen: Seen
    backends: tuple[Backend, ...]
    way: Way
    arrivals: Process
    keys: Keys | None
    work_by_key: Estimate | None
    factors: Floats | None
    """What the work of each key is multiplied by, by its number in `seen`; None where keys bring
    the same."""
    faults: tuple[Trouble, ...]
    time_limit: float | None = None
    """Seconds after which an attempt is given up; None where none was."""
    patience: Exponential | Deterministic | None = None
    """How long clients wait; None where hardly any leaves."""
    remarks: tuple[str, ...] = ()
    """What somebody should know, a sentence each."""

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Figures by their path in the file, with intervals of 95 %; times in seconds."""
        told: dict[str, Estimate] = {}
        for place, row in enumerate(self.backends):
            at = f"backend.{place}.model"
            told[f"{at}.service.mean"] = row.service.mean
            if row.service.law.best.key and row.service.shape.low is not None:
                told[f"{at}.service.{row.service.law.best.key}"] = row.service.shape
            station = row.station
            if station.most is not None:
                told[f"{at}.workers"] = Estimate(
                    station.hypothesis.workers, station.fewest, station.most
                )
            if station.hypothesis.usl is not None:
                told[f"{at}.usl.contention"] = Estimate(
                    station.hypothesis.usl.contention, *station.contention
                )
        if self.way.identified:
            way = self.way.overhead
            low, high = way.low or 0.0, way.high or 0.0
            told["traffic.network.mean"] = Estimate(way.value / 2, low / 2, high / 2)
        told["rate"] = self.arrivals.rate
        if self.keys is not None:
            told["traffic.keys.s"] = self.keys.s
            told["traffic.keys.count"] = self.keys.count
        if self.work_by_key is not None:
            told["traffic.work_by_key"] = self.work_by_key
        for number, fault in enumerate(self.faults):
            if fault.kind in ("errors", "reset"):
                told[f"fault.{number}.rate"] = fault.rate
        return told

    @cached_property
    def unknown(self) -> tuple[Unknown, ...]:
        """What the recording cannot tell, as ranges."""
        found: list[Unknown] = []
        for place, row in enumerate(self.backends):
            found += _unknown(f"backend.{place}.model", row)
        return tuple(found)


def _unknown(at: str, row: Backend) -> list[Unknown]:
    station, found = row.station, []
    own = station.hypothesis
    if station.most is None:
        why = f"never more than {station.never_more} in flight at {row.name}: workers unknown, "
        why += f"at least {station.fewest}"
        found.append(Unknown(key=f"{at}.workers", low=station.fewest, high=UNBOUNDED, why=why))
    elif station.most > station.fewest:
        why = f"{station.fewest} to {station.most} workers at {row.name} are about as likely"
        found.append(Unknown(key=f"{at}.workers", low=station.fewest, high=station.most, why=why))
    if len(station.disciplines) > 1:
        why = f"too few waited or shared a worker at {row.name} to tell fifo from ps"
        if station.margin >= TELLING:
            why = f"{own.discipline} is likelier at {row.name}, by too little with times so rough"
        other = "ps" if own.discipline == "fifo" else "fifo"
        found.append(Unknown(key=f"{at}.discipline", low=own.discipline, high=other, why=why))
    return found
