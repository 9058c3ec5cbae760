"""What one backend is: discipline, workers, how they slow each other down, by likelihood.

See `stays`. Hypotheses are compared by the logarithm of their likelihoods; those within `TELLING`
of the best cannot be told from it, and come out as a range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from sim.fit.calibrate import slowing
from sim.fit.calibrate.ranking import TELLING, Scored, scored
from sim.fit.calibrate.stays import Discipline, Hypothesis, Stays
from sim.fit.seen import Visits
from sim.model.laws import Floats

BLUR = 0.0004
"""Seconds that clocks and timers of one machine may be off."""
WAYS = 13
"""Overheads that are tried."""
UNBOUNDED = 1000
"""Workers that stand for as many as one likes."""
MOST_CUT = 0.2
"""The share of stays that were broken off, beyond which nothing is made of them."""
FINE = 0.004
"""Of a typical stay, below which clocks blur nothing."""
ROUGH = 160.0
"""How doubt grows with what they blur: a log of milliseconds with stays of 30 ms tells a discipline
from three times the usual evidence on."""
FEWEST = 50
"""Answers of a backend from which anything is said of it."""


@dataclass(frozen=True)
class Station:
    """The likeliest hypothesis of a backend, and what else it may be."""

    stays: Stays
    hypothesis: Hypothesis
    fewest: int
    """Workers that it may have."""
    most: int | None
    """None: as many as one likes."""
    disciplines: tuple[Discipline, ...]
    """Those that cannot be told apart, the likelier first."""
    margin: float
    """By how much the likelihood of the other discipline is worse, as a logarithm."""
    likely: tuple[Hypothesis, ...] = ()
    """All that are about as likely, and the likeliest of either discipline; best first."""
    ends: tuple[Hypothesis, Hypothesis] | None = None
    """The likeliest of least contention that it may have, and of most, where workers slow down."""
    maybe: Hypothesis | None = None
    """Workers that slow each other down, likelier than what it is taken for by too little."""

    @property
    def contention(self) -> tuple[float, float]:
        """Between what it lies; both 0 where nothing slows down."""
        told = [it.usl.contention for it in (*self.open, *(self.ends or ())) if it.usl is not None]
        return min(told, default=0.0), max(told, default=0.0)

    @property
    def services(self) -> Floats:
        """Seconds of a worker alone, of whole stays, by arrival."""
        return self.stays.services(self.hypothesis)[self.stays.whole]

    @property
    def cut_short(self) -> Floats:
        """How far services had come that were broken off, in seconds; 0 where none had begun."""
        cut = self.stays.cut
        if float(cut.mean()) > MOST_CUT:
            return np.empty(0)  # who is worked at when is not known then
        attained = self.stays.services(self.hypothesis)[cut]
        return np.maximum(attained, 0.0)

    @property
    def open(self) -> tuple[Hypothesis, ...]:
        """Those of `likely` that it may be."""
        return tuple(it for it in self.likely if it.discipline in self.disciplines)

    @cached_property
    def spans(self) -> dict[Hypothesis, tuple[float, float]]:
        """How many times as long the mean service is, and how many times as large its coefficient
        of variation, with each of `open`.
        """
        mean, cv = _mean_and_cv(self.services)
        found = {}
        for other in self.open:
            it = replace(other, overhead=self.hypothesis.overhead)
            its_mean, its_cv = _mean_and_cv(self.stays.services(it)[self.stays.whole])
            usable = min(mean, its_mean, cv, its_cv) > 0
            found[other] = (its_mean / mean, its_cv / cv) if usable else (1.0, 1.0)
        return found

    def span(self, which: Literal[0, 1]) -> tuple[float, float]:
        """The least and the most of `spans`, of means (0) or coefficients of variation (1)."""
        every = [1.0, *(it[which] for it in self.spans.values())]
        return min(every), max(every)

    @property
    def never_more(self) -> int:
        """How many were in flight together at most."""
        return self.stays.most


def _mean_and_cv(sample: Floats) -> tuple[float, float]:
    if not len(sample) or (mean := float(sample.mean())) <= 0:
        return 0.0, 0.0
    return mean, float(sample.std()) / mean


def stays_of(
    visits: Visits,
    resolution: float,
    quick_errors: bool,
    unjudged: Sequence[tuple[float, float]] = (),
) -> Stays:
    """Of attempts at a backend that it heard of; errors are work unless they are quick. Nothing is
    learned from those that began within a span of `unjudged`.
    """
    heard = visits.worked & ~visits.failed if quick_errors else visits.worked
    answered = visits.answered[heard]
    departed = np.where(answered, visits.first_byte[heard], visits.ended[heard])
    last = float(np.max(departed[np.isfinite(departed)], initial=0.0))
    departed = np.where(np.isfinite(departed), departed, last)
    started = visits.started[heard]
    typical = float(np.median((departed - started)[answered])) if answered.any() else 0.0
    learned = answered.copy()
    for since, until in unjudged:
        learned &= (started < since) | (started > until)
    return Stays(
        started,
        np.maximum(departed, started),
        learned,
        cut=~answered,
        floor=max(0.5 * resolution, FINE * typical, 1e-6),
        slack=2 * resolution + min(0.001, max(0.05 * typical, 1e-5)),
    )


def overheads(stays: list[Stays]) -> Floats:
    """Those that are tried for all backends: from nothing to most of the shortest stays."""
    typical = [float(np.median(it.sojourn[it.whole])) for it in stays if it.whole.any()]
    top = min([0.9 * value for value in typical] + [0.02]) if typical else 0.0
    return np.concatenate([[0.0], np.geomspace(max(top / 200, 2e-5), max(top, 4e-5), WAYS - 1)])


def profile(stays: Stays, best: Hypothesis, tried: Floats) -> Floats:
    """The logarithm of the likelihood at each overhead, ascending; shape (len(tried),).

    What is not taken for a way is taken for service, of which more workers make up for it: with the
    overhead the likeliest hypothesis moves, from `best` on.

    Densities are smooth over what clocks and timers blur: that differs between those who waited and
    those who did not, and sharper ones would take one for the other.
    """
    typical = float(np.median(stays.sojourn[stays.whole]))
    blurred = replace(stays, floor=max(stays.floor, min(BLUR, 0.03 * typical)))
    values = []
    for overhead in tried.tolist():
        near = (replace(it, overhead=overhead) for it in best.around())
        value, best = max(
            (Scored(blurred.log_likelihood(it), it) for it in near), key=lambda one: one.value
        )
        values.append(value)
    return np.array(values)


def station(stays: Stays, overhead: float, *, usl: bool = True) -> Station:
    """What the backend is where every stay has that overhead."""
    ranked = scored(stays, overhead)
    (best, *slower), maybe = slowing.slowed(stays, ranked) if usl else (ranked[:1], None)
    if best.hypothesis.usl is not None:
        best, *same = slowing.beside(stays, best)
        same.insert(0, best)
    else:
        same = [one for one in ranked if one.hypothesis.discipline == best.hypothesis.discipline]
    own = best.hypothesis
    near = [it.hypothesis.workers for it in same if it.value > best.value - TELLING]
    # How many shared is known by the clock alone, who waited by their order too.
    far = TELLING * ((3 + _coarse(stays)) / 4 if own.discipline == "ps" else 1.0)
    likely = [it.hypothesis for it in ranked if it.value > best.value - far]
    # With as many workers as were ever there nobody waits, nor shares.
    free = stays.most > 1 or own.workers >= stays.most
    alike = [one for one in ranked if one.hypothesis.workers == stays.most]
    unbound = free and any(one.value > best.value - TELLING for one in alike) and not own.usl
    if own.usl is not None:
        unbound = max(near, default=own.workers) >= stays.most
    other: Discipline = "ps" if own.discipline == "fifo" else "fifo"
    rest = [it.value for it in (*ranked, *slower) if it.hypothesis.discipline == other]
    margin = best.value - max(rest, default=-math.inf)
    told: tuple[Discipline, ...] = (own.discipline,)
    unwaited = unbound and (own.usl is None or own.workers >= stays.most)
    if margin < TELLING * _coarse(stays) or unwaited:
        told = ("fifo", "ps") if own.discipline == "fifo" else ("ps", "fifo")
    if own.usl is not None:
        likely = [it.hypothesis for it in (*same, *slower) if it.value > best.value - TELLING]
    near = [it.workers for it in likely if it.discipline in told]
    fewest = min([*near, own.workers])
    most = None if unbound else max([*near, own.workers])
    if unbound and own.usl is None:
        # Fewer workers need a law and a load that happen to look as if nobody waited.
        own = next(it.hypothesis for it in alike if it.value > best.value - TELLING)
        told = ("fifo", "ps") if own.discipline == "fifo" else ("ps", "fifo")
    ends = None if own.usl is None else slowing.ends(stays, best)
    likely += ends or ()
    if not (unbound or any(it.discipline == other for it in likely)):
        likely += [it.hypothesis for it in ranked if it.hypothesis.discipline == other][:1]
    return Station(stays, own, fewest, most, told, margin, tuple(likely), ends, maybe)


def _coarse(stays: Stays) -> float:
    """By how much more a discipline must be likelier where clocks are rough beside the stays: who
    waited is known less surely than the likelihood has it.
    """
    typical = float(np.median(stays.sojourn[stays.whole])) if stays.whole.any() else 0.0
    return 1 + ROUGH * max(stays.floor / max(typical, 1e-9) - FINE, 0.0)
