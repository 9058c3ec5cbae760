"""The ranking of contenders on the same requests, and whether the best of them is good enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lb.config import Scenario
from sim.analysis.objectives import Answer
from sim.fit.recommend.aims import Aim, together
from sim.fit.recommend.contenders import Contender
from sim.fit.recommend.doubts import NONE, Doubt
from sim.fit.recommend.recommendation import Recommendation, Row
from sim.fit.recommend.sampling import Observation, Sampler, Setting, growing, of_length
from sim.fit.recommend.scores import Score, estimates, score
from sim.fit.recommend.selection import FEWEST, FIRST, Selection, select

LOOK = 4
"""Times as many replications before somebody looks again: who looks often sees what he likes."""
ERROR = 0.05
"""Of all looks at one contender together."""


class Ranking(NamedTuple):
    """What came of a selection."""

    selection: Selection
    rows: list[Row]
    """The set first, simplest first; then the others, best first."""
    stopped: bool
    """Whether Ctrl-C ended it, after rounds that are complete."""
    open: dict[str, Setting]
    """Those of the set that may or may not be good enough; the sampler still holds them."""

    def close(self, sampler: Sampler) -> None:
        """Nobody asks for more of them."""
        for setting in self.open.values():
            sampler.drop(setting)


def rank(
    sampler: Sampler,
    scenario: Scenario,
    aims: Sequence[Aim],
    field: Sequence[Contender],
    until: float,
    off: Doubt = NONE,
) -> Ranking:
    """The selection, and a row for each; `until` is the share of the whole budget to spend at most.
    `off`: what the answers allow for.

    The first round is always played; where the budget is small its replications are shorter.
    """
    there = of_length(scenario)
    if not scenario.changing:
        each = sampler.left(until) / (FIRST * len(field))
        there = of_length(scenario, max(int(min(each / 2, there.run.requests or each)), 500))
    settings = {it.text: Setting(there, it.text) for it in field}

    stopped = False

    def rounds(names: Sequence[str], replications: int) -> Mapping[str, Score] | None:
        nonlocal stopped
        if stopped:
            return None
        asked = [settings[name] for name in names]
        done = len(sampler.seen(asked[0]))
        costs = (replications - done) * len(names) * _cost(sampler, settings, there)
        if done and costs > sampler.left(until):
            return None
        try:
            seen = sampler.observe(asked, replications)
        except KeyboardInterrupt:
            stopped, whole = True, min(len(sampler.seen(it)) for it in asked)
            if whole < 2:
                raise
            if done:
                return None  # rounds that are complete say what they say
            seen = [sampler.seen(it)[:whole] for it in asked]
        return {name: score(mine, aims) for name, mine in zip(names, seen, strict=True)}

    first = FIRST
    if there.run.requests is None:  # their length is the file's own
        affordable = sampler.left(until) / (len(field) * there.length * there.rate)
        first = int(min(max(affordable, FEWEST), FIRST))
    selection = select([it.text for it in field], rounds, first)
    rows: list[Row] = []
    open_ = dict[str, Setting]()
    for one in field:
        setting = settings[one.text]
        row = _row(setting.scenario, sampler.seen(setting), aims, off, one)
        row.used = selection.scores[one.text].value
        row.in_set = one.text in selection.left
        row.same_as = _same(one.text, selection, [it.algorithm for it in rows])
        rows.append(row)
        if row.in_set and row.by_model is Answer.UNCLEAR:
            open_[one.text] = setting
        else:
            sampler.drop(setting)
    rows.sort(key=lambda row: (not row.in_set, 0.0 if row.in_set else row.used))
    return Ranking(selection, rows, stopped, open_)


def _row(
    there: Scenario,
    seen: Sequence[Observation],
    aims: Sequence[Aim],
    off: Doubt,
    one: Contender,
    level: float = 0.95,
) -> Row:
    """By what was seen of it."""
    figures = estimates(there, seen, aims, level)
    calm = not growing(seen)
    exact = together([aim.answer(figures[aim.metric], steady=calm) for aim in aims])
    wide = {aim.metric: off.widened(aim.metric, figures[aim.metric]) for aim in aims}
    answers = {aim.metric: aim.answer(wide[aim.metric], steady=calm) for aim in aims}
    return Row(one, figures, answers, exact, score(seen, aims).value, len(seen), calm, False)


def settle(found: Recommendation, ranking: Ranking, sampler: Sampler, until: float) -> None:
    """More replications of the one that would be suggested, while nobody can tell whether it is
    good enough: of many that few were made of, one is left open by its luck alone.

    Whoever tests a growing sample until it is clear may err at every look. So the looks that the
    budget allows are counted first, with that of the selection, and each has an even part of the
    error of 5 % (Bonferroni), answers and intervals alike. That of the selection was at 95 %;
    since the truth is on one side of a bound, all together say the opposite in less than 5 %.
    """
    looks = dict[str, tuple[int, float]]()
    """By contender: those that are left, and the level of each."""
    while (row := found.suggested) is not None and row.by_model is Answer.UNCLEAR:
        setting = ranking.open.get(row.algorithm)
        if setting is None:
            return
        left = sampler.left(until) / _cost(sampler, {"": setting}, setting.scenario)
        if row.algorithm not in looks:
            count = _looks(row.replications, left)
            looks[row.algorithm] = count, 1 - ERROR / (1 + count)
        more, (count, level) = _more(row.replications, left), looks[row.algorithm]
        if not more or not count:
            return
        looks[row.algorithm] = count - 1, level
        (seen,) = sampler.observe([setting], row.replications + more)
        better = _row(setting.scenario, seen, found.aims, found.doubt, row.contender, level)
        better.in_set, better.same_as = True, row.same_as
        found.rows[found.rows.index(row)] = better


def _more(replications: int, left: float) -> int:
    """How many before somebody looks again, with `left` to be had; none where that is too few."""
    more = min(int(left), (LOOK - 1) * replications)
    return more if 2 * more >= replications else 0


def _looks(replications: int, left: float) -> int:
    """How often somebody can."""
    count = 0
    while more := _more(replications, left):
        count, replications, left = count + 1, replications + more, left - more
    return count


def _same(text: str, selection: Selection, simpler: Sequence[str]) -> str:
    """Settings that change nothing are worth no row."""
    mine = selection.scores[text]
    name = text.partition(":")[0]
    for other in simpler:
        score_of = selection.scores[other]
        if other.partition(":")[0] == name and np.array_equal(mine.parts, score_of.parts):
            return other
    return ""


def _cost(sampler: Sampler, settings: Mapping[str, Setting], there: Scenario) -> float:
    """Requests of a replication: as they were so far."""
    for setting in settings.values():
        if seen := sampler.seen(setting):
            return sum(it.requests for it in seen) / len(seen)
    return there.run.requests or 1.0
