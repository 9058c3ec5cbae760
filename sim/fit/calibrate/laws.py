"""Which law a sample of services or gaps has: by likelihood among all that a file can say.

The sample is counted in cells that are wider than what clocks blur, so that noise of a recording
decides nothing (grouped likelihood). A criterion (Schwarz 1978) charges for parameters; a law whose
distribution is further off than chance and noise explain is refused, and the sample kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from lb.config import Bimodal, BoundedPareto, LawTable
from sim.analysis.statistics import Estimate
from sim.fit.calibrate.cdfs import FAMILIES, Family
from sim.fit.calibrate.few import STEADY, few_values
from sim.fit.calibrate.highest import highest
from sim.model.laws import Floats

CELLS = 60
BLUR = 0.02
"""Of a distribution, what noise and rounding may move."""
CERTAIN = 1.36
"""Of Kolmogorov's distance times the root of the sample's size, what chance exceeds once in 20."""
HEAVY = 1.7
"""Of a squared coefficient of variation: from here on a law's mean is better told by its likelihood
than by the mean of a sample, which hangs on its few largest values."""
EMPIRICAL = "empirical"
KEPT = 1000
"""Values of a sample that is kept: its quantiles, evenly."""
INSIDE = np.concatenate([np.arange(0.02, 0.95, 0.02), 1 - np.geomspace(0.05, 2e-4, 20)])
"""Where it is cut to stand in the file itself: finer in its tail."""


@dataclass(frozen=True)
class Cells:
    """A sample, counted."""

    edges: Floats
    """Between cells, ascending; shape (cells - 1,)."""
    counts: Floats
    mean: float

    @classmethod
    def of(cls, sample: Floats, grain: float) -> Cells:
        """Of about equal counts, none narrower than `grain`."""
        wanted = np.quantile(sample, np.linspace(0, 1, CELLS + 1)[1:-1])
        edges: list[float] = []
        for edge in np.concatenate([wanted, _tail(sample)]):
            if edge > max(edges[-1] if edges else 0.0, 0.0) + grain:
                edges.append(float(edge))
        cut = np.array(edges)
        counts = np.bincount(np.searchsorted(cut, sample), minlength=len(cut) + 1)
        return cls(cut, counts.astype(float), float(sample.mean()))

    @property
    def number(self) -> float:
        return float(self.counts.sum())

    def log_likelihood(self, below: Floats) -> float:
        """Of a distribution function at the edges."""
        chances = np.diff(np.concatenate([[0.0], below, [1.0]]))
        return float((self.counts * np.log(np.maximum(chances, 1e-12))).sum())

    def distance(self, below: Floats) -> float:
        """The largest between the sample's distribution and another one, at the edges."""
        if not len(self.edges):
            return 0.0
        seen = np.cumsum(self.counts)[:-1] / self.number
        return float(np.abs(seen - below).max())


def _tail(sample: Floats) -> Floats:
    return np.quantile(sample, [0.99, 0.995, 0.998, 0.999]) if len(sample) >= 2000 else np.empty(0)


@dataclass(frozen=True)
class Fit:
    """One law, as near to a sample as it comes."""

    name: str
    law: LawTable | None
    """None: the sample itself."""
    parameters: int
    log_likelihood: float
    distance: float
    """Kolmogorov's."""
    allowed: float
    """What chance and noise explain of it."""
    shape: float = 1.0
    key: str = ""
    """What the file calls the shape; empty where there is none."""

    @property
    def fits(self) -> bool:
        return self.distance <= self.allowed

    def criterion(self, number: float) -> float:
        """Schwarz's, on the scale of log-likelihoods: the higher, the better."""
        return self.log_likelihood - 0.5 * self.parameters * math.log(max(number, 2.0))


@dataclass(frozen=True)
class LawFit:
    """The best law of a sample, and the others."""

    best: Fit
    others: tuple[Fit, ...]
    """Best first, without it."""
    sample: Floats
    cells: Cells

    @cached_property
    def kept(self) -> Floats:
        """The sample as a file keeps it, its mean unchanged: at most `KEPT` values, ascending."""
        return thinned(self.sample, KEPT)

    @property
    def law(self) -> LawTable:
        """What a file says that stands alone: what fits no law is a list of values in it."""
        if self.best.law is not None:
            return self.best.law
        ordered = np.sort(np.maximum(self.sample, 0.0))
        cuts = np.unique((len(ordered) * INSIDE).astype(np.int64))
        parts = [part for part in np.split(ordered, cuts) if len(part)]
        return Bimodal(
            law="bimodal",
            values=tuple(float(f"{part.mean():.6g}") for part in parts),
            weights=tuple(float(len(part)) for part in parts),
        )


def thinned(sample: Floats, most: int) -> Floats:
    """At most `most` values: the means of so many equal parts of the sorted sample."""
    ordered = np.sort(np.maximum(sample, 0.0))
    if len(ordered) <= most:
        return ordered
    return np.array([part.mean() for part in np.array_split(ordered, most)])


def fit(sample: Floats, grain: float, jitter: float = 0.0) -> LawFit:
    """The law of a sample. `grain` is what clocks blur, `jitter` how far equal values spread."""
    good = sample[np.isfinite(sample)]
    mean = float(good.mean())
    blurred = max(2 * grain, min(jitter, 0.05 * mean), STEADY * mean)
    cells = Cells.of(good, blurred)
    allowed = BLUR + CERTAIN / math.sqrt(len(good))
    if (few := few_values(good, max(grain, jitter))) is not None:
        return LawFit(Fit(few.law, few, 2, 0.0, 0.0, 0.0), (), good, cells)
    found = [fit_of(family, cells, allowed) for family in FAMILIES]
    found.append(_pareto(cells, good, allowed))
    number = len(good)
    ranked = sorted(found, key=lambda one: -one.criterion(number))
    fitting = [one for one in ranked if one.fits]
    if not fitting:
        kept = Fit(EMPIRICAL, None, len(cells.counts), 0.0, 0.0, allowed)
        return LawFit(kept, tuple(ranked), good, cells)
    best = fitting[0]
    return LawFit(best, tuple(one for one in ranked if one is not best), good, cells)


def fit_of(family: Family, cells: Cells, allowed: float) -> Fit:
    """The likeliest law of one family: its shape first, then both, the mean within a few per cent
    of the sample's.
    """
    mean = cells.mean
    low, high = family.shapes

    def likelihood(mean: float, shape: float) -> float:
        return cells.log_likelihood(family.below(cells.edges, mean, shape))

    shape = low
    if family.name == "erlang":
        shape = max(range(2, int(high) + 1), key=lambda k: likelihood(mean, float(k)))
    elif low < high:
        shape = highest(lambda it: likelihood(mean, math.exp(it)), math.log(low), math.log(high))
        shape = math.exp(shape)
    for _ in range(2 if family.parameters > 1 else 1):
        times = partial(_scaled, likelihood, cells.mean, shape)
        mean = cells.mean * highest(times, *_leeway(cells, shape, family))
        if low < high and family.name != "erlang":
            near = math.log(max(shape / 1.5, low * (1 + 1e-9))), math.log(min(shape * 1.5, high))
            shape = math.exp(highest(partial(_by_log, likelihood, mean), *near, grid=7))
    below = family.below(cells.edges, mean, shape)
    return Fit(
        family.name,
        family.law(mean, shape),
        family.parameters,
        cells.log_likelihood(below),
        cells.distance(below),
        allowed,
        float(shape),
        family.key if low < high else "",
    )


def _leeway(cells: Cells, shape: float, family: Family) -> tuple[float, float]:
    """How far the mean of a law may be from the sample's: what chance explains."""
    spread = float(family.law(1.0, shape).squared_cv) ** 0.5
    part = min(2.5 * max(spread, 0.02) / math.sqrt(cells.number), 0.3)
    return 1 - part, 1 + part


def _pareto(cells: Cells, sample: Floats, allowed: float) -> Fit:
    """A bounded power law, by its exponent, the ratio of its ends and its mean."""

    def of(mean: float, alpha: float, ratio: float) -> BoundedPareto:
        return BoundedPareto(law="bounded_pareto", mean=mean, alpha=alpha, ratio=ratio)

    def below(law: BoundedPareto) -> Floats:
        inside = np.clip(cells.edges / law.low, 1.0, law.ratio)
        return -np.expm1(-law.alpha * np.log(inside)) / -math.expm1(
            -law.alpha * math.log(law.ratio)
        )

    def likelihood(mean: float, alpha: float, ratio: float) -> float:
        return cells.log_likelihood(below(of(mean, alpha, ratio)))

    low = max(float(np.quantile(sample, 0.01)), 1e-9)
    reach = max(float(sample.max()) / low, 2.0)
    best, most = of(cells.mean, 1.0, reach), -math.inf
    for stretch in (0.7, 1.2, 2.5):
        mean, alpha, ratio = cells.mean, 1.0, max(reach * stretch, 1.5)
        for _ in range(2):
            alpha = highest(partial(_second, likelihood, mean, ratio), 0.1, 5.0)
            mean *= highest(partial(_scaled, likelihood, mean, alpha, ratio), 0.7, 1.4)
        if (value := likelihood(mean, alpha, ratio)) > most:
            best, most = of(mean, alpha, ratio), value
    distance = cells.distance(below(best))
    return Fit("bounded_pareto", best, 3, most, distance, allowed, best.alpha, "alpha")


def _second(of: Callable[[float, float, float], float], a: float, c: float, b: float) -> float:
    return of(a, b, c)


def _scaled(of: Callable[..., float], mean: float, *others: float) -> float:
    *shapes, times = others
    return of(mean * times, *shapes)


def _by_log(of: Callable[[float, float], float], mean: float, log_shape: float) -> float:
    return of(mean, math.exp(log_shape))


def shape_interval(found: LawFit, shift: float = 0.0) -> Estimate:
    """The figure of shape with its 95 % interval, by the curvature of its likelihood where the mean
    is the likeliest with each shape; of a whole number by those that are about as likely. It is as
    much wider as the shape changes where all values are too small or too large by `shift`.
    """
    family = next((one for one in FAMILIES if one.name == found.best.name), None)
    value, cells = found.best.shape, found.cells
    if family is None or family.shapes[0] == family.shapes[1]:
        return Estimate(value, None, None)

    def height(shape: float) -> float:
        def of(times: float) -> float:
            return cells.log_likelihood(family.below(cells.edges, cells.mean * times, shape))

        return of(highest(of, *_leeway(cells, shape, family), grid=7))

    top = height(value)
    if family.name == "erlang":
        near = range(max(round(value) - 3, 1), round(value) + 4)
        held = [k for k in near if height(float(k)) > top - 1.92]
        return Estimate(value, min(held), max(held))
    step = 0.04
    bend = 2 * top - height(value * math.exp(step)) - height(value * math.exp(-step))
    half = 1.96 * step / math.sqrt(max(bend, 1e-4))
    for off in (-shift, shift) if shift else ():
        moved = replace(cells, edges=cells.edges + off, mean=cells.mean + off)
        half = math.hypot(half, math.log(fit_of(family, moved, 1.0).shape / value) / math.sqrt(2))
    low = max(value * math.exp(-min(half, 2.0)), family.shapes[0])
    return Estimate(value, low, min(value * math.exp(min(half, 2.0)), family.shapes[1]))


def mean_interval(found: LawFit) -> Estimate | None:
    """The mean of a law of heavy tails with its 95 % interval, by the curvature of its likelihood
    where the shape is the likeliest with each mean; None for a law whose sample's mean tells as
    much.
    """
    family = next((one for one in FAMILIES if one.name == found.best.name), None)
    law, cells = found.best.law, found.cells
    if family is None or law is None or law.squared_cv < HEAVY or family.parameters < 2:
        return None
    low, high = (
        math.log(min(max(found.best.shape * it, family.shapes[0] * (1 + 1e-9)), family.shapes[1]))
        for it in (1 / 1.4, 1.4)
    )

    def height(mean: float) -> float:
        def of(log_shape: float) -> float:
            return cells.log_likelihood(family.below(cells.edges, mean, math.exp(log_shape)))

        return of(highest(of, low, high, 7))

    reach, step = min(4 * math.sqrt(law.squared_cv / cells.number), 0.3), 0.02
    mean = law.mean * math.exp(
        highest(lambda it: height(law.mean * math.exp(it)), -reach, reach, 7)
    )
    bend = 2 * height(mean) - height(mean * math.exp(step)) - height(mean * math.exp(-step))
    half = min(1.96 * step / math.sqrt(max(bend, 1e-6)), 1.0)
    return Estimate(mean, mean * math.exp(-half), mean * math.exp(half))
