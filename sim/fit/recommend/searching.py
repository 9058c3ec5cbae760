"""The search itself: rank, then how much load the best bear, how few backends do, which weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from lb.config import Scenario, changed
from lb.errors import ConfigError, UsageError
from sim.analysis.objectives import Answer
from sim.crew import Crew, Workers
from sim.fit.recommend.aims import aims_of
from sim.fit.recommend.contenders import Contender, Field, contenders
from sim.fit.recommend.doubts import doubt, model_error
from sim.fit.recommend.headroom import headroom, with_one_lost
from sim.fit.recommend.numbers import number
from sim.fit.recommend.ranking import rank, settle
from sim.fit.recommend.recommendation import End, Recommendation
from sim.fit.recommend.sampling import Sampler
from sim.fit.recommend.weights import ALGORITHMS, best_weights
from sim.fit.said import said
from sim.fit.unidentified import in_words, lightest

BUDGET = 12e6
"""Requests, unless given: a minute or less on two cores for a file of a few backends."""
RANKED, LOADED, COUNTED = 0.45, 0.75, 0.87
"""Up to which share of the budget each part may go; the weights have the rest."""
SETTLED = 0.1
"""Beyond the ranking's share, for whether the suggested one is good enough."""
AT_ENDS = 0.4
"""Of the ranking's share, for each end of what a calibration could not identify."""
FOR_BEST = 0.5
"""Of what all safe loads may take, for that of the suggested one."""
SHOWN = 4
"""Of the set, whose safe load is looked for; and the file's own algorithm."""
LEAST = 1e4
_BUDGET = re.compile(r"(\d+(?:\.\d+)?(?:[eE]\d+)?)\s*([kKMsm]|)")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after something is known."""

    def __init__(self, recommendation: Recommendation) -> None:
        super().__init__("interrupted")
        self.recommendation = recommendation


def recommend(
    scenario: Scenario,
    objective: str | Sequence[str] = (),
    algorithms: Sequence[str] | None = None,
    *,
    budget: str | float = BUDGET,
    workers: Workers = 1,
    on_progress: Callable[[float], None] | None = None,
) -> Recommendation:
    """Which algorithm, at which settings, meets `objective` best, and with how much to spare.

    `objective` is such as `"p99 < 250ms"`, or several; without one the file's [expect] holds.
    `algorithms` restricts the search. `budget` is how many requests may be simulated, or a text
    such as "2M", or how long in seconds, "30s"; what comes of a number of requests depends on the
    scenario's seed alone, whatever `workers`. `on_progress` is told the share of it that is spent.

    >>> from sim import Scenario, recommend
    >>> found = recommend(Scenario.load("lb.toml"), "p99 < 250ms")
    >>> found.suggested.algorithm, [row.algorithm for row in found.set]
    ('p2c', ['p2c', 'peak_ewma'])

    Raises UsageError for an objective, a budget or an algorithm that cannot be meant, ConfigError
    for a file that cannot be simulated, WorkerDied, and Interrupted where Ctrl-C leaves something.
    """
    aims = aims_of([objective] if isinstance(objective, str) else objective, scenario.expect)
    requests, seconds = budget_of(budget)
    scenario.modelled()
    field = contenders(scenario, algorithms)
    found = Recommendation(scenario, aims, left_out=field.left_out)
    found.budget, found.timed = (requests, False) if seconds is None else (seconds, True)
    found.overloaded = _overloaded(scenario)
    if found.overloaded:
        found.hangs_on = _lightening(scenario)
    if not found.overloaded and (endless := scenario.endless()):
        raise ConfigError(endless)
    try:
        with Crew(workers) as crew:
            sampler = Sampler(crew, requests, seconds, on_progress)
            try:
                _search(found, sampler, field)
            finally:
                found.spent = sampler.spent
    except KeyboardInterrupt:
        found.interrupted = True
        if not found.rows:
            raise
        raise Interrupted(found) from None
    return found


def budget_of(given: str | float) -> tuple[float, float | None]:
    """Requests, and seconds if those were given. Raises UsageError."""
    if not isinstance(given, str):
        requests, seconds = float(given), None
    else:
        match = _BUDGET.fullmatch(given.strip())
        if match is None:
            raise UsageError(
                f"--budget: {given!r} is neither requests, such as 2M, nor a time, such as 30s"
            )
        number, unit = float(match[1]), match[2]
        requests, seconds = BUDGET, None
        if unit in ("s", "m"):
            seconds = number * (60 if unit == "m" else 1)
            if seconds < 1:
                raise UsageError(f"--budget: {given!r} is too short; give 1s at least")
        else:
            requests = number * {"": 1, "k": 1e3, "K": 1e3, "M": 1e6}[unit]
    if seconds is None and not LEAST <= requests < 1e12:
        raise UsageError(f"--budget: {requests:g} requests; give from {LEAST:,.0f} to 1e12")
    return requests, seconds


def _search(found: Recommendation, sampler: Sampler, field: Field) -> None:
    scenario, aims = found.scenario, found.aims
    if found.overloaded:
        name = _typical(field.contenders)
        off = found.doubt = model_error(scenario, aims)
        found.number = number(sampler, scenario, name, aims, sampler.left(0.5), doubt=off)
        half = 0.5 if found.hangs_on else 0.0
        left = sampler.left(1 - half / 2)
        found.number_one_lost = number(
            sampler, scenario, name, aims, left, one_lost=True, doubt=off
        )
        if found.hangs_on:
            for settings, there in _ends(scenario):
                found.ends.append(_at_end(found, sampler, field, settings, there, 1.0))
        return
    own, names = own_algorithm(scenario), [it.text for it in field.contenders]
    found.doubt = doubt(sampler, scenario, own if own in names else names[0], aims)
    variants = _ends(scenario)
    ranked = RANKED / (1 + AT_ENDS * len(variants))
    ranking = rank(sampler, scenario, aims, field.contenders, ranked, found.doubt)
    found.selection, found.rows = ranking.selection, ranking.rows
    if ranking.stopped:
        raise KeyboardInterrupt
    settle(found, ranking, sampler, ranked + SETTLED)
    ranking.close(sampler)
    for settings, there in variants:
        until = min(sampler.spent / max(sampler.whole, 1) + AT_ENDS * ranked, RANKED + SETTLED)
        found.ends.append(_at_end(found, sampler, field, settings, there, until))
    best = found.suggested or found.nearest
    if best is None:
        return
    _loads(found, sampler)
    half = (LOADED + COUNTED) / 2
    given = sampler, scenario, best.algorithm, aims
    off = found.doubt
    found.number = number(*given, sampler.left(half), doubt=off, known=best.answer)
    found.number_one_lost = number(*given, sampler.left(COUNTED), one_lost=True, doubt=off)
    names = [name for name in ALGORITHMS if _searched(name, field)]
    for place, name in enumerate(names):
        budget = sampler.left() / (len(names) - place)
        weights = best_weights(sampler, scenario, name, aims, budget)
        if weights is not None:
            found.weights.append(weights)


def _loads(found: Recommendation, sampler: Sampler) -> None:
    """The safe load of the best, and of the file's own algorithm."""
    shown = [row for row in found.set if not row.same_as][:SHOWN]
    best = found.suggested or found.nearest
    own = [row for row in found.rows if row.algorithm == own_algorithm(found.scenario)]
    shown += [row for row in (best, *own) if row is not None and row not in shown]
    shown.sort(key=lambda row: row is not best)
    for place, row in enumerate(shown):
        share = 1 / (len(shown) - place) if place or len(shown) == 1 else FOR_BEST
        budget = sampler.left(LOADED) * share / 2
        given = found.scenario, row.algorithm, found.aims
        off = found.doubt
        row.headroom = headroom(sampler, *given, budget, doubt=off)
        if row.headroom is None and row is best:  # too little for several is enough for one
            row.headroom = headroom(sampler, *given, sampler.left(LOADED) * FOR_BEST, doubt=off)
        row.one_lost = with_one_lost(sampler, *given, budget, doubt=off)


def own_algorithm(scenario: Scenario) -> str:
    """The file's, as `-a` takes it."""
    chosen = scenario.algorithm
    settings = ",".join(f"{name}={value}" for name, value in chosen.settings.items())
    return f"{chosen.name}:{settings}" if settings else chosen.name


def _at_end(
    found: Recommendation,
    sampler: Sampler,
    field: Field,
    settings: dict[str, Any],
    there: Scenario,
    until: float,
) -> End:
    if _overloaded(there):
        return End(settings, (), Answer.MISSED)
    ranking = rank(sampler, there, found.aims, field.contenders, until, found.doubt)
    ranking.close(sampler)
    selection, rows = ranking.selection, ranking.rows
    if ranking.stopped:
        raise KeyboardInterrupt
    if found.overloaded:
        best = tuple(row.algorithm for row in rows if row.in_set)
        return End(settings, best, rows[0].answer)
    mine = found.suggested or found.nearest
    name = None if mine is None else mine.algorithm
    answer: Answer | None = next((row.answer for row in rows if row.algorithm == name), None)
    ordered = tuple(row.algorithm for row in rows if row.algorithm in selection.left)
    return End(settings, ordered, answer)


def _overloaded(scenario: Scenario) -> bool:
    return not scenario.bounded and scenario.utilisation >= 1


def _lightening(scenario: Scenario) -> str:
    """What could not be identified, at an end of which the backends would keep up; in words."""
    least, keys = lightest(scenario, lambda it: 0.0 if it.bounded else it.utilisation)
    return in_words(scenario, keys) if least < 1 else ""


def _ends(scenario: Scenario) -> list[tuple[dict[str, Any], Scenario]]:
    """The file with all that a calibration could not identify at its low ends, and at its high
    ones, where those are not what it says anyway.
    """
    rows = () if scenario.calibration is None else scenario.calibration.unknown
    found = []
    for end in ("low", "high"):
        settings: dict[str, Any] = {row.key: getattr(row, end) for row in rows}
        for row in rows:  # what goes with an end decides over what is unknown by itself
            settings |= {it.key: getattr(it, end) for it in row.also}
        there = changed(scenario, said(scenario, settings))
        if there != scenario:
            found.append((settings, there))
    return found


def _searched(name: str, field: Field) -> bool:
    """Whether weights are of interest: it takes part, or only alike weights keep it out."""
    names = [it.text.partition(":")[0] for it in field.contenders]
    return name in names or name in [out for out, _ in field.left_out]


def _typical(field: Sequence[Contender]) -> str:
    """Whom nobody's ignorance holds back, where nothing can be ranked."""
    names = [it.text for it in field]
    return next((name for name in ("least_connections", "p2c") if name in names), names[0])
