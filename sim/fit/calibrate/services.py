"""Means and laws of several backends: laws that cannot be told apart are one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.analysis.statistics import Estimate, student_t
from sim.fit.calibrate.laws import (
    EMPIRICAL,
    HEAVY,
    LawFit,
    fit,
    mean_interval,
    shape_interval,
)
from sim.fit.calibrate.spread import cv_interval
from sim.model.laws import Floats

RAISED = 0.15
"""How far skewness may raise the lower end of a mean's interval, of Student's t: raised more, it
lies above the mean of a Pareto law of alpha 2.2 twice as often as it should."""


@dataclass(frozen=True)
class Service:
    """The service of one backend."""

    mean: Estimate
    law: LawFit
    """Of services over their mean."""
    shape: Estimate
    """Of the law's figure of shape; the bounds are None where it has none."""
    cv: Estimate
    """Of the services themselves; without an upper bound where their tail is heavy."""
    shared: bool
    """Whether its law is that of all backends."""


def mean_of(sample: Floats) -> Estimate:
    """The mean with its 95 % interval, Student's corrected for skewness (Johnson 1978), from
    batches where neighbours are alike.
    """
    n = len(sample)
    value = float(sample.mean())
    if n < 2:
        return Estimate(value, None, None)
    deviation = float(sample.std(ddof=1))
    error = deviation / math.sqrt(n)
    if n >= 400:
        batches = np.array([part.mean() for part in np.array_split(sample, 40)])
        error = max(error, min(float(batches.std(ddof=1)) / math.sqrt(40), 2 * error) / 1.2)
    t = student_t(0.975, min(n - 1, 200))
    skewness = float((((sample - value) / max(deviation, 1e-12)) ** 3).mean())
    lean = skewness * (1 + 2 * t * t) / (6 * math.sqrt(n))
    lean = min(max(lean, -0.5 * t), 0.5 * t)
    raised = min(lean, RAISED * t)  # a few large values make mean, spread and skewness together
    return Estimate(value, value - error * (t - raised), value + error * (t + lean))


def services(
    samples: Sequence[Floats],
    blurs: Sequence[float],
    grain: float,
    jitter: float,
) -> list[Service]:
    """Of each backend; see `laws.fit` for `grain` and `jitter`, here in seconds. `blurs` is half of
    the interval that its mean owes to others than its sample: the overhead, keys.

    One law may be that of all, but never one mean: backends that seem alike are not the same.
    """
    means = [_wider(mean_of(sample), blur) for sample, blur in zip(samples, blurs, strict=True)]
    unit = [sample / one.value for sample, one in zip(samples, means, strict=True)]
    steps = [1 / one.value for one in means]
    own = [fit(one, grain * it, jitter * it) for one, it in zip(unit, steps, strict=True)]
    means = [_by_law(mean, law, blur) for mean, law, blur in zip(means, own, blurs, strict=True)]
    together = own[0]
    if len(unit) > 1:
        together = fit(np.concatenate(unit), grain * max(steps), jitter * max(steps))
    shared = len(unit) > 1 and _one_law(unit, own, together)
    laws = [together] * len(unit) if shared else own
    shift = max(blur / one.value for blur, one in zip(blurs, means, strict=True))
    shapes = {id(law): shape_interval(law, shift) for law in laws}
    heavy = [_heavy(law) for law in laws]
    spreads = [np.concatenate(unit)] * len(unit) if shared else unit
    cvs = [cv_interval(one, heavy=it) for one, it in zip(spreads, heavy, strict=True)]
    return [
        Service(mean, law, shapes[id(law)], cv, shared)
        for mean, law, cv in zip(means, laws, cvs, strict=True)
    ]


def _heavy(found: LawFit) -> bool:
    """Whether a law is one whose spread no sample shows."""
    law = found.best.law
    if found.best.name == "bounded_pareto":
        return True
    return found.best.name == "lognormal" and law is not None and law.squared_cv > HEAVY


def _by_law(mean: Estimate, law: LawFit, blur: float) -> Estimate:
    """The mean of one backend as its law tells it, where tails are heavy."""
    told = mean_interval(law)
    if told is None or told.low is None or told.high is None:
        return mean
    low, value, high = (mean.value * it for it in (told.low, told.value, told.high))
    return _wider(Estimate(value, low, high), blur)


def _one_law(unit: list[Floats], own: list[LawFit], together: LawFit) -> bool:
    """Whether one law is likelier for all than one for each, parameters paid for."""
    if together.best.name == EMPIRICAL:
        return all(law.best.name == EMPIRICAL for law in own) and _near(unit, together)
    if any(law.best.name in ("deterministic", "bimodal") for law in (together, *own)):
        return all(law.best.name == together.best.name for law in own)
    return _near(unit, together)


def _near(unit: list[Floats], together: LawFit) -> bool:
    """Whether no backend's sample is further from the common one than chance has it."""
    edges = together.cells.edges
    if not len(edges):
        return True  # all within what clocks blur
    common = np.cumsum(together.cells.counts)[:-1] / together.cells.number
    for one in unit:
        seen = np.searchsorted(np.sort(one), edges, side="right") / len(one)
        if float(np.abs(seen - common).max()) > 1.63 / math.sqrt(len(one)) + 0.01:
            return False
    return True


def of_keys(sample: Floats, freed: Floats) -> float:
    """Half of the interval that the mean of `sample` owes to which keys came: what it is wider than
    that of the same services freed of their keys' work.
    """
    whole, rest = ((it.high or 0.0) - (it.low or 0.0) for it in (mean_of(sample), mean_of(freed)))
    return 0.5 * math.sqrt(max(whole * whole - rest * rest, 0.0))


def _wider(one: Estimate, more: float) -> Estimate:
    if one.low is None or one.high is None:
        return one
    down, up = math.hypot(one.value - one.low, more), math.hypot(one.high - one.value, more)
    return replace(one, low=one.value - down, high=one.value + up)
