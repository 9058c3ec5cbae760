"""The smallest number of backends that meets the objectives, all there and with one lost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lb.config import MOST_BALANCERS, Scenario
from sim.analysis.objectives import Answer
from sim.fit.recommend.aims import Aim, together
from sim.fit.recommend.doubts import NONE, Doubt
from sim.fit.recommend.sampling import SHORTEST, Sampler, Setting, growing, of_length, suited
from sim.fit.recommend.scores import estimates
from sim.fit.recommend.variations import losses, of_number

REPLICATIONS = (10, 40)
"""At first, and where these cannot tell."""
MOST = min(MOST_BALANCERS, 1_000)
TRIED = 4
"""Numbers that should be tried with what is left; replications are shorter where it is little."""
BEYOND = 8
"""Times the backends of the file, and of what capacity asks for, at most."""


@dataclass(frozen=True)
class Number:
    """Of backends: the file's first ones, or all of them again and again."""

    least: int | None
    """That surely meets the objectives; None where no number that was tried does."""
    unclear: tuple[int, ...]
    """Smaller ones that may."""
    one_lost: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"least": self.least, "cannot_tell": list(self.unclear)}


def number(
    sampler: Sampler,
    scenario: Scenario,
    algorithm: str,
    aims: Sequence[Aim],
    budget: float,
    *,
    one_lost: bool = False,
    doubt: Doubt = NONE,
    known: Answer = Answer.UNCLEAR,
) -> Number | None:
    """The smallest; None where the budget, in requests, is too small to find any. `doubt`: what
    else than chance it has to stand. `known`: the answer of as many as the file has.
    """
    there = len(scenario.backends)
    until = sampler.spent + budget
    answers: dict[int, Answer | None] = {}
    if known is not Answer.UNCLEAR:
        answers[there] = known

    def met(count: int) -> Answer | None:
        if count not in answers:
            left = max(until - sampler.spent, 0.0)
            answers[count] = _answer(
                sampler, scenario, algorithm, aims, count, left, one_lost, doubt
            )
        return answers[count]

    least = _least(scenario, one_lost)
    most = min(max(BEYOND * max(there, least), least + 1), MOST)
    low, high = least - 1, None
    count = max(min(there, most), least)
    while high is None:
        answer = met(count)
        if answer is Answer.MET:
            high = count
        elif answer is None or count >= most:
            break
        else:
            low = count
            count = min(max(count + 1, math.ceil(count * 1.5)), most)
    if high is None:
        tried = [it for it in answers.values() if it is not None]
        return Number(None, _unclear(answers, most + 1), one_lost) if tried else None
    while high - low > 1:
        middle = (low + high) // 2
        answer = met(middle)
        if answer is None:
            return None
        if answer is Answer.MET:
            high = middle
        else:
            low = middle
    return Number(high, _unclear(answers, high), one_lost)


def _unclear(answers: Mapping[int, Answer | None], below: int) -> tuple[int, ...]:
    return tuple(sorted(n for n, it in answers.items() if n < below and it is Answer.UNCLEAR))


def _least(scenario: Scenario, one_lost: bool) -> int:
    """What capacity asks for, roughly: no more than the largest backends need."""
    each = max(scenario.capacity_of(model, scenario.length) for _, model in scenario.modelled())
    least = 1
    if not scenario.bounded and scenario.offered().users is None and math.isfinite(each):
        least = max(math.floor(scenario.rate * scenario.offered().work / each) + 1, 1)
    return least + one_lost


def _answer(
    sampler: Sampler,
    scenario: Scenario,
    algorithm: str,
    aims: Sequence[Aim],
    count: int,
    budget: float,
    one_lost: bool,
    doubt: Doubt,
) -> Answer | None:
    """Whether so many meet them; None where the budget is spent."""
    there = of_number(scenario, count)
    if there is None:
        return Answer.MISSED  # of fewer than the file's, where a fault names one that is gone
    variants = [it for _, it in losses(there)] if one_lost else [there]
    found = []
    for variant in variants:
        if not variant.bounded and variant.utilisation >= 1:
            return Answer.MISSED
        short = max(int(budget / (REPLICATIONS[0] * TRIED)), SHORTEST)
        setting = Setting(of_length(variant, min(suited(variant), short)), algorithm)
        answer: Answer | None = None
        for replications in REPLICATIONS:
            if replications * setting.scenario.length * setting.scenario.rate > budget:
                break
            (seen,) = sampler.observe([setting], replications)
            told = estimates(setting.scenario, seen, aims)
            calm = not growing(seen)
            answer = together(
                [
                    aim.answer(doubt.widened(aim.metric, told[aim.metric]), steady=calm)
                    for aim in aims
                ]
            )
            if answer is not Answer.UNCLEAR:
                break
        sampler.drop(setting)
        if answer is None:
            return None
        found.append(answer)
        if answer is Answer.MISSED:
            break
    return together(found)
