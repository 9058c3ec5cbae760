"""What one backend is: discipline, workers, how they slow each other down, by likelihood.

See `stays`. Hypotheses are compared by the logarithm of their likelihoods; those within `TELLING`
of the best cannot be told from it, and come out as a range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from lb.config import Usl
from sim.fit.calibrate.stays import Discipline, Hypothesis, Stays
from sim.fit.seen import Visits
from sim.model.laws import Floats

TELLING = 4.0
"""Of the logarithm of a likelihood: half of 3.84 would be an interval of 95 % if densities were
known; what their estimate moves is as much again."""
BLUR = 0.0004
"""Seconds that clocks and timers of one machine may be off."""
MOST_TRIED = 40
"""Numbers of workers that are tried one by one; beyond, every tenth part more."""
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


class Scored(NamedTuple):
    """A hypothesis and the logarithm of its likelihood."""

    value: float
    hypothesis: Hypothesis


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
    contention: tuple[float, float] = (0.0, 0.0)
    """Between what it lies; both 0 where nothing slows down."""
    likely: tuple[Hypothesis, ...] = ()
    """All that are about as likely, and the likeliest of either discipline; best first."""

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


def numbers(most: int) -> list[int]:
    """Of workers that are tried where never more than `most` were in flight."""
    tried = list(range(1, min(most, MOST_TRIED) + 1))
    while tried[-1] < most:
        tried.append(min(int(tried[-1] * 1.1) + 1, most))
    return tried


def scored(stays: Stays, overhead: float) -> list[Scored]:
    """Every discipline and number of workers, best first."""
    found = []
    for workers in numbers(max(stays.most, 1)):
        for discipline in DISCIPLINES:
            if discipline == "ps" and workers == stays.most > 1:
                continue  # nobody ever shares: the same as the other
            it = Hypothesis(discipline, workers, overhead)
            found.append(Scored(stays.log_likelihood(it), it))
    return sorted(found, key=lambda one: -one.value)


DISCIPLINES: tuple[Discipline, ...] = ("fifo", "ps")


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


def slowed(stays: Stays, ranked: list[Scored]) -> Scored:
    """The best of `ranked`, or one of them whose workers slow each other down where that is so
    much likelier that two more figures are worth it.
    """
    best = ranked[0]
    price = math.log(max(int(np.count_nonzero(stays.whole)), 2)) + TELLING
    overhead = best.hypothesis.overhead
    if stays.most < 3:
        return best
    first = [*(one.hypothesis for one in ranked[:2]), Hypothesis("fifo", stays.most, overhead)]
    if max(_roughly(stays, it).value for it in first) < best.value + price / 3:
        return best
    for discipline in DISCIPLINES:
        several = [n for n in numbers(stays.most) if n > 1]
        rough = [_roughly(stays, Hypothesis(discipline, n, overhead)) for n in several]
        rough.sort(key=lambda one: -one.value)
        for one in rough[:2]:
            found = _with_usl(stays, one.hypothesis)
            if found.value - price > best.value - (price if best.hypothesis.usl else 0.0):
                best = found
    return best if best.hypothesis.usl is None else _other_workers(stays, best)


def _roughly(stays: Stays, hypothesis: Hypothesis) -> Scored:
    """The likeliest of three contentions."""
    tried = [replace(hypothesis, usl=Usl(contention=a)) for a in (0.03, 0.1, 0.3)]
    return max((Scored(stays.log_likelihood(it), it) for it in tried), key=lambda one: one.value)


def _with_usl(stays: Stays, hypothesis: Hypothesis) -> Scored:
    """The likeliest contention and coherency, by a search that halves its steps."""
    a, b = (0.05 if hypothesis.usl is None else hypothesis.usl.contention), 0.0
    step_a, step_b = 0.05, 0.01

    def at(a: float, b: float) -> float:
        return stays.log_likelihood(replace(hypothesis, usl=Usl(contention=a, coherency=b)))

    best = at(a, b)
    for _ in range(12):
        moved = False
        for x, y in (
            *((a + step_a, b), (a - step_a, b), (a, b + step_b), (a, b - step_b)),
            *((a + step_a, b - step_b), (a - step_a, b + step_b)),
        ):
            x, y = min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)
            if (x, y) == (a, b) or (x == 0.0 and y == 0.0):
                continue
            if (value := at(x, y)) > best:
                best, a, b, moved = value, x, y, True
                break
        if not moved:
            step_a, step_b = step_a / 2, step_b / 2
    return Scored(best, replace(hypothesis, usl=Usl(contention=a, coherency=b)))


def _other_workers(stays: Stays, found: Scored) -> Scored:
    """The same slow-down with the number of workers that suits it best."""
    best = found
    for workers in numbers(stays.most):
        if workers > 1:
            it = replace(found.hypothesis, workers=workers)
            if (value := stays.log_likelihood(it)) > best.value:
                best = Scored(value, it)
    return _with_usl(stays, best.hypothesis) if best is not found else found


def station(stays: Stays, overhead: float, *, usl: bool = True) -> Station:
    """What the backend is where every stay has that overhead."""
    ranked = scored(stays, overhead)
    best = slowed(stays, ranked) if usl else ranked[0]
    own = best.hypothesis
    if own.usl is not None:
        tried = [replace(own, workers=workers) for workers in numbers(stays.most) if workers > 1]
        same = [Scored(stays.log_likelihood(it), it) for it in tried]
    else:
        same = [one for one in ranked if one.hypothesis.discipline == own.discipline]
    near = [it.hypothesis.workers for it in same if it.value > best.value - TELLING]
    likely = [it.hypothesis for it in ranked if it.value > best.value - TELLING]
    # With as many workers as were ever there nobody waits, nor shares.
    free = stays.most > 1 or own.workers >= stays.most
    alike = [one for one in ranked if one.hypothesis.workers == stays.most]
    unbound = free and any(one.value > best.value - TELLING for one in alike) and not own.usl
    if own.usl is not None:
        unbound = max(near, default=own.workers) >= stays.most
    other: Discipline = "ps" if own.discipline == "fifo" else "fifo"
    rest = [one.value for one in ranked if one.hypothesis.discipline == other]
    margin = best.value - max(rest, default=-math.inf)
    told: tuple[Discipline, ...] = (own.discipline,)
    unwaited = unbound and (own.usl is None or own.workers >= stays.most)
    if margin < TELLING * _coarse(stays) or unwaited:
        told = ("fifo", "ps") if own.discipline == "fifo" else ("ps", "fifo")
    if own.usl is None:
        near = [it.workers for it in likely if it.discipline in told]
    fewest = min([*near, own.workers])
    most = None if unbound else max([*near, own.workers])
    if unbound and own.usl is None:
        # Fewer workers need a law and a load that happen to look as if nobody waited.
        own = next(it.hypothesis for it in alike if it.value > best.value - TELLING)
        told = ("fifo", "ps") if own.discipline == "fifo" else ("ps", "fifo")
    if own.usl is not None:
        likely = [it.hypothesis for it in same if it.value > best.value - TELLING]
    ends = (0.0, 0.0) if own.usl is None else _ends(stays, best)
    if not (unbound or any(it.discipline == other for it in likely)):
        likely += [it.hypothesis for it in ranked if it.hypothesis.discipline == other][:1]
    return Station(stays, own, fewest, most, told, margin, ends, tuple(likely))


def _coarse(stays: Stays) -> float:
    """By how much more a discipline must be likelier where clocks are rough beside the stays: who
    waited is known less surely than the likelihood has it.
    """
    typical = float(np.median(stays.sojourn[stays.whole])) if stays.whole.any() else 0.0
    return 1 + ROUGH * max(stays.floor / max(typical, 1e-9) - FINE, 0.0)


def _ends(stays: Stays, best: Scored) -> tuple[float, float]:
    """Between what the contention lies, the coherency as it is or as makes up for it: steps that
    double until one is too unlikely, and halves of the last.
    """
    own, usl = best.hypothesis, best.hypothesis.usl
    assert usl is not None

    def likely(a: float) -> bool:
        # With this coherency all workers together are as fast as with the likeliest figures.
        even = min(max(usl.coherency - (a - usl.contention) / own.workers, 0.0), 1.0)
        tried = [Usl(contention=a, coherency=b) if a or b else None for b in (usl.coherency, even)]
        values = [stays.log_likelihood(replace(own, usl=it)) for it in tried]
        return max(values) >= best.value - TELLING

    ends = []
    for sign in (-1.0, 1.0):
        inside, step = usl.contention, max(0.02 * usl.contention, 0.001)
        end = 0.0 if sign < 0 else 1.0
        outside = usl.contention
        while inside != end:
            outside = min(max(usl.contention + sign * step, 0.0), 1.0)
            if not likely(outside):
                break
            inside, step = outside, 2 * step
        for _ in range(5):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if likely(middle) else (inside, middle)
        ends.append(outside)
    return ends[0], ends[1]
