"""What a calibration is: backends, ways, arrivals, keys, faults, each figure with its interval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from lb.config import Deterministic, Ends, Exponential, Unknown
from lb.units import duration
from sim.analysis.statistics import Estimate
from sim.fit.calibrate.arrivals import Process
from sim.fit.calibrate.keys import Keys
from sim.fit.calibrate.ranking import TELLING
from sim.fit.calibrate.services import Service
from sim.fit.calibrate.station import UNBOUNDED, Station
from sim.fit.calibrate.stays import Hypothesis
from sim.fit.calibrate.troubles import Trouble
from sim.fit.seen import Seen
from sim.model.laws import Floats

ALIKE = 0.002
"""Of a mean, what it may differ by at the ends of what is unknown without a word."""
GUESSED = 4.0
"""Times as long, or as short, that services may be at a backend that hardly anything was seen of:
backends of one pool seldom differ by more."""


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

    @property
    def mean(self) -> Estimate:
        """Of services, its interval over all stations that are about as likely."""
        return _over(self.service.mean, *self.station.span(0))

    @property
    def cv(self) -> Estimate:
        """Of services, likewise."""
        return _over(self.service.cv, *self.station.span(1))


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
            if row.guessed:
                continue
            at = f"backend.{place}.model"
            told[f"{at}.service.mean"] = row.mean
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

    @property
    def given(self) -> dict[str, Estimate]:
        """Those of `estimates` that are more certain where all that is unknown is as the file
        has it.
        """
        means = {
            f"backend.{place}.model.service.mean": row.service.mean
            for place, row in enumerate(self.backends)
        }
        whole = self.estimates
        found = {key: it for key, it in means.items() if it != whole.get(key, it)}
        for place, row in enumerate(self.backends):
            if (usl := row.station.hypothesis.usl) is not None and not row.guessed:
                value = usl.contention  # which goes with its coherency, or not at all
                found[f"backend.{place}.model.usl.contention"] = Estimate(value, value, value)
        return found

    @cached_property
    def unknown(self) -> tuple[Unknown, ...]:
        """What the recording cannot tell, as ranges."""
        found: list[Unknown] = []
        for place, row in enumerate(self.backends):
            found += _unknown(f"backend.{place}.model", row)
        return tuple(found)


def _over(it: Estimate, least: float, most: float) -> Estimate:
    low = None if it.low is None else it.low * least
    return replace(it, low=low, high=None if it.high is None else it.high * most)


def _unknown(at: str, row: Backend) -> list[Unknown]:
    station, found = row.station, []
    own = station.hypothesis
    if row.guessed:
        return [_never_seen(at, row)]
    fewest, most = (
        next((it for it in station.open if it.workers == end), own)
        for end in (station.fewest, station.most)
    )
    if station.most is None:
        why = f"never more than {station.never_more} in flight at {row.name}: workers unknown, "
        why += f"at least {station.fewest}"
        also = _also(at, row, fewest, own)
        high = max(UNBOUNDED, station.fewest)
        found.append(
            Unknown(key=f"{at}.workers", low=station.fewest, high=high, why=why, also=also)
        )
    elif station.most > station.fewest:
        why = f"{station.fewest} to {station.most} workers at {row.name} are about as likely"
        also = _also(at, row, fewest, most)
        found.append(
            Unknown(key=f"{at}.workers", low=station.fewest, high=station.most, why=why, also=also)
        )
    if len(station.disciplines) > 1:
        why = f"too few waited or shared a worker at {row.name} to tell fifo from ps"
        if station.most is not None and station.margin >= TELLING:
            why = f"{own.discipline} is likelier at {row.name}, by too little with times so rough"
        other = "ps" if own.discipline == "fifo" else "fifo"
        likely = next((it for it in station.open if it.discipline == other), own)
        unbound = station.most is None and own.usl is None
        also = () if unbound else _also(at, row, own, likely, workers=True)
        found.append(
            Unknown(key=f"{at}.discipline", low=own.discipline, high=other, why=why, also=also)
        )
    if station.ends is not None and (slower := _slowing(at, *station.ends)):
        contention, *_ = slower
        why = f"contention and coherency at {row.name} can hardly be told from each other"
        also = tuple(it for it in _also(at, row, *station.ends) if it.key != contention.key)
        found.append(Unknown(**contention.model_dump(), why=why, also=also))
    return found


def _never_seen(at: str, row: Backend) -> Unknown:
    """Between another's model with far shorter services and one worker with far longer ones."""
    ends = [duration(float(f"{row.service.mean.value * it:.5g}")) for it in (1 / GUESSED, GUESSED)]
    workers = row.station.hypothesis.workers
    also = () if workers == 1 else (Ends(key=f"{at}.workers", low=workers, high=1),)
    why = f"hardly anything was seen of {row.name}: its model is another backend's, and its "
    why += f"services may be {GUESSED:g} times as long, or as short"
    return Unknown(key=f"{at}.service.mean", low=ends[0], high=ends[1], why=why, also=also)


def _slowing(at: str, low: Hypothesis, high: Hypothesis) -> tuple[Ends, ...]:
    """Contention and coherency of two that slow down, where they are not the same."""
    if low.usl is None or high.usl is None or low.usl == high.usl:
        return ()
    rows = (
        ("contention", low.usl.contention, high.usl.contention),
        ("coherency", low.usl.coherency, high.usl.coherency),
    )
    return tuple(Ends(key=f"{at}.usl.{name}", low=_short(a), high=_short(b)) for name, a, b in rows)


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _also(
    at: str, row: Backend, low: Hypothesis, high: Hypothesis, *, workers: bool = False
) -> tuple[Ends, ...]:
    """What else a station has at either end, where it is not as the file has it."""
    own = row.station.hypothesis
    found = list(_slowing(at, low, high))
    if workers:
        if {low.workers, high.workers} != {own.workers}:
            found.append(Ends(key=f"{at}.workers", low=low.workers, high=high.workers))
    elif {low.discipline, high.discipline} != {own.discipline}:
        found.append(Ends(key=f"{at}.discipline", low=low.discipline, high=high.discipline))
    spans, mean = row.station.spans, row.service.mean.value
    times = [spans.get(it, (1.0, 1.0))[0] for it in (low, high)]
    if any(abs(it - 1) > ALIKE for it in times):
        ends = [duration(float(f"{max(mean * it, 0.0):.5g}")) for it in times]
        found.append(Ends(key=f"{at}.service.mean", low=ends[0], high=ends[1]))
    return tuple(found)
