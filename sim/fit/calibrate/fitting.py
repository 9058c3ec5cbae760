"""From what was seen to a model: everything a scenario file says of backends and traffic.

>>> calibration = calibrate(observe("today.rec"))
>>> print(calibration.text())
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lb.balancing.settings import Settings
from lb.balancing.setup import Setup
from lb.config import Scenario
from lb.errors import ConfigError
from lb.strategies import parse
from lb.traces.observed import Observed
from sim.analysis.statistics import Estimate
from sim.fit.calibrate import station as stations
from sim.fit.calibrate.arrivals import process
from sim.fit.calibrate.calibration import Calibration
from sim.fit.calibrate.doubts import consistency, misfits
from sim.fit.calibrate.edges import LONGEST, begins
from sim.fit.calibrate.keys import keys, work_by_key
from sim.fit.calibrate.limits import completed, patience, time_limit
from sim.fit.calibrate.model import Backend, Way
from sim.fit.calibrate.picks import guessed
from sim.fit.calibrate.ranking import TELLING
from sim.fit.calibrate.remarks import remarks
from sim.fit.calibrate.replay import replay
from sim.fit.calibrate.sampled import station_of_sample
from sim.fit.calibrate.services import Service, of_keys, services
from sim.fit.calibrate.speeds import at_speed, speeds
from sim.fit.calibrate.station import Station
from sim.fit.calibrate.stays import Hypothesis, Stays
from sim.fit.calibrate.ticks import at_least, short_of, tick
from sim.fit.calibrate.troubles import quick_errors, troubles
from sim.fit.calibrate.twins import doubted
from sim.fit.seen import Seen, Visits
from sim.fit.stood import awake, left_out
from sim.model.laws import Floats

FEWEST = 200
"""Answered requests from which a model is made: a mean is known to 14 % of its spread then."""
NEEDED = {
    "arrived": "when requests came",
    "ended": "when they had ended",
    "attempts.started": "when they went to a backend",
    "attempts.ended": "when the answers of backends had ended ($upstream_response_time of nginx)",
}
"""Columns without which nothing can be said of backends."""
IDENTIFIED = 2.0
"""By how much likelier an overhead must be than none, as a logarithm."""
JITTER = 0.0008
"""Seconds of spread that timers and networks of one machine give equal work."""
USUAL = 0.0005
"""Seconds that ways take where nothing is known of them: long ones need the more evidence."""
NOISE = 0.0001
"""Seconds by which timers and clocks of a machine lead astray what is told of ways, at least."""
ROUNDS = 10
"""Samples drawn again for the intervals of keys."""
REPLAYS = 5
MOST_FOR_STATIONS = 60_000
"""Attempts at one backend that its hypotheses are compared by: the first of them."""


def calibrate(
    seen: Observed | Seen,
    *,
    algorithm: str | None = None,
    base: tuple[Scenario, str] | None = None,
    quick: bool = False,
    replays: int = REPLAYS,
    seed: int = 1,
    on_step: Callable[[str], None] | None = None,
) -> Calibration:
    """The model of what was seen, with intervals of 95 %.

    `algorithm` is what balanced; where neither it nor the source says so, the picks tell. `base` is
    a file, and what it is called, of which all but models, traffic and faults is kept.

    `quick` leaves out what takes long: samples drawn again, slow-down of workers by each other, and
    the replay of the recording. `on_step` is told what is done next. Raises ConfigError where the
    source lacks timings, or too little was seen.
    """
    it = awake(seen if isinstance(seen, Seen) else Seen.of(seen))
    guess = None
    if algorithm is None and it.observed.setup is None:
        guess = guessed(it)
    if algorithm is not None or guess is not None:
        it = _balanced_by(it, algorithm or (guess.name if guess else ""))
    say = on_step or (lambda _: None)
    _check(it)
    rng = np.random.default_rng(seed)
    rounds = 0 if quick else ROUNDS
    resolution = it.observed.resolution
    say("stations")
    visits = [it.visits(place) for place in range(len(it.names))]
    quick_to_fail = [quick_errors(one) for one in visits]
    stays = [
        stations.stays_of(one, resolution, fast, it.unjudged)
        for one, fast in zip(visits, quick_to_fail, strict=True)
    ]
    whole = [int(np.count_nonzero(one.whole)) for one in stays]
    known = [n for n, answers in enumerate(whole) if answers >= stations.FEWEST]
    if not known:
        why = f"{max(whole, default=0)} answers are the most of one backend"
        raise ConfigError([f"{it.observed.source}: {why}; a model takes {stations.FEWEST}"])
    grain = tick(stays, resolution)
    if it.observed.share < 1.0:
        way = Way(Estimate(0.0, 0.0, 0.0), identified=False)
        told = _sampled(it, known, visits, stays)
    else:
        way, found = _stations([_head(stays[n]) for n in known], usl=not quick)
        told = [replace(one, stays=stays[n]) for n, one in zip(known, found, strict=True)]
    if not (quick or way.identified):
        way, told = _by_beginning(way, told)
    say("services")
    begun = [one.stays.arrived[one.stays.whole] for one in told]
    raw = [one.services for one in told]
    courses = [
        speeds(at, one, stays[n].floor) for at, one, n in zip(begun, raw, known, strict=True)
    ]
    samples = [
        one * at_speed(at, points) for one, at, points in zip(raw, begun, courses, strict=True)
    ]
    short = short_of(samples, grain, it.observed.source)
    samples = at_least(samples, grain, short)
    spread = 0.5 * ((way.overhead.high or 0.0) - (way.overhead.low or 0.0))
    blurs = [spread * float(1 - one.stays.waited(one.hypothesis).mean()) for one in told]
    dependent, factors, samples_of_law = _by_key(it, known, visits, stays, samples)
    samples, samples_of_law = (
        [completed(one, it.cut_short, rng) for one, it in zip(each, told, strict=True)]
        for each in (samples, samples_of_law)
    )
    if dependent is not None:
        pairs = zip(blurs, samples, samples_of_law, strict=True)
        blurs = [math.hypot(blur, of_keys(one, freed)) for blur, one, freed in pairs]
    blurs = [max(blur, grain / 2 * no) for blur, no in zip(blurs, short, strict=True)]
    made = services(samples_of_law, blurs, grain, max(grain, JITTER))
    told = doubted(told, [one.mean for one in made])
    backends = _backends(it, known, told, made, samples, courses)
    faults = tuple(
        trouble
        for name, one, fast in zip(it.names, visits, quick_to_fail, strict=True)
        for trouble in troubles(name, one, quick=fast)
    )
    say("arrivals")
    arrivals = process(Seen.of(it.observed).arrived, resolution)
    if it.observed.share < 1.0:
        arrivals = arrivals.quickened(1 / it.observed.share)
    popularity = keys(it.key, max(rounds, 4), rng)
    result = Calibration(
        seen=it,
        backends=backends,
        way=way,
        arrivals=arrivals,
        keys=popularity,
        work_by_key=dependent,
        factors=factors,
        faults=faults,
        time_limit=time_limit(it),
        patience=patience(it),
        remarks=(
            *it.observed.remarks,
            *left_out(it),
            *(() if guess is None else (f"it seems that {guess.name} balanced: {guess.why}",)),
            *remarks(it, arrivals, popularity, backends),
        ),
    )
    if base is not None:
        result = result.based_on(*base)
    if quick or replays < 1 or it.observed.share < 1.0:
        return result
    say("replay")
    replayed = replay(result, result.lived, replays)
    reasons = misfits(replayed, it, guessed=guess is not None)
    return replace(result, replayed=replayed, remarks=(*result.remarks, *reasons))


def _balanced_by(seen: Seen, algorithm: str) -> Seen:
    """The same, known to be balanced so. Raises UsageError for an unknown algorithm."""
    name, settings = parse(algorithm)
    setup = seen.observed.setup or Setup(tuple(Settings(name) for name in seen.names))
    told = replace(setup, algorithm=name, settings=settings)
    return replace(seen, observed=replace(seen.observed, setup=told))


def _check(seen: Seen) -> None:
    source = seen.observed.source
    if missing := [what for name, what in NEEDED.items() if name in seen.observed.lacking]:
        said = ", ".join(missing)
        why = f"does not say {said}: without these times there is no model of backends"
        raise ConfigError([f"{source}: {why}; record with lb serve --record, or log them"])
    if len(seen.latency) < FEWEST:
        raise ConfigError([f"{source}: {_too_few(len(seen.latency))}"])
    if not seen.seconds:
        raise ConfigError([f"{source}: all requests came at one time; a model takes a while"])


def _too_few(number: int) -> str:
    return f"{number} answered requests; a model takes {FEWEST} at least, and is good from 5000 on"


def _head(stays: Stays) -> Stays:
    """The first of them, where there are very many."""
    if len(stays) <= MOST_FOR_STATIONS:
        return stays
    return stays.only(np.arange(len(stays)) < MOST_FOR_STATIONS)


def _stations(stays: list[Stays], *, usl: bool) -> tuple[Way, list[Station]]:
    """What the ways take, and what the backends are: in turns, each with what the other says."""
    own = [stations.station(one, 0.0, usl=usl).hypothesis for one in stays]
    way = Way(Estimate(0.0, 0.0, 0.0), identified=False)
    found: list[Station] = []
    for _ in range(2 if usl else 1):
        way = _overhead(stays, own)
        found = [stations.station(one, way.overhead.value, usl=usl) for one in stays]
        again = [one.hypothesis for one in found]
        same = all(
            replace(a, overhead=0.0, usl=None) == replace(b, overhead=0.0, usl=None)
            for a, b in zip(again, own, strict=True)
        )
        if same:
            break
        own = again
    return way, found


def _sampled(
    seen: Seen, known: list[int], visits: list[Visits], stays: list[Stays]
) -> list[Station]:
    """What the backends are of which but a sample of the requests is known."""
    numbers = np.asarray(seen.observed.attempts.in_flight, dtype=np.int64)
    found = []
    for n in known:
        rows = visits[n].rows[visits[n].worked]
        held = numbers[rows] if len(rows) == len(stays[n]) else np.zeros(len(stays[n]), np.int64)
        found.append(station_of_sample(stays[n], np.maximum(held, 0)))
    return found


def _by_beginning(way: Way, found: list[Station]) -> tuple[Way, list[Station]]:
    """What ways take where only the laws can tell, by the backend of which most is known."""
    most = max(found, key=lambda one: int(np.count_nonzero(one.stays.whole)))
    seconds = begins(most.services, way.overhead.high or LONGEST)
    if not seconds:
        return way, found
    told = Way(Estimate(seconds, 0.0, max(2 * seconds, way.overhead.high or 0.0)), identified=True)
    moved = [replace(it, hypothesis=replace(it.hypothesis, overhead=seconds)) for it in found]
    return told, moved


def _overhead(stays: list[Stays], own: list[Hypothesis]) -> Way:
    """The seconds of each stay that no worker is busy with, likeliest for all backends together."""
    tried = stations.overheads(stays)
    values = sum(stations.profile(one, best, tried) for one, best in zip(stays, own, strict=True))
    at = int(np.argmax(values - tried / USUAL))
    around = float(tried[max(at - 1, 0)]), float(tried[min(at + 1, len(tried) - 1)])
    finer = np.unique(np.concatenate([tried, np.linspace(*around, 13)]))
    more = sum(stations.profile(one, best, finer) for one, best in zip(stays, own, strict=True))
    heights = np.asarray(more) - finer / USUAL
    top = float(heights.max())
    near = finer[heights > top - TELLING / 2]
    if top < float(heights[0]) + IDENTIFIED:
        return Way(Estimate(0.0, 0.0, float(near[-1])), identified=False)
    value = float(finer[int(np.argmax(heights))])
    noise = max(NOISE, 0.25 * value)
    low, high = math.hypot(value - near[0], noise), math.hypot(near[-1] - value, noise)
    return Way(Estimate(value, max(value - low, 0.0), value + high), identified=True)


def _by_key(
    seen: Seen, known: list[int], visits: list[Visits], stays: list[Stays], samples: list[Floats]
) -> tuple[Estimate | None, Floats | None, list[Floats]]:
    """How much keys differ in work, by how much each does, and the samples without that."""
    numbers = []
    for n in known:
        rows = visits[n].rows[visits[n].worked]
        if len(rows) != len(stays[n]):
            return None, None, samples
        numbers.append(seen.key[seen.request[rows]][stays[n].whole])
    whose = np.concatenate(numbers)
    if (whose < 0).any() or len(seen.observed.texts) < 2:
        return None, None, samples
    relative = np.concatenate([one / one.mean() for one in samples])
    cv = work_by_key(whose, relative)
    if cv is None:
        return None, None, samples
    count = len(seen.observed.texts)
    counts = np.bincount(whose, minlength=count)
    means = np.bincount(whose, relative, count) / np.maximum(counts, 1)
    variance = cv.value**2
    noise = max(float(relative.var()) - variance, 0.01)
    trust = np.where(counts > 0, variance / (variance + noise / np.maximum(counts, 1)), 0.0)
    factors = np.maximum(1 + trust * (means - 1), 0.05)
    bounds = np.cumsum([len(one) for one in samples])[:-1]
    freed = []
    for one, factor in zip(samples, np.split(factors[whose], bounds), strict=True):
        part = one / factor
        freed.append(part * (one.mean() / part.mean()))
    return cv, factors, freed


def _backends(
    seen: Seen,
    known: list[int],
    told: list[Station],
    made: list[Service],
    samples: list[Floats],
    courses: list[tuple[tuple[float, float], ...]],
) -> tuple[Backend, ...]:
    """All of them; those that hardly anything was seen of are like the others."""
    rows: dict[int, Backend] = {}
    for place, one, service, sample, course in zip(
        known, told, made, samples, courses, strict=True
    ):
        rows[place] = Backend(
            seen.names[place], one, service, sample, course, doubt=consistency(one, sample)
        )
    typical = min(rows.values(), key=lambda row: -len(row.sample))
    found = {
        name: rows.get(place, replace(typical, name=name, guessed=True))
        for place, name in enumerate(seen.names)
    }
    setup = seen.observed.setup
    for one_of in () if setup is None else setup.backends:
        name = one_of.label if one_of.address not in found else one_of.address
        found.setdefault(name, replace(typical, name=name, guessed=True))
    if setup is None:
        return tuple(found.values())
    order = {one.label: n for n, one in enumerate(setup.backends)}
    order |= {one.address: n for n, one in enumerate(setup.backends)}
    return tuple(sorted(found.values(), key=lambda row: order.get(row.name, len(order))))
