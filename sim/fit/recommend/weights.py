"""The best static weights: the square-root rule as a start, then a search on common random numbers.

Backends of one kind have one weight, by symmetry. From the best of the file's weights, those in
proportion to capacity and those of the rule, one kind's weight at a time is moved up and down by a
step that gets smaller (a pattern search; Kolda, Lewis & Torczon, "Optimization by direct search",
SIAM Review 45, 2003). What was found is then compared on replications that the search has not seen,
for on those it has, chance favours it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lb.config import Scenario
from lb.config.toml import toml
from sim.analysis.statistics import Estimate, student_t
from sim.fit.recommend.aims import Aim
from sim.fit.recommend.sampling import Sampler, Setting, of_length, suited
from sim.fit.recommend.scores import Score, score
from sim.fit.recommend.selection import paired
from sim.fit.recommend.splitting import applies, square_root_rule
from sim.fit.recommend.variations import weighted

ALGORITHMS = ("weighted_round_robin", "weighted_random")
TRIES = 24
"""Weights that are tried in a search at most."""
REPLICATIONS, AFRESH = 8, 24
"""In the search, and in the comparison that follows."""
STEPS = (0.35, 0.17, 0.08, 0.04)
"""By which the logarithm of a weight is moved."""
NOTHING = 1e-3
"""The share of a backend that the rule leaves out: a weight of zero is none."""
ERROR = 0.05


@dataclass(frozen=True)
class Weights:
    """For one algorithm."""

    algorithm: str
    weights: list[float]
    """In the order of the file's backends, the smallest of them 1."""
    kept: str
    """What they are: "found", "proportional", "rule" or "file", where no search has surely bettered
    those."""
    exact: bool
    """Whether the rule is exact for this file, this algorithm and these objectives."""
    scores: dict[str, float]
    """How much of the objectives each kind of weights uses."""
    gains: dict[str, Estimate]
    """By what share `weights` use less of the objectives than the file's, and than proportional
    ones; both intervals hold at once in 95 of 100 searches."""
    tried: dict[str, list[float]]

    def distinguishable(self, other: str) -> bool:
        """Whether the gain over these is surely above zero."""
        low = self.gains[other].low
        return low is not None and low > 0

    def toml(self, scenario: Scenario) -> str:
        """Each backend's weight, beside the address that the file has it by."""
        rows = [
            {"address": row.address, "weight": weight}
            for row, weight in zip(scenario.backends, self.weights, strict=True)
        ]
        return toml({"backend": rows})

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no infinity: a score of None does not keep up."""
        return {
            "algorithm": self.algorithm,
            "weights": self.weights,
            "are": self.kept,
            "rule_is_exact": self.exact,
            "used": {name: it if math.isfinite(it) else None for name, it in self.scores.items()},
            "gain": {
                name: {**(it.as_dict() or {}), "distinguishable": self.distinguishable(name)}
                for name, it in self.gains.items()
            },
            "tried": self.tried,
        }


def best_weights(
    sampler: Sampler, scenario: Scenario, algorithm: str, aims: Sequence[Aim], budget: float
) -> Weights | None:
    """None where there is nothing to weigh, or the budget, in requests, is too small."""
    groups = _groups(scenario)
    if len(groups) < 2:
        return None
    capacity = [scenario.capacity_of(model, scenario.length) for _, model in scenario.modelled()]
    if not all(map(math.isfinite, capacity)):
        return None
    length = _length(scenario, budget)
    if length is None:
        return None
    there = of_length(scenario, length)
    starts = {"file": [float(row.weight) for row in scenario.backends], "proportional": capacity}
    if (rule := _rule(scenario, capacity)) is not None:
        starts["rule"] = rule
    starts = {name: _tidy(weights) for name, weights in starts.items()}
    found = _search(sampler, there, algorithm, aims, starts, groups)
    return _compared(sampler, there, algorithm, aims, {**starts, "found": found})


def _length(scenario: Scenario, budget: float) -> int | None:
    if scenario.changing:
        each = scenario.length * scenario.rate
        return 1 if each * (REPLICATIONS * TRIES + 4 * AFRESH) <= budget else None
    each = budget / (REPLICATIONS * TRIES + 4 * AFRESH)
    return None if each < 500 else int(min(each, 2 * suited(scenario)))


def _groups(scenario: Scenario) -> list[list[int]]:
    """Places of backends that are alike, whatever their weights."""
    groups: list[tuple[object, list[int]]] = []
    for place, (row, model) in enumerate(scenario.modelled()):
        struck = [number for number, it in enumerate(scenario.faults) if it.strikes(row)]
        like = (model, row.max_in_flight, row.priority, row.zone, struck)
        for other, places in groups:
            if other == like:
                places.append(place)
                break
        else:
            groups.append((like, [place]))
    return [places for _, places in groups]


def _rule(scenario: Scenario, capacity: Sequence[float]) -> list[float] | None:
    if scenario.offered().users is not None or scenario.utilisation >= 1:
        return None
    sent = square_root_rule(capacity, scenario.rate * scenario.offered().work)
    return [max(share, NOTHING) for share in sent]


def _tidy(weights: Sequence[float]) -> list[float]:
    """Three digits, the smallest 1."""
    least = min(weights)
    return [float(f"{weight / least:.3g}") for weight in weights]


def _search(
    sampler: Sampler,
    scenario: Scenario,
    algorithm: str,
    aims: Sequence[Aim],
    starts: dict[str, list[float]],
    groups: Sequence[Sequence[int]],
) -> list[float]:
    known: dict[tuple[float, ...], float] = {}

    def tried(candidates: Sequence[list[float]]) -> None:
        new = [it for it in candidates if tuple(it) not in known]
        settings = [Setting(weighted(scenario, it), algorithm) for it in new]
        for weights, setting, seen in zip(
            new, settings, sampler.observe(settings, REPLICATIONS), strict=True
        ):
            known[tuple(weights)] = score(seen, aims).value
            sampler.drop(setting)

    tried(list(starts.values()))
    best = min(known, key=lambda it: known[it])
    for step in STEPS:
        moved = True
        while moved and len(known) < TRIES:
            around = [
                _moved(best, places, sign * step) for places in groups[1:] for sign in (1, -1)
            ]
            tried(around)
            better = min(known, key=lambda it: known[it])
            moved, best = better != best, better
    return list(best)


def _moved(weights: Sequence[float], places: Sequence[int], by: float) -> list[float]:
    return _tidy([it * math.exp(by) if place in places else it for place, it in enumerate(weights)])


def _compared(
    sampler: Sampler,
    scenario: Scenario,
    algorithm: str,
    aims: Sequence[Aim],
    tried: dict[str, list[float]],
) -> Weights:
    """On requests that the search has not seen."""
    afresh = scenario.with_run(seed=scenario.run.seed + 1_000_003)
    settings = {
        name: Setting(weighted(afresh, weights), algorithm) for name, weights in tried.items()
    }
    observed = sampler.observe(list(settings.values()), AFRESH)
    scores = {name: score(seen, aims) for name, seen in zip(settings, observed, strict=True)}
    for setting in settings.values():
        sampler.drop(setting)
    kept = next(
        name
        for name in ("file", "proportional", "rule", "found")
        if name in scores and not any(_better(it, scores[name]) for it in scores.values())
    )
    exact = applies(scenario) and algorithm == "weighted_random"
    exact = exact and [aim.metric for aim in aims] == ["mean"]
    if exact:
        kept = "rule"
    gains = {
        name: _gain(scores[kept], scores[name])
        for name in ("file", "proportional")
        if tried[name] != tried[kept]
    }
    values = {name: it.value for name, it in scores.items()}
    return Weights(algorithm, tried[kept], kept, exact, values, gains, tried)


def _better(mine: Score, other: Score) -> bool:
    """Surely, and by more than nothing."""
    gain = _gain(mine, other)
    return gain.low is not None and gain.low > 0


def _gain(mine: Score, other: Score) -> Estimate:
    """The share by which `mine` is lower, of two that are looked at."""
    if not math.isfinite(other.value):
        sure = 1.0 if math.isfinite(mine.value) else 0.0
        return Estimate(sure, sure, sure)
    gap, error, degrees = paired(other, mine)
    if not other.value or not degrees:
        return Estimate(0.0, None, None)
    half = student_t(1 - ERROR / 4, degrees) * error
    return Estimate(gap / other.value, (gap - half) / other.value, (gap + half) / other.value)
