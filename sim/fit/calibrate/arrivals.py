"""How requests arrive: which process of the file is likeliest to have sent them.

All are compared with Poisson arrivals of one rate, by likelihood; a criterion (Schwarz 1978)
charges for parameters. Which are tried at all, dispersion says: of gaps, and of counts over longer
and longer times (Cox and Lewis 1966).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from lb.config import (
    ArrivalsTable,
    Batch,
    Geometric,
    Mmpp,
    Paced,
    Poisson,
    Profile,
    Renewal,
)
from lb.config.pace import quickened
from sim.analysis.statistics import Estimate
from sim.fit.calibrate.cdfs import FAMILIES
from sim.fit.calibrate.courses import Course, courses
from sim.fit.calibrate.covered import covered
from sim.fit.calibrate.laws import EMPIRICAL, Fit, LawFit, fit, fit_of
from sim.fit.calibrate.modulated import modulated
from sim.fit.stood import stood
from sim.model.laws import Floats

REGULAR = 0.1
"""Coefficient of variation of gaps below which they are equal but for noise."""
CROWDED = 1.3
"""How much rarer instants must be than requests for these to come in batches."""
CLOSE = 0.25
"""Of what counts as one instant, the distance within batches; chance, or a high rate for a while,
spreads it evenly."""
FALLS = 4.0
"""How many more gaps are within a tick than within the two behind it, where requests come in
batches in a log whose ticks are no finer."""
PER_BIN = 3.0
"""Requests in the shortest bin, on average."""
STRANGE = 4.0
"""Standard deviations of the dispersion of counts from which the rate is not one."""


@dataclass(frozen=True)
class Process:
    """The likeliest arrivals, and the others that were tried."""

    table: ArrivalsTable
    rate: Estimate
    """Requests per second."""
    gains: tuple[tuple[str, float], ...]
    """By how much each process is likelier than Poisson, as a logarithm, its parameters paid for;
    best first."""
    dispersion: float
    """Variance over mean of counts at the longest bins that tell anything; 1 for Poisson."""
    gap_cv: float
    gaps: LawFit
    seconds: float
    """What it was fitted to."""
    times: Floats = field(compare=False)
    """The arrivals it was fitted to, ascending from the first of them."""
    remarks: tuple[str, ...] = ()

    def quickened(self, factor: float) -> Process:
        """The same at so many times the rate: what was seen is a sample of it."""
        rate = self.rate
        ends = (None if end is None else end * factor for end in (rate.low, rate.high))
        told = Estimate(rate.value * factor, *ends)
        return replace(self, table=quickened(self.table, factor), rate=told)


def process(times: Floats, resolution: float) -> Process:
    """What sent requests at `times`, ascending, seconds from the first; long silences of which no
    traffic is the reason are cut out, and stops of the machine that sent or recorded them.
    """
    times, still = stood(times)
    times, cut = covered(times)
    number, seconds = len(times), float(times[-1] - times[0])
    rate = (number - 1) / seconds
    gaps = np.diff(times)
    cv = float(gaps.std() / gaps.mean())
    excess, scale = _dispersion(times, rate)
    law = fit(gaps, max(resolution, 1e-6))
    remarks = (*still, *cut, *_silences(times, rate, cv))

    def found(table: ArrivalsTable, gains: dict[str, float], *more: str) -> Process:
        ranked = tuple(sorted(gains.items(), key=lambda it: -it[1]))
        spread = {"poisson": 1.0, "deterministic": cv, "renewal": cv}.get(ranked[0][0])
        spread = math.sqrt(max(scale, 1.0)) if spread is None else spread
        half = 1.96 * spread * rate / math.sqrt(number)
        told = Estimate(rate, max(rate - half, 0.0), rate + half)
        # Whichever law it is, what is written offers as many requests as were seen.
        exact = quickened(table, rate / table.mean_rate(seconds, float(number)))
        return Process(exact, told, ranked, scale, cv, law, seconds, times, (*remarks, *more))

    poisson = Poisson(process="poisson", rate=rate)
    if cv < REGULAR:
        return found(Paced(process="deterministic", rate=rate), {"deterministic": 0.0})
    if (batch := _batches(times, resolution, rate)) is not None:
        return found(batch, {"batch": 0.0})
    gains: dict[str, float] = {"poisson": 0.0}
    tables: dict[str, ArrivalsTable] = {"poisson": poisson}
    half_log = 0.5 * math.log(number)
    follow = _follow(gaps)
    tied = abs(follow) > 4 / math.sqrt(len(gaps))
    if not tied or (follow < 0 and cv < 1):
        for gain, renewal in _renewals(law, gaps, cv):
            if gain > gains.get("renewal", 0.0):
                gains["renewal"], tables["renewal"] = gain, renewal
    if abs(excess) > STRANGE:
        counts, width = _binned(times, rate)
        base = _poisson_bins(counts)
        for course in courses(counts, width):
            name = f"profile ({course.shape})"
            gain = course.log_likelihood - base - (course.parameters - 1) * half_log
            gains[name], tables[name] = gain, _profile(course)
        if excess > STRANGE:
            model = modulated(counts, width)
            if model is not None:
                gains["mmpp"] = model.log_likelihood - base - 3 * half_log
                tables["mmpp"] = Mmpp(process="mmpp", rates=model.rates, dwell=model.dwell)
    best = max(gains, key=lambda name: gains[name])
    return found(tables[best], gains, *_misfit(best, law, cv, tied=tied))


def _misfit(best: str, law: LawFit, cv: float, *, tied: bool) -> list[str]:
    """In what gaps differ from those of the process."""
    if best == "renewal" and tied:
        return ["long gaps follow short ones, as of a schedule; each is drawn by itself here"]
    if best == "poisson" and not fit_of(FAMILIES[0], law.cells, law.best.allowed).fits:
        return [f"no process fits the arrivals: Poisson's is a rough one, cv of the gaps {cv:.3g}"]
    return []


def _binned(times: Floats, rate: float) -> tuple[Floats, float]:
    """Counts in equal bins, and their width in seconds."""
    seconds = float(times[-1] - times[0])
    bins = int(min(max(seconds * rate / PER_BIN, 8), 4000))
    counts = np.histogram(times, bins, (float(times[0]), float(times[-1])))[0].astype(float)
    return counts, seconds / bins


def _poisson_bins(counts: Floats) -> float:
    mean = float(counts.mean())
    return float((counts * math.log(mean) - mean).sum())


def _dispersion(times: Floats, rate: float) -> tuple[float, float]:
    """The most telling excess of the variance of counts over their mean, in standard deviations of
    what Poisson arrivals have, and the ratio of the two over longer times.
    """
    counts, _ = _binned(times, rate)
    strangest, scale = 0.0, 1.0
    while len(counts) >= 16:
        ratio = float(counts.var(ddof=1) / max(counts.mean(), 1e-9))
        score = (ratio - 1) * math.sqrt((len(counts) - 1) / 2)
        if abs(score) > abs(strangest):
            strangest = score
        scale = ratio
        even = len(counts) // 2 * 2
        counts = counts[:even:2] + counts[1:even:2]
    return strangest, scale


def _batches(times: Floats, resolution: float, rate: float) -> Batch | None:
    """Batches at Poisson instants, where more come together than chance explains."""
    mean = 1 / rate
    near = max(1.5 * resolution, 0.25 * mean)
    gaps = np.diff(times)
    together = gaps < near
    if together.all():
        return None
    if together.any() and float(np.median(gaps[together])) > max(1.5 * resolution, CLOSE * near):
        return None
    # Within a tick all seem at one instant; a high rate for a while goes on beyond it.
    ticks = [int(np.count_nonzero(gaps < (n + 0.5) * resolution)) for n in (1, 3)]
    if CLOSE * near < 1.5 * resolution and ticks[0] < FALLS * (ticks[1] - ticks[0]):
        return None
    apart = gaps[~together] - near
    sparse = float(apart.mean()) / mean
    chance = -math.expm1(-rate * near)
    if sparse < CROWDED or float(together.mean()) < chance + 0.15:
        return None
    if float(apart.std()) > 1.25 * float(apart.mean()):  # its instants are not Poisson's either
        return None
    sizes = np.diff(np.flatnonzero(np.concatenate([[True], ~together, [True]])))
    # Batches that chance sets side by side look like one: their number is that of the gaps.
    each = max(sparse + near / mean, 1.0)
    common = int(np.bincount(sizes).argmax())
    if common > 1 and float((sizes % common == 0).mean()) > 0.9:
        return Batch.model_validate({"process": "batch", "rate": rate, "size": common})
    return Batch(process="batch", rate=rate, size=Geometric(law="geometric", mean=max(each, 1.0)))


def _follow(gaps: Floats) -> float:
    """The correlation of the ranks of neighbours."""
    middle = np.argsort(np.argsort(gaps)).astype(float)
    return float(np.corrcoef(middle[:-1], middle[1:])[0, 1])


def _renewals(law: LawFit, gaps: Floats, cv: float) -> list[tuple[float, Renewal]]:
    """Gaps of another law than Poisson's, and by how much it is likelier. Where none fits, and
    they are more even than Poisson's: the nearest law, and the gaps themselves.
    """
    if law.best.name == "exponential":
        return []
    cells, price = law.cells, 0.5 * math.log(len(gaps))
    tried = [law.best]
    if law.best.name in (EMPIRICAL, "deterministic", "bimodal"):
        if cv >= 1:
            return []
        shares = np.cumsum(cells.counts)[:-1] / cells.number
        parameters, height = len(cells.counts) - 1, cells.log_likelihood(shares)
        own = Fit(EMPIRICAL, None, parameters, height, 0.0, law.best.allowed)
        tried = [*law.others[:1], own]
    plain = fit_of(FAMILIES[0], cells, 1.0).log_likelihood
    return [
        (
            one.log_likelihood - plain - (one.parameters - 1) * price,
            Renewal(process="renewal", law=replace(law, best=one).law),
        )
        for one in tried
    ]


def _profile(course: Course) -> Profile:
    points = tuple(
        (float(f"{at:.6g}"), float(f"{max(rate, 0.0):.6g}")) for at, rate in course.points
    )
    return Profile(process="profile", points=points, shape=course.shape)


def _silences(times: Floats, rate: float, cv: float) -> list[str]:
    """Gaps that no chance explains."""
    gaps = np.diff(times)
    most = (math.log(len(gaps)) + 9) / rate * max(1.0, cv * cv)
    at = np.flatnonzero(gaps > max(most, 1.0))
    told = [f"no request came for {gaps[i]:.3g} s from {times[i]:.4g} s on" for i in at[:3]]
    return [*told, f"and {len(at) - 3} more such gaps"] if len(at) > 3 else told
